"""DQN, SAC and TD3 against their formulas, whom their gradients reach, and how their targets move."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.examples import others

from dlx.engine.device import Device
from dlx.engine.step import Stepper
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.control.policies import draw_squashed
from dlx.testing.common import build

DISCRETE, CONTINUOUS = ({**facts, **others.REPLAY} for facts in (others.DISCRETE, others.CONTINUOUS))
LISTS = {"actor": [{"dense": 8}, "relu"], "critic": [{"dense": 8}, "relu"]}


def made(name, model=None, **choices):
    if name == "dqn":
        network = others.acting("q_network", DISCRETE, body=[{"dense": 8}, "relu"], **(model or {}))
        return build(tasks, name, choices, {**DISCRETE, "model": network})
    network = others.acting("actor_and_twin_critics", CONTINUOUS, **LISTS, stochastic=name == "sac", **(model or {}))
    return build(tasks, name, choices, {**CONTINUOUS, "model": network})


def moved_apart(task):
    """Move every parameter away from the target's."""
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.add_(torch.randn_like(parameter) / 9)
    return task


def stepper(task, lr=0.1):
    parts = task.parts or ("",)
    modules = {part: getattr(task.model, part) if part else task.model for part in parts}
    return Stepper(task, {p: torch.optim.SGD(m.parameters(), lr) for p, m in modules.items()}, Device(name="cpu"))


def batch_of(task, size=12, **words):
    return others.played(DISCRETE if type(task).__name__ == "DQN" else CONTINUOUS, size) | words


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize("loss", ["huber", "squared_error"])
@pytest.mark.parametrize("double", [True, False])
def test_dqn_is_its_formula(double, loss, weighed):
    task = moved_apart(made("dqn", double=double, loss=loss))
    batch = batch_of(task)
    batch["reward"] *= 3
    if not weighed:
        del batch["weight"]
    frozen = copy.deepcopy(task.target)
    later = frozen(batch["next_input"])
    best = (task.model(batch["next_input"]) if double else later).argmax(1)
    wanted = (batch["reward"] + batch["discount"] * later[torch.arange(12), best]).detach()
    value = task.model(batch["input"])[torch.arange(12), batch["action"]]
    each = F.smooth_l1_loss(value, wanted, reduction="none") if loss == "huber" else 0.5 * (value - wanted) ** 2
    found = next(task.losses(batch))
    torch.testing.assert_close(found.value, (each * batch.get("weight", torch.ones(12))).mean())
    torch.testing.assert_close(found.feedback, (value - wanted).abs().detach())


def test_the_chance_of_random_actions_falls_with_the_updates_and_is_kept():
    task = made("dqn", exploration_start=1.0, exploration_end=0.2, exploration_updates=10)
    batch = {"input": torch.randn(4000, 4)}
    torch.manual_seed(0)
    best = task.act(batch, explore=False)["action"]
    shares = {}
    for number in (0, 5, 10, 50):
        task.updates.fill_(number)
        shares[number] = (task.act(batch, explore=True)["action"] != best).float().mean().item()
    # A random action is the best one in one case of three.
    assert shares == {n: pytest.approx(chance * 2 / 3, abs=0.03) for n, chance in {0: 1.0, 5: 0.6, 10: 0.2, 50: 0.2}.items()}
    again = made("dqn")
    again.load_state_dict(task.state_dict())
    assert int(again.updates) == 50


def test_sac_is_its_formula():
    task = moved_apart(made("sac", {"initial_temperature": 0.3}))
    batch = batch_of(task)
    model, temperature = task.model, task.model.temperature().item()
    torch.manual_seed(5)
    stream = task.losses(batch)
    critic = next(stream)
    torch.manual_seed(5)
    action, log_probability = draw_squashed(model.actor(batch["next_input"]))
    later = task.target["critic"](batch["next_input"], action)
    wanted = batch["reward"] + batch["discount"] * (torch.min(later[0], later[1]) - temperature * log_probability)
    values = model.critic(batch["input"], batch["action"])
    squares = sum(0.5 * (batch["weight"] * (value - wanted.detach()) ** 2).mean() for value in values)
    torch.testing.assert_close(critic.value, squares)
    torch.testing.assert_close(critic.feedback, (values - wanted).abs().mean(0).detach())
    actor = next(stream)
    torch.manual_seed(5)
    draw_squashed(model.actor(batch["next_input"]))
    action, log_probability = draw_squashed(model.actor(batch["input"]))
    value = torch.min(*model.critic(batch["input"], action))
    torch.testing.assert_close(actor.value, (temperature * log_probability - value).mean())
    tempered = next(stream)
    expected = -(model.temperature.logarithm * (log_probability.detach() - 2)).mean()
    torch.testing.assert_close(tempered.value, expected)
    assert next(stream, None) is None
    assert [loss.part for loss in (critic, actor, tempered)] == list(task.parts)


def test_a_temperature_that_is_given_stays():
    task = made("sac", temperature=0.2)
    step = stepper(task)
    step([batch_of(task)], {})
    assert task.temperature() == 0.2
    assert task.model.temperature().item() == 1
    assert [loss.part for loss in task.losses(batch_of(task))] == ["critic", "actor"]


def test_a_temperature_rises_where_the_entropy_is_too_low():
    for target, rises in ((50.0, True), (-50.0, False)):
        task = made("sac", target_entropy=target)
        stepper(task)([batch_of(task)], {})
        assert (task.model.temperature().item() > 1) == rises


def test_td3_is_its_formula():
    task = moved_apart(made("td3", target_noise=0.4, noise_clip=0.3))
    batch = batch_of(task)
    torch.manual_seed(5)
    (critic,) = task.losses(batch)  # the actor waits for the second update
    torch.manual_seed(5)
    noise = torch.clamp(0.4 * torch.randn(12, 2), -0.3, 0.3)
    action = torch.clamp(torch.tanh(task.target["actor"](batch["next_input"])) + noise, -1, 1)
    later = task.target["critic"](batch["next_input"], action)
    wanted = batch["reward"] + batch["discount"] * torch.min(later[0], later[1])
    values = task.model.critic(batch["input"], batch["action"])
    torch.testing.assert_close(critic.value, sum(0.5 * (batch["weight"] * (v - wanted) ** 2).mean() for v in values))
    _, actor = task.losses(batch)
    expected = -task.model.critic(batch["input"], torch.tanh(task.model.actor(batch["input"])))[0].mean()
    torch.testing.assert_close(actor.value, expected)


def test_td3_explores_by_noise_within_the_bounds():
    task = made("td3", exploration_noise=0.5)
    batch = {"input": 9 * torch.randn(500, 4)}
    best, tried = (task.act(batch, explore)["action"] for explore in (False, True))
    assert tried.abs().max() <= 1
    assert (tried - best).abs().mean() > 0.2
    assert torch.equal(best, task.predict(batch)["action"])


@pytest.mark.parametrize("name", ["sac", "td3"])
def test_each_loss_moves_the_part_that_it_is_for_and_no_other(name):
    task = made(name, **({"policy_delay": 1} if name == "td3" else {}))
    step = stepper(task)
    batch = batch_of(task)
    stream, moved = [task.losses(batch)], []
    while True:
        before = copy.deepcopy(task.model.state_dict())
        part = step.backward(stream, [batch], {})
        if part is None:
            break
        step.update(*part, [batch], {})
        after = task.model.state_dict()
        changed = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
        assert changed == {part[0]}
        moved.append(part[0])
    assert moved == list(task.parts)


@pytest.mark.parametrize("name", ["dqn", "sac", "td3"])
def test_a_target_is_kept_and_has_no_parameters(name):
    task = moved_apart(made(name))
    assert not list(task.target.parameters())
    again = made(name)
    again.load_state_dict(task.state_dict())
    for key, value in task.target.state_dict().items():
        assert torch.equal(again.target.state_dict()[key], value)
    assert not any(value.requires_grad for value in task.target.state_dict().values())


def test_a_target_moves_by_its_period_and_share_counted_in_updates():
    task = made("dqn", target_every=3, tau=0.25)
    step = stepper(task)
    start = copy.deepcopy(task.target.state_dict())
    for number in range(1, 4):
        step([batch_of(task), batch_of(task)], {})  # two micro-batches are one update
        assert int(task.updates) == number
        moved = not all(torch.equal(task.target.state_dict()[key], start[key]) for key in start)
        assert moved == (number == 3)
    for key, value in task.target.state_dict().items():
        torch.testing.assert_close(value, start[key] + 0.25 * (task.model.state_dict()[key] - start[key]))


def test_targets_of_two_parts_follow_both_with_the_actor():
    task = made("td3", tau=0.5)
    step = stepper(task)
    start = copy.deepcopy(task.target.state_dict())
    step([batch_of(task)], {})
    assert all(torch.equal(task.target.state_dict()[key], start[key]) for key in start)
    step([batch_of(task)], {})
    for key, value in task.target.state_dict().items():
        torch.testing.assert_close(value, (start[key] + task.model.state_dict()[key]) / 2)


def test_the_networks_see_normalised_observations():
    task = made("sac", {"normalize": True})
    batch = batch_of(task)
    shifted = {"input": 100 + 3 * batch["input"]}
    task.act(shifted, explore=True)
    task.trained.fill_(True)
    task.act(shifted, explore=True)
    seen = task.see(shifted["input"])
    assert seen.abs().max() < 5
    torch.testing.assert_close(task.predict(shifted)["action"], task.model.actor(seen).chunk(2, -1)[0].tanh())


def test_wrong_models_and_data_are_refused_in_words():
    critics = {
        stochastic: others.acting("actor_and_twin_critics", CONTINUOUS, stochastic=stochastic) for stochastic in (True, False)
    }
    with pytest.raises(
        ComponentError, match=r"such as actor_and_twin_critics with stochastic: true; this one has no temperature"
    ):
        build(tasks, "sac", {}, {**CONTINUOUS, "model": critics[False]})
    with pytest.raises(ComponentError, match=r"gives \(4,\) a sample, but the action is \(2,\)") as told:
        build(tasks, "td3", {}, {**CONTINUOUS, "model": critics[True]}).verify(others.played(CONTINUOUS))
    assert told.value.path == ("stochastic",)
    valuing = build(tasks, "dqn", {}, {**DISCRETE, "model": others.acting("actor_critic", DISCRETE)})
    with pytest.raises(ComponentError, match="values of actions alone, such as q_network"):
        valuing.verify(others.played(DISCRETE))
    for name, lacking in (("dqn", "num_actions"), ("sac", "replay_capacity")):
        facts = {**others.CONTINUOUS, **others.ROLLOUTS, "model": critics[True]}
        with pytest.raises(ComponentError, match=f"task '{name}' needs the fact '{lacking}'; the data offers"):
            build(tasks, name, {}, facts)


def test_a_target_follows_wherever_the_task_is_moved():
    task = made("dqn", {"normalize": True}, target_every=1, tau=0.5)
    step = stepper(task)
    step([batch_of(task)], {})
    task.double().float()  # new tensors of buffers, as on another device
    task.model.observe(torch.randn(7, 4))
    task.model.settle()
    start = copy.deepcopy(task.target.state_dict())
    step([batch_of(task)], {})
    new = task.model.state_dict()
    assert int(task.target.observations.count) == 7
    for key, value in task.target.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (start[key] + new[key]) / 2)
