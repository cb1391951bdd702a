"""Log-probabilities and entropies against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Categorical as OfTorch
from torch.distributions import Independent, TanhTransform, TransformedDistribution
from torch.distributions import Normal as NormalOfTorch

from dlx.tasks.control.policies import Categorical, Normal, draw_squashed


def normal(policy):
    mean, log_deviation = policy.chunk(2, -1)
    return Independent(NormalOfTorch(mean, log_deviation.exp()), 1)


def test_of_discrete_actions():
    logits, action = 3 * torch.randn(50, 4), torch.arange(50) % 4
    policy, expected = Categorical(4), OfTorch(logits=logits)
    torch.testing.assert_close(policy.log_probability(logits, action), expected.log_prob(action))
    torch.testing.assert_close(policy.measure(logits, action), (expected.log_prob(action), expected.entropy()))
    assert torch.equal(policy.greedy(logits), expected.probs.argmax(-1))


def test_discrete_actions_are_drawn_as_often_as_they_are_likely():
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, -2.0])
    drawn = Categorical(3).draw(logits.expand(20000, 3)).bincount(minlength=3) / 20000
    torch.testing.assert_close(drawn, logits.softmax(-1), atol=0.015, rtol=0)


def test_of_continuous_actions():
    given, action = torch.randn(50, 6), torch.randn(50, 3)
    policy, expected = Normal(3), normal(given)
    torch.testing.assert_close(policy.log_probability(given, action), expected.log_prob(action))
    torch.testing.assert_close(policy.measure(given, action), (expected.log_prob(action), expected.entropy()))
    assert torch.equal(policy.greedy(given), given[:, :3])


def test_continuous_actions_are_drawn_by_mean_and_deviation():
    torch.manual_seed(0)
    drawn = Normal(2).draw(torch.tensor([1.0, -2.0, math.log(0.5), math.log(3.0)]).expand(20000, 4))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, -2.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(drawn.std(0), torch.tensor([0.5, 3.0]), atol=0.06, rtol=0)


def test_squashed_actions_have_the_density_of_the_transformed_distribution():
    torch.manual_seed(0)
    given = (torch.randn(200, 6, dtype=torch.float64) / 2).requires_grad_()
    action, found = draw_squashed(given)
    expected = TransformedDistribution(normal(given).base_dist, TanhTransform()).log_prob(action).sum(-1)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(found.sum(), given)
    assert slope.isfinite().all()


def test_the_density_stays_finite_where_tanh_is_one():
    action, found = draw_squashed(torch.tensor([[50.0, 0.0]]))
    assert action.item() == 1
    assert found.isfinite().all()
    assert found.item() == pytest.approx(2 * 49 - 2 * math.log(2), rel=0.2)


def test_the_deviation_of_squashed_actions_is_cut():
    torch.manual_seed(0)
    still, _ = draw_squashed(torch.tensor([[0.3, -50.0]]))
    assert still.item() == pytest.approx(math.tanh(0.3), abs=1e-6)
