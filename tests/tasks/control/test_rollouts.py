"""PPO and behaviour cloning against their formulas, what they act, and when statistics of observations change."""

import math

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.examples import others
from torch.distributions import Categorical, Independent, Normal

from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.testing.common import build

FACTS = {"discrete": {**others.DISCRETE, **others.ROLLOUTS}, "continuous": {**others.CONTINUOUS, **others.ROLLOUTS}}


def made(kind, name="ppo", model=None, **choices):
    choices_of_model = {"body": [{"dense": 8}, "tanh"], "orthogonal": False, **(model or {})}
    return build(tasks, name, choices, {**FACTS[kind], "model": others.acting("actor_critic", FACTS[kind], **choices_of_model)})


def distribution(kind, policy):
    if kind == "discrete":
        return Categorical(logits=policy)
    mean, log_deviation = policy.chunk(2, -1)
    return Independent(Normal(mean, log_deviation.exp()), 1)


@pytest.mark.parametrize("value_clip", [None, 0.05])
@pytest.mark.parametrize("kind", FACTS)
def test_the_loss_is_that_of_the_paper(kind, value_clip):
    task = made(kind, clip=0.1, value_weight=0.7, value_clip=value_clip, entropy_weight=0.02)
    batch = others.played(FACTS[kind])
    policy, value = task.model(batch["input"])
    of = distribution(kind, policy)
    change = of.log_prob(batch["action"]) - batch["log_probability"]
    ratio = change.exp()
    advantage = (batch["advantage"] - batch["advantage"].mean()) / (batch["advantage"].std() + 1e-8)
    surrogate = torch.min(ratio * advantage, ratio.clamp(0.9, 1.1) * advantage).mean()
    errors = (value - batch["return"]) ** 2
    if value_clip:
        near = batch["value"] + torch.clamp(value - batch["value"], -value_clip, value_clip)
        errors = torch.max(errors, (near - batch["return"]) ** 2)
    expected = -surrogate + 0.7 * errors.mean() - 0.02 * of.entropy().mean()
    loss = task(batch)
    torch.testing.assert_close(loss.value, expected)
    assert loss.scalars["approximate_kl"].item() == pytest.approx((ratio - 1 - change).mean().item(), rel=1e-4)
    assert loss.scalars["clip_fraction"].item() == pytest.approx(((ratio - 1).abs() > 0.1).float().mean().item())
    assert loss.scalars["entropy"].item() == pytest.approx(of.entropy().mean().item(), rel=1e-5)


def test_no_ratio_beyond_the_clip_is_rewarded():
    from dlx.tasks.control.ppo import clipped_surrogate

    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5], requires_grad=True)
    clipped_surrogate(ratio, torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2).sum().backward()
    assert ratio.grad.tolist() == [0, -1, 1, 0]


def test_a_single_sample_is_learned_from():
    task = made("discrete")
    loss = task({word: value[:1] for word, value in others.played(FACTS["discrete"]).items()})
    assert loss.value.isfinite()


@pytest.mark.parametrize("kind", FACTS)
def test_before_any_update_the_policy_is_the_one_that_played(kind):
    task = made(kind)
    batch = others.played(FACTS[kind])
    with torch.no_grad():
        done = task.act(batch, explore=True)
    loss = task({**batch, **done})
    assert loss.scalars["approximate_kl"].item() == pytest.approx(0, abs=1e-6)
    assert loss.scalars["clip_fraction"] == 0
    greedy = task.act(batch, explore=False)
    best = greedy["action"]
    assert torch.equal(greedy["value"], done["value"])
    assert torch.equal(best, task.predict(batch)["action"])
    assert done["action"].dtype == best.dtype == (torch.int64 if kind == "discrete" else torch.float32)
    assert not torch.equal(done["action"], best)


def test_predictions_pass_on_what_is_known_of_episodes():
    batch = others.played(FACTS["discrete"])
    prediction = made("discrete").predict({word: batch[word] for word in ("input", "episode_return", "episode_length")})
    assert set(prediction) == {"action", "action_probability", "episode_return", "episode_length"}
    assert torch.equal(prediction["action_probability"].argmax(-1), prediction["action"])
    assert torch.equal(prediction["episode_return"], batch["episode_return"])


def test_statistics_of_observations_change_between_training_and_the_next_action():
    task = made("discrete", model={"normalize": True})
    first, second = (others.played(FACTS["discrete"], seed=seed) for seed in (1, 2))
    seen = first["input"] + 5
    with torch.no_grad():
        done = task.act({"input": seen}, explore=True)
        task.act({"input": seen}, explore=True)
    assert task(first | {"input": seen} | done).scalars["approximate_kl"].item() == pytest.approx(0, abs=1e-6)
    list(task.losses(first | {"input": seen} | done))
    task.act(second, explore=False)
    assert int(task.model.observations.count) == 0
    task.act(second, explore=True)
    assert int(task.model.observations.count) == 24
    torch.testing.assert_close(task.model.observations.mean, seen.mean(0))
    task.act(second, explore=True)
    assert int(task.model.observations.count) == 24
    assert int(task.model.observations.new_count) == 24
    kept = {name for name in task.state_dict() if "observations" in name or name == "trained"}
    assert len(kept) == 7


def test_what_the_numbers_warn_of():
    task = made("discrete")
    (remark,) = task.remarks({"train/approximate_kl": 0.5, "train/entropy": 0.9})
    assert "by 0.50 nats" in remark
    assert "optimizer.lr" in remark
    (remark,) = task.remarks({"train/approximate_kl": 0.01, "train/entropy": 0.001})
    assert "task.entropy_weight" in remark
    assert not list(task.remarks({"train/approximate_kl": 0.01, "train/entropy": 0.4}))
    assert not list(task.remarks({}))
    assert list(made("continuous").remarks({"train/entropy": 2 * math.log(0.005) + math.log(2 * math.pi * math.e)}))


def test_models_that_do_not_fit_are_refused():
    batch = others.played(FACTS["discrete"])
    with pytest.raises(ComponentError, match="wants a model that gives a policy and a value, such as actor_critic"):
        build(tasks, "ppo", {}, {**FACTS["discrete"], "model": others.Named(3)}).verify(batch)
    wrong = others.acting("actor_critic", {**others.ROOM, "num_actions": 5})
    with pytest.raises(ComponentError, match=r"gives \(5,\) a sample, but the policy of these actions is \(3,\)"):
        build(tasks, "ppo", {}, {**FACTS["discrete"], "model": wrong}).verify(batch)
    made("discrete").verify(batch)


def test_a_replay_memory_is_refused():
    facts = {**others.DISCRETE, **others.REPLAY, "model": others.acting("actor_critic", others.DISCRETE)}
    with pytest.raises(ComponentError, match="task 'ppo' needs the fact 'rollout_steps'; the data offers"):
        build(tasks, "ppo", {}, facts)


def cloning(kind, outputs, **choices):
    return build(tasks, "behaviour_cloning", choices, {**FACTS[kind], "model": others.Named(outputs)})


def test_cloning_is_cross_entropy_squared_error_or_likelihood():
    batch = others.played(FACTS["discrete"])
    task = cloning("discrete", 3)
    torch.testing.assert_close(task(batch).value, F.cross_entropy(task.model(batch["input"]), batch["action"]))
    batch = others.played(FACTS["continuous"])
    task = cloning("continuous", 2)
    torch.testing.assert_close(task(batch).value, F.mse_loss(task.model(batch["input"]), batch["action"]))
    assert task.score(task.predict(batch), batch).value == task(batch).value
    assert task.score({}, {"input": batch["input"]}) is None
    task = cloning("continuous", 4, loss="likelihood")
    expected = -distribution("continuous", task.model(batch["input"])).log_prob(batch["action"]).mean()
    torch.testing.assert_close(task(batch).value, expected)
    task = made("continuous", "behaviour_cloning", loss="likelihood")
    task.verify(batch)
    torch.testing.assert_close(task.act(batch, explore=False)["action"], task.model(batch["input"])[0][:, :2])


def test_cloning_refuses_what_does_not_fit():
    with pytest.raises(ComponentError, match="these are discrete"):
        cloning("discrete", 3, loss="squared_error")
    with pytest.raises(ComponentError, match=r"gives \(2,\) a sample, but the policy of these actions is \(4,\)"):
        cloning("continuous", 2, loss="likelihood").verify(others.played(FACTS["continuous"]))
    with pytest.raises(ComponentError, match="needs the fact 'num_actions' or 'action_size'"):
        build(tasks, "behaviour_cloning", {}, {**others.ROOM, "model": others.Named(2)})
