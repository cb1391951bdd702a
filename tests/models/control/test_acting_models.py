"""Models that act: how they see observations, what they share, and their first weights."""

import math

import pytest
import torch
from torch import nn

from dlx.core import Observing
from dlx.errors import ComponentError
from dlx.models.control.observations import Observations
from dlx.registry import models
from dlx.testing.common import build

DISCRETE = {"input_shape": [4], "num_actions": 3}
CONTINUOUS = {"input_shape": [4], "action_size": 2}
IMAGE = {"input_shape": [2, 6, 6], "num_actions": 3}


def made(name, facts, **choices):
    torch.manual_seed(0)
    return build(models, name, choices, facts)


def test_what_is_observed_counts_once_it_is_settled_and_then_as_all_of_it_together():
    observations = Observations([3], normalize=True)
    batches = [5 + 3 * torch.randn(size, 3) for size in (1, 7, 2, 40)]
    for batch in batches[:2]:
        observations.observe(batch)
    assert torch.equal(observations(batches[0]), batches[0].clamp(-10, 10))
    observations.settle()
    for batch in batches[2:]:
        observations.observe(batch)
    observations.settle()
    observations.settle()  # nothing was observed in between
    together = torch.cat(batches)
    assert int(observations.count) == 50
    torch.testing.assert_close(observations.mean, together.mean(0))
    torch.testing.assert_close(observations.variance, together.var(0, correction=0))
    expected = ((together - together.mean(0)) / together.std(0, correction=0)).clamp(-10, 10)
    torch.testing.assert_close(observations(together), expected, rtol=1e-4, atol=1e-5)


def test_images_are_scaled_and_their_statistics_refused():
    pixels = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    assert Observations([1, 1, 3], False)(pixels).flatten().tolist() == pytest.approx([0, 0.2, 1])
    with pytest.raises(ComponentError, match=r"scaled to \[0, 1\] as they are"):
        Observations([1, 1, 3], True)


@pytest.mark.parametrize("shared", [True, False])
def test_a_body_is_shared_or_each_has_its_own(shared):
    model = made("actor_critic", DISCRETE, shared=shared, critic=[{"dense": 8}])
    _, value = model(torch.randn(5, 4))
    value.sum().backward()
    reached = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == ({"body", "critic"} if shared else {"critic"})


def test_the_first_policy_is_nearly_even_and_hidden_weights_are_orthogonal():
    model = made("actor_critic", DISCRETE)
    policy, _ = model(torch.randn(100, 4))
    assert policy.softmax(-1).sub(1 / 3).abs().max() < 0.01
    weight = model.actor.body_1_dense.weight
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(64), atol=1e-5, rtol=0)
    last = model.critic.output.weight
    assert last.norm().item() == pytest.approx(1, rel=1e-5)
    assert not any(module.bias.any() for module in model.modules() if isinstance(module, nn.Linear))


def test_the_deviation_of_continuous_actions_is_one_for_all_observations():
    model = made("actor_critic", CONTINUOUS, deviation=0.5)
    policy, value = model(torch.randn(6, 4))
    assert policy.shape == (6, 4)
    assert value.shape == (6,)
    torch.testing.assert_close(policy[:, 2:], torch.full((6, 2), math.log(0.5)))


def test_a_duelling_network_adds_value_and_advantages_over_their_mean():
    model = made("q_network", DISCRETE, duelling=True, stream=[{"dense": 8}])
    given = torch.randn(5, 4)
    seen = model.body(given)
    advantage = model.advantage(seen)
    expected = model.value(seen) + advantage - advantage.mean(1, keepdim=True)
    torch.testing.assert_close(model(given), expected)
    torch.testing.assert_close(model(given).mean(1), model.value(seen)[:, 0])
    with pytest.raises(ComponentError, match="only a duelling network has"):
        made("q_network", DISCRETE, stream=[{"dense": 8}])


def test_twin_critics_differ_and_read_the_action():
    model = made("actor_and_twin_critics", CONTINUOUS)
    seen, action = torch.randn(5, 4), torch.randn(5, 2)
    values = model.critic(seen, action)
    assert values.shape == (2, 5)
    assert not torch.allclose(values[0], values[1])
    assert not torch.allclose(values, model.critic(seen, -action))
    assert made("actor_and_twin_critics", CONTINUOUS, stochastic=False).temperature is None
    assert made("actor_and_twin_critics", CONTINUOUS, initial_temperature=0.2).temperature().item() == pytest.approx(0.2)


def test_bytes_of_images_are_read_and_models_say_how_they_see():
    model = made("actor_critic", IMAGE, body=[{"conv2d": {"filters": 4, "kernel_size": 3}}, "relu", "flatten"])
    pixels = torch.randint(0, 256, (3, 2, 6, 6), dtype=torch.uint8)
    for byte, number in zip(model(pixels), model(pixels.float() / 255), strict=True):
        torch.testing.assert_close(byte, number)
    assert isinstance(model, Observing)


@pytest.mark.parametrize(
    ("facts", "choices", "message", "path"),
    [
        (IMAGE, {}, "wants features .* but gets", ("body", 0, "dense")),
        (IMAGE, {"body": None}, r"reads \(2, 6, 6\), but the layer after it wants features", ("body",)),
        (IMAGE, {"body": [{"conv2d": 4}]}, r"ends in \(4, .*add flatten", ("body", 0, "conv2d")),
        (DISCRETE, {"critic": [{"conv2d": 4}]}, "but gets .64,. from the last layer of body", ("critic", 0, "conv2d")),
        ({"input_shape": [4]}, {}, "needs the fact 'num_actions' or 'action_size'", ()),
    ],
)
def test_layers_that_do_not_fit_are_told_at_their_place(facts, choices, message, path):
    with pytest.raises(ComponentError, match=message) as told:
        made("actor_critic", facts, **choices)
    assert told.value.path == path
