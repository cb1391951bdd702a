"""Updates by torch's kernels alone: bit for bit what torch's own functions do."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from dlx.engine.lean import bare_step, clip_to, clips_at_once, common_norm
from dlx.registry import optimizers


def clip(gradients, most):
    norm = common_norm(gradients)
    clip_to(gradients, norm, norm.item(), most)
    return norm.item()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2), nn.Linear(3, 3))  # the last one is never reached


def groups(model):
    return [{"params": model[:2].parameters(), "lr": 0.01}, {"params": model[2:].parameters(), "weight_decay": 0.0}]


def descend(model, number):
    model.zero_grad()
    model[:3](torch.randn(6, 4, generator=torch.Generator().manual_seed(number))).square().sum().backward()


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "betas": (0.5, 0.9)}, {"maximize": True}, {"amsgrad": True}])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_steps_as_torchs_own_does(kind, settings):
    ours, theirs = network(), network()
    lean, own = (kind(groups(model), lr=0.002, fused=True, **settings) for model in (ours, theirs))
    step = bare_step(lean)
    for number in range(4):
        for model in (ours, theirs):
            descend(model, number)
        if number == 2:  # as a checkpoint is restored, and a schedule sets
            lean.load_state_dict(copy.deepcopy(lean.state_dict()))
            for optimizer in (lean, own):
                optimizer.param_groups[0]["lr"] = 0.5
        step()
        own.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    for one, other in zip(lean.state.values(), own.state.values(), strict=True):
        assert all(torch.equal(one[word], other[word]) for word in other)


def test_other_optimizers_keep_their_step():
    model = network()
    descend(model, 0)
    before = model[0].weight.clone()
    bare_step(torch.optim.SGD(model.parameters(), lr=0.1))()
    torch.testing.assert_close(model[0].weight, before - 0.1 * model[0].weight.grad)


@pytest.mark.parametrize("most", [1e-7, 0.01, 1.0, 1e6])
@pytest.mark.parametrize("poison", [None, torch.inf, torch.nan])
def test_gradients_are_clipped_as_torchs_own_does(most, poison):
    ours, theirs = network(), network()
    for model in (ours, theirs):
        descend(model, 1)
        if poison is not None:
            model[0].weight.grad[0, 0] = poison
    found = clip([p.grad for p in ours.parameters() if p.grad is not None], most)
    expected = clip_grad_norm_(theirs.parameters(), most)
    assert found == pytest.approx(expected.item(), rel=0, abs=0, nan_ok=True)
    for one, other in zip(ours[:3].parameters(), theirs[:3].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0, equal_nan=True)


def test_norms_between_the_two_sides_of_the_bound_are_torchs():
    for most in torch.linspace(0.9, 1.1, 21).tolist():
        ours, theirs = (torch.full((3,), 1 / 3**0.5, requires_grad=True) for _ in range(2))
        ours.grad, theirs.grad = ours.detach().clone(), theirs.detach().clone()
        clip([ours.grad], most)
        clip_grad_norm_([theirs], most)
        assert torch.equal(ours.grad, theirs.grad)


def test_gradients_of_two_types_are_left_to_torch():
    assert clips_at_once([torch.zeros(2), torch.zeros(3)])
    assert not clips_at_once([torch.zeros(2), torch.zeros(3, dtype=torch.float64)])


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_steps_as_torchs_own_does(name):
    kind = optimizers.get(name)
    ours, theirs = network(), network()
    lean, own = (kind(groups(model), lr=0.002) for model in (ours, theirs))
    step = bare_step(lean)
    for number in range(3):
        for model in (ours, theirs):
            descend(model, number)
        step()
        own.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert torch.is_grad_enabled()
