"""Rollouts: their advantages, their minibatches, and that they go on exactly wherever they are cut."""

import numpy as np
import pytest
import torch
from tests.helpers.players import Run, assert_same_end

from dlx import registry
from dlx.data.control.rollout import RewardScale, advantages
from dlx.errors import ComponentError
from dlx.registry.signatures import check


def rollouts(environment="dlx/Line-v0", **given):
    choices = {"environment": environment, "copies": 3, "steps": 8, "passes": 2, "batch_size": 10, "episodes": 3, **given}
    assert "rollouts" in registry.sources
    checked, faults = check(registry.sources.signatures["rollouts"], choices)
    assert not faults
    return registry.sources.build("rollouts", checked, {"seed": 0})


def test_advantages_are_the_sum_that_defines_them():
    draw = np.random.default_rng(0)
    reward, value, last = draw.normal(size=(7, 2)), draw.normal(size=(7, 2)), draw.normal(size=2)
    ended = draw.random((7, 2)) < 0.3
    found = advantages(reward, value, ended, last, 0.9, 0.8)
    following = np.concatenate([value[1:], last[None]])
    for copy in range(2):
        for start in range(7):
            total, factor = 0.0, 1.0
            for step in range(start, 7):
                after = 0 if ended[step, copy] else 0.9 * following[step, copy]
                total += factor * (reward[step, copy] + after - value[step, copy])
                factor *= 0.9 * 0.8
                if ended[step, copy]:
                    break
            assert found[start, copy] == pytest.approx(total)


class Constant:
    """Always goes right, and expects the place it sees."""

    def __init__(self):
        self.asked = []

    def __call__(self, batch, explore):
        self.asked.append((explore, batch["input"].clone()))
        count = len(batch["input"])
        return {
            "action": torch.ones(count, dtype=torch.int64),
            "log_probability": torch.zeros(count),
            "value": batch["input"][:, 0],
        }


def walked(discount, **given):
    source, actor = (
        rollouts(copies=1, passes=1, batch_size=given.get("steps", 8), discount=discount, gae_lambda=1.0, **given),
        Constant(),
    )
    batch = next(source.train(actor))
    order = batch["index"].argsort()
    return {word: value[order] for word, value in batch.items()}, actor


def test_after_a_termination_nothing_is_expected():
    batch, _ = walked(0.5, steps=8)
    place = batch["input"][:, 0]
    end = int((place[1:] < place[:-1]).nonzero()[0, 0])  # the step that terminated the first episode
    assert end < 7
    reward = batch["return"][end].item()
    assert reward > 3  # the reward is where it led, beyond 3, and nothing is added


def test_the_last_observation_is_asked_for_where_the_episode_was_cut():
    batch, actor = walked(0.9, steps=20, environment="dlx/Line-v0", settings={"max_episode_steps": 2})
    asked = [seen for explore, seen in actor.asked if not explore]
    assert len(asked) == 11  # ten episodes of two steps, and the end of the rollout
    assert all(seen[0, 1] == 2 for seen in asked[:-1])
    assert asked[-1][0, 1] == 0
    lone = batch["input"][1::2, 0]  # values at the second steps
    assert batch["return"][1].item() == pytest.approx(1.9 * asked[0][0, 0].item(), rel=1e-5)  # reward and value: where it led
    assert len(lone) == 10


def test_every_pass_has_every_frame_once_in_another_order():
    source = rollouts()
    assert source.batches_per_epoch == 6
    assert source.frames_per_batch == 4
    batches = list(source.train(None))
    orders = [torch.cat([batch["index"] for batch in batches[at : at + 3]]) for at in (0, 3)]
    assert [sorted(order.tolist()) for order in orders] == [list(range(24))] * 2
    assert orders[0].tolist() != orders[1].tolist()
    assert [len(batch["index"]) for batch in batches] == [10, 10, 4] * 2
    assert {word: value.dtype for word, value in batches[0].items()} == {
        "input": torch.float32, "action": torch.int64, "index": torch.int64,
        **dict.fromkeys(("log_probability", "value", "advantage", "return"), torch.float32),
    }  # fmt: skip
    assert source.numbers()["frames"] == 24
    assert source.facts["rollout_steps"] == 8


def test_a_batch_larger_than_the_rollout_is_refused():
    with pytest.raises(ComponentError, match="more than the 24 frames") as error:
        rollouts(batch_size=25)
    assert error.value.path == ("batch_size",)


def test_rewards_are_divided_by_the_deviation_of_the_discounted_returns():
    draw = np.random.default_rng(0)
    scale, returns, seen = RewardScale(2, 0.9), np.zeros(2), []
    for _ in range(50):
        reward, ended = draw.normal(5, 3, 2), draw.random(2) < 0.2
        returns = returns * 0.9 + reward
        seen += returns.tolist()
        expected = np.clip(reward / np.sqrt(np.var(seen) + 1e-8), -10, 10)
        assert scale(reward, ended) == pytest.approx(expected)
        returns[ended] = 0


@pytest.mark.parametrize(
    ("environment", "more"),
    [
        ("dlx/Line-v0", {"normalize_rewards": True}),
        ("dlx/Reach-v0", {"frame_stack": 2}),
        ("dlx/Screen-v0", {"grey": True, "resize": 6}),
        ("CartPole-v1", {}),
        ("Pendulum-v1", {"settings": {"max_episode_steps": 11}}),
        ("dlx/Forgetful-v0", {"anew": True}),
    ],
)
@pytest.mark.parametrize("cut", [0, 5, 16, 29, 38])
def test_it_goes_on_exactly_wherever_it_is_cut(environment, more, cut):
    def run(**given):
        return Run(rollouts(environment, **more), 27, **given)

    whole = run(evaluate_every=9).fit()
    frames = 3 * cut
    stopped = run(evaluate_every=9, stops=lambda trainer: trainer.source.frames >= frames).fit()
    assert stopped.trainer.step < 27
    on = run(evaluate_every=9).go_on_from(stopped).fit()
    assert_same_end(whole, on)


@pytest.mark.parametrize("step", range(1, 14))
def test_it_goes_on_exactly_between_all_minibatches(step):
    whole = Run(rollouts(), 20).fit()
    stopped = Run(rollouts(), 20, stops=lambda trainer: trainer.step >= step).fit()
    assert stopped.states[-1][0] == step
    assert_same_end(whole, Run(rollouts(), 20).go_on_from(stopped).fit())


def test_evaluation_plays_the_same_episodes_to_their_ends_and_leaves_training_alone():
    one, other = rollouts(), registry.sources.build("rollouts", check(
        registry.sources.signatures["rollouts"], {"environment": "dlx/Line-v0", "episodes": 3})[0], {"seed": 7})  # fmt: skip
    first, second = (list(source.evaluate(Constant(), "val")) for source in (one, other))
    assert all(torch.equal(a[word], b[word]) for a, b in zip(first, second, strict=True) for word in a)
    assert torch.cat([batch["index"] for batch in first]).tolist() == [0, 1, 2]
    test = list(one.evaluate(Constant(), "test"))
    assert not torch.equal(test[0]["input"], first[0]["input"])
    assert all((batch["episode_length"] > 2).all() for batch in first)
    assert "copies" not in vars(one)  # which only training needs
    assert sorted(one.stage.environments) == [3, 4]
    assert "success" not in first[0]
    reach = list(rollouts("dlx/Reach-v0").evaluate(None, "val"))
    assert reach[0]["success"].dtype == torch.float32
    assert one.example()["input"].tolist() == torch.cat([batch["input"] for batch in first]).tolist()


def test_numbers_for_the_log_are_means_of_the_episodes_since_the_last_line():
    source = rollouts("dlx/Reach-v0", steps=9)
    assert source.numbers() == {"frames": 0}
    for _ in source.prepare(None):
        pass
    found = source.numbers()
    assert found["frames"] == 27
    assert found["episode_length"] == 9
    assert -9 <= found["episode_return"] <= 0
    assert 0 <= found["success_rate"] <= 1
    assert source.numbers() == {"frames": 27}
