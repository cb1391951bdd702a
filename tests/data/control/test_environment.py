"""One environment: how it is seen, what it takes, and that it goes on exactly from a state."""

import json
import sys

import numpy as np
import pytest
import torch

from dlx.data.control import catalogue
from dlx.data.control.copies import Copies
from dlx.data.control.environment import Blueprint, Environment, episode_seed
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.stage import Here
from dlx.errors import ComponentError, DlxError


def blueprint(name, **given):
    name = name if "-v" in name else f"dlx/{name}-v0"
    return Blueprint(EnvironmentOptions(environment=name, **given))


def copies_of(made, count):
    return Copies(Here(made), made, count, 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CartPole-v7", "did you mean 'CartPole-v1'?"),
        ("cartpole", "did you mean 'CartPole-v1'?"),
        ("LunarLander-v2", "did you mean 'LunarLander-v3'?"),
        ("Pendlum-v1", "did you mean 'Pendulum-v1'?"),
        ("Nothing-Like-It", "gymnasium has"),
        ("ALE/Pang-v5", "pip install ale-py"),
    ],
)
def test_an_unknown_environment_is_told_with_the_nearest(name, told, monkeypatch):
    monkeypatch.setattr(catalogue, "PACKAGES", {"no_such_package": ("ale-py", "ALE/")})
    with pytest.raises(ComponentError) as error:
        catalogue.make(name, {})
    assert told in error.value.message
    assert error.value.path == ("environment",)


def test_packages_beside_gymnasium_are_imported_for_what_it_does_not_know_only(monkeypatch):
    monkeypatch.setattr(catalogue, "PACKAGES", {"this": ("this", "This-")})  # a module that prints a poem
    monkeypatch.delitem(sys.modules, "this", raising=False)
    catalogue.make("CartPole-v1", {}).close()
    assert "this" not in sys.modules
    with pytest.raises(ComponentError):
        catalogue.make("This-v0", {})
    assert "this" in sys.modules


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ComponentError, match="pip install 'dlx\\[control\\]'"):
        catalogue.make("CartPole-v1", {})


def test_settings_that_it_does_not_take_are_told_at_their_place():
    with pytest.raises(ComponentError, match="unexpected keyword") as error:
        blueprint("Line", settings={"wied": True})
    assert error.value.path == ("settings",)


@pytest.mark.parametrize(
    ("name", "given", "facts"),
    [
        ("Line", {}, {"input_shape": [2], "num_actions": 2}),
        ("Line", {"settings": {"wide": True}}, {"input_shape": [2], "action_size": 1}),
        ("Line", {"frame_stack": 3}, {"input_shape": [6], "num_actions": 2}),
        ("Reach", {}, {"input_shape": [2], "action_size": 1}),
        ("Screen", {}, {"input_shape": [3, 12, 10], "in_channels": 3, "num_actions": 2}),
        (
            "Screen",
            {"grey": True, "resize": [6, 5], "frame_stack": 4},
            {"input_shape": [4, 6, 5], "in_channels": 4, "num_actions": 2},
        ),
        ("FrozenLake-v1", {}, {"input_shape": [16], "num_actions": 4}),
        ("Blackjack-v1", {}, {"input_shape": [32 + 11 + 2], "num_actions": 2}),
    ],
)
def test_spaces_become_facts_and_observations_have_their_shape(name, given, facts):
    made = blueprint(name, **given)
    assert made.facts == facts
    one = Environment(made)
    one.begin(("train", 0), 0)
    assert list(one.observation.shape) == facts["input_shape"]
    assert one.observation.dtype == (np.uint8 if name == "Screen" else np.float32)


def test_what_is_for_images_is_refused_elsewhere():
    with pytest.raises(ComponentError, match="is for images"):
        blueprint("Line", grey=True)


def test_a_goal_follows_the_observation():
    one = Environment(blueprint("Reach"))
    one.begin(("train", 0), 0)
    one.step(np.array([0.5], np.float32))
    inner = one.inner.unwrapped
    assert one.observation.tolist() == pytest.approx([1.0, inner.goal[0]])
    assert one.achieved.tolist() == [0.5]


def test_actions_are_clipped_and_scaled_to_the_bounds_and_numbered_from_0():
    wide = blueprint("Line", settings={"wide": True}).actions
    taken = wide.taken(np.array([[-7.0], [-1.0], [0.0], [0.5], [3.0]], np.float32))
    assert taken.tolist() == [[-2], [-2], [2], [4], [6]]
    assert taken.dtype == np.float32
    assert blueprint("Line").actions.taken(np.array([1, 0])) == [6, 5]


def test_random_actions_have_the_probability_that_they_are_drawn_with():
    given = blueprint("Line").actions.random(4000, torch.Generator().manual_seed(0))
    assert given["log_probability"][0].exp().item() == pytest.approx(0.5)
    assert given["action"].float().mean().item() == pytest.approx(0.5, abs=0.05)
    wide = blueprint("Line", settings={"wide": True}).actions.random(4000, torch.Generator().manual_seed(0))
    assert wide["log_probability"][0].exp().item() == pytest.approx(0.5)  # evenly over a length of 2
    assert wide["action"].shape == (4000, 1)
    assert wide["action"].abs().max() <= 1


def test_images_are_grey_and_stacked_the_newest_last():
    one = Environment(blueprint("Screen", grey=True, frame_stack=2))
    one.begin(("train", 0), 0)
    assert one.observation.sum() == 0
    one.step(0)
    luminance = round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)
    assert one.observation[1, 0].tolist() == [luminance] * 10
    assert one.observation[0].sum() == 0
    one.step(0)
    assert [(image == luminance).all(1).sum() for image in one.observation] == [1, 2]


def test_an_environment_that_writes_into_its_observations_changes_none_that_was_seen():
    copies = copies_of(blueprint("Screen"), 1)
    before = copies.observation
    seen = copies.step(np.array([0])).following
    copies.step(np.array([0]))
    assert before.sum() == 0
    assert seen[0, 0].any(1).sum() == 1


def test_every_episode_has_a_seed_of_its_own():
    seeds = {episode_seed("train", seed, copy, episode) for seed in range(5) for copy in range(5) for episode in range(40)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_terminated_and_truncated_are_told_apart_and_the_last_observation_is_the_real_one():
    copies = copies_of(blueprint("Line"), 2)
    seen = [copies.step(np.array([1, number % 2])) for number in range(9)]
    terminated = next(number for number, step in enumerate(seen) if step.terminated[0])
    assert abs(seen[terminated].following[0, 0]) > 3
    assert not any(step.truncated[0] for step in seen[: terminated + 1])
    assert seen[8].truncated[1]
    assert not seen[8].terminated[1]
    assert seen[8].following[1, 1] == 9
    assert copies.observation[1, 1] == 0
    episode = seen[8].episodes[-1]
    assert episode.length == 9
    assert episode.total == pytest.approx(sum(step.reward[1] for step in seen))
    assert np.isnan(episode.success)


NAMES = ["dlx/Line-v0", "dlx/Reach-v0", "dlx/Screen-v0", "CartPole-v1", "Pendulum-v1", "Acrobot-v1", "FrozenLake-v1"]


@pytest.mark.parametrize("name", [*NAMES, "LunarLander-v3", "Reacher-v5"])
def test_copies_go_on_exactly_from_a_state(name):
    if name == "LunarLander-v3":
        pytest.importorskip("Box2D", reason="needs gymnasium[box2d]")
    if name == "Reacher-v5":
        pytest.importorskip("mujoco", reason="needs gymnasium[mujoco]")
    made = blueprint(name, frame_stack=2)
    draw = torch.Generator().manual_seed(0)
    actions = [made.actions.random(3, draw)["action"].numpy() for _ in range(60)]
    copies = copies_of(made, 3)
    for action in actions[:37]:
        copies.step(action)
    state = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in copies.state_dict().items()}
    json.dumps({key: value for key, value in state.items() if not isinstance(value, torch.Tensor)})
    other = copies_of(made, 3)
    other.step(actions[5])
    other.load_state_dict(state)
    for action in actions[37:]:
        one, two = copies.step(action), other.step(action)
        assert all(np.array_equal(a, b) for a, b in zip(one[:5], two[:5], strict=True))
        assert str(one.episodes) == str(two.episodes)
    assert np.array_equal(copies.observation, other.observation)


def test_an_environment_that_carries_something_over_is_told_unless_it_is_made_anew():
    def gone_on(**given):
        copies = copies_of(blueprint("Forgetful", **given), 1)
        for _ in range(12):
            copies.step(np.array([0]))
        other = copies_of(blueprint("Forgetful", **given), 1)
        other.load_state_dict(copies.state_dict())
        return copies.observation, other.observation

    with pytest.raises(DlxError, match="anew: true"):
        gone_on()
    one, other = gone_on(anew=True)
    assert np.array_equal(one, other)


def test_an_environment_that_fails_is_one_line():
    copies = copies_of(blueprint("Broken"), 1)
    copies.step(np.array([0]))
    with pytest.raises(DlxError) as error:
        copies.step(np.array([0]))
    assert str(error.value) == "the environment 'dlx/Broken-v0' failed: ValueError: the motor is"
