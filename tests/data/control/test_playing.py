"""Episodes that are played for somebody to look at: of their own stream, the same each time, and filmed where that can be."""

import signal
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from dlx import registry
from dlx.core import Source
from dlx.data.control import playing
from dlx.data.control.environment import Blueprint, episode_seed
from dlx.data.control.options import EnvironmentOptions
from dlx.errors import ComponentError, UsageError
from dlx.pictures.films import MovingPicture
from dlx.registry.signatures import check


def source(name="Line", **given):
    return of(f"dlx/{name}-v0", **given)


def of(environment, **given):
    assert "rollouts" in registry.sources
    choices, faults = check(registry.sources.signatures["rollouts"], {"environment": environment, "episodes": 4, **given})
    assert not faults
    return registry.sources.build("rollouts", choices, {"seed": 0})


def right(batch, explore):
    assert not explore
    return {"action": torch.ones(len(batch["input"]), dtype=torch.int64)}


class Painted(gymnasium.Env):
    """Frames of 4 x 900 pixels, as bright as the steps that have gone by; an episode is 9 steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode, self.steps = render_mode, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), float(action), self.steps == 9, False, {}

    def render(self):
        return np.full((4, 900, 3), self.steps, np.uint8)


@pytest.fixture(autouse=True)
def painted():
    gymnasium.register("dlx/Painted-v0", entry_point=Painted)
    yield
    del gymnasium.registry["dlx/Painted-v0"]


def test_an_episode_is_whole_and_of_its_own_stream():
    first, second = source().play(right, 2, seed=7)
    assert first.seed == episode_seed("played", 7, 0) != second.seed
    assert len(first.observations) == len(first.actions) + 1 == len(first.rewards) + 1
    np.testing.assert_array_equal(first.observations[1:, 0], first.rewards.astype(np.float32))  # the reward is the place
    assert first.terminated
    assert abs(first.rewards[-1]) > 3
    assert first.film is None
    for one, again in zip((first, second), source().play(right, 2, seed=7), strict=True):
        np.testing.assert_array_equal(one.observations, again.observations)


def test_random_actions_are_drawn_by_the_seed_and_truncation_is_told():
    one, other = (next(source().play(None, 1, seed=seed)) for seed in (0, 1))
    again = next(source().play(None, 1, seed=0))
    np.testing.assert_array_equal(one.actions, again.actions)
    assert one.actions.tolist() != other.actions.tolist()
    reached = next(source("Reach").play(None, 1, seed=0))
    assert not reached.terminated
    assert reached.success in (0, 1)
    assert np.abs(reached.actions).max() <= 1


def test_actions_are_kept_as_the_environment_took_them():
    beyond = lambda batch, explore: {"action": torch.full((1, 1), 7.0)}  # noqa: E731
    played = next(source("Reach").play(beyond, 1, seed=0))
    assert played.actions.dtype == np.float32
    assert (played.actions == 1).all()


def test_a_film_shows_every_step_smaller_and_in_its_time(tmp_path):
    film = next(source("Painted").play(right, 1, seed=0, filmed=True)).film
    assert [frame.shape for frame in film.frames] == [(1, 300, 3)] * 10
    assert [frame.max() for frame in film.frames] == list(range(10))
    assert film.milliseconds == 20
    MovingPicture(film.frames, film.milliseconds).savefig(tmp_path / "film.png")
    with Image.open(tmp_path / "film.png") as image:
        assert image.n_frames == 10
        image.seek(4)
        assert np.asarray(image.convert("RGB")).max() == 4
        assert image.info["duration"] == 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who handles signals")
def test_what_films_still_ends_by_a_signal():
    pytest.importorskip("pygame", reason="needs gymnasium[classic-control]")
    assert next(of("CartPole-v1").play(None, 1, seed=0, filmed=True)).film
    caught = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigCgt"))
    assert not int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_of_a_long_episode_fewer_frames_are_kept(monkeypatch):
    monkeypatch.setattr(playing, "MOST_FRAMES", 4)
    film = next(source("Painted").play(right, 1, seed=0, filmed=True)).film
    assert [frame.max() for frame in film.frames] == [0, 4, 8]
    assert film.milliseconds == 80


def test_what_renders_nothing_is_refused():
    with pytest.raises(ComponentError, match="'dlx/Line-v0' cannot be filmed: it renders nothing"):
        next(source().play(right, 1, seed=0, filmed=True))


def test_an_episode_is_played_again_by_its_actions():
    player = playing.Player(Blueprint(EnvironmentOptions("dlx/Line-v0")))
    drawn = iter([1, 0, 1, 1, 0, 1, 1, 1, 1, 1])
    first = player.play(lambda seen: np.array([next(drawn)]), ("played", 0), 3)
    again = player.again(list(first.actions), ("played", 0), 3)
    np.testing.assert_array_equal(first.observations, again.observations)


def test_the_best_and_the_worst_of_an_evaluation_are_filmed():
    made = source("Painted")
    assert list(made.films("test")) == []
    act = lambda batch, explore: {"action": torch.tensor([well] if len(batch["input"]) == 1 else [1, 0, 1])}  # noqa: E731
    well = 1
    assert len(list(made.evaluate(act, "test"))) == 2
    found = made.judged["test"].found
    assert [one.number for one in found] == [0, 1, 2, 3]
    assert [one.total for one in found] == [9, 9, 0, 9]
    assert [(name, len(film.frames)) for name, film in made.films("test")] == [("best_episode", 10), ("worst_episode", 10)]


def test_other_data_have_no_episodes():
    class Data(Source):
        def train(self, actor):
            return iter(())

        def evaluate(self, actor, split):
            return iter(())

    with pytest.raises(UsageError, match="the data are no environment"):
        Data().play(None, 1, 0)
