"""Recurrent layers written out: torch's own answers and gradients, whatever is asked of them."""

import copy

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from dlx.layers import recurrence
from dlx.layers.recurrent import Recurrent

KINDS = {"RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN, "GRU": nn.GRU}
TRACED = {**KINDS, "LSTM": nn.LSTM}


def pair(mode, features, size, num_layers=1, bidirectional=False, sequences=True):
    """Make a layer that runs here, and the same one by torch alone."""
    more = {"nonlinearity": mode[4:].lower()} if mode.startswith("RNN") else {}
    rnn = TRACED[mode](features, size, num_layers, batch_first=True, bidirectional=bidirectional, **more)
    return Recurrent(rnn, sequences), Recurrent(copy.deepcopy(rnn), sequences)


def answers(layer, input, weights, length=None):
    """Return the output, and the gradients of input and weights of a sum."""
    given = input.clone().requires_grad_()
    output = layer(given, length)
    if layer.return_sequences and length is not None:  # what stands behind an end does not matter
        output = output * (torch.arange(output.shape[1]) < length[:, None])[:, :, None]
    (output * weights).sum().backward()
    return [output.detach(), given.grad, *(one.grad for one in layer.parameters())]


@pytest.fixture
def by_torch(monkeypatch):
    """Compute by torch's own layers."""

    def call(compute):
        with monkeypatch.context() as patch:
            patch.setattr(recurrence, "serves", lambda mode, input: False)
            return compute()

    return call


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", KINDS)
def test_outputs_and_gradients_are_those_of_torch(mode, sequences, num_layers, bidirectional, padded, by_torch):
    own, other = pair(mode, 5, 7, num_layers, bidirectional, sequences)
    length = torch.tensor([9, 1, 4, 8]) if padded else None
    input = torch.randn(4, 9, 5)
    if padded:
        input = input * (torch.arange(9) < length[:, None])[:, :, None]
    weights = torch.randn(own(input).shape)
    found = answers(own, input, weights, length)
    for one, wanted in zip(found, by_torch(lambda: answers(other, input, weights, length)), strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", KINDS)
def test_a_single_step_and_a_single_sequence_are_enough(mode, by_torch):
    for shape in [(1, 1, 3), (1, 6, 3), (5, 1, 3)]:
        own, other = pair(mode, 3, 4)
        input, weights = torch.randn(shape), torch.randn(*shape[:2], 4)
        found = answers(own, input, weights)
        for one, wanted in zip(found, by_torch(lambda: answers(other, input, weights)), strict=True):  # noqa: B023
            torch.testing.assert_close(one, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", KINDS)
def test_gradients_are_those_of_small_differences(mode):
    batch, steps, features, size = 2, 4, 3, 2
    layer = pair(mode, features, size)[0].double()
    shapes = [(steps, batch, features), *(tuple(one.shape) for one in layer.parameters())]
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(recurrence.STEPS[mode], given)


@pytest.mark.parametrize("mode", KINDS)
def test_weights_alone_may_be_learned_and_nothing_may_be(mode):
    layer, _ = pair(mode, 3, 4)
    input = torch.randn(2, 5, 3)
    layer(input).sum().backward()
    assert all(one.grad is not None for one in layer.parameters())
    with torch.no_grad():
        assert not layer(input).requires_grad


def test_other_numbers_and_machines_take_torchs_own_layers():
    plain = torch.zeros(1, 1, 1)
    assert recurrence.serves("GRU", plain)
    assert not recurrence.serves("LSTM", plain)
    for other in (plain.double(), plain.bfloat16(), plain.to("meta")):
        assert not recurrence.serves("GRU", other)
    with torch.autocast("cpu", torch.bfloat16):
        assert not recurrence.serves("GRU", plain)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("mode", TRACED)
def test_a_recorded_step_calls_every_loop_whole_and_is_that_of_torch(mode, padded, by_torch, monkeypatch):
    own, other = pair(mode, 5, 7, num_layers=2, bidirectional=True)
    input, weights, length = torch.randn(4, 9, 5), torch.randn(4, 9, 14), torch.tensor([9, 1, 4, 8])

    def step(input, weights, length, *parameters):
        named = dict(zip(dict(own.named_parameters()), (one.detach().requires_grad_() for one in parameters), strict=True))
        output = torch.func.functional_call(own, named, (input, length if padded else None))
        return output.detach(), *torch.autograd.grad((output * weights).sum(), list(named.values()))

    given = [input, weights, length, *(one.detach() for one in own.parameters())]
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "_is_compiling_flag", True)
        graph = make_fx(step, tracing_mode="fake")(*given)
    found, again = graph(*given), graph(*given)
    assert sum("dlx" in str(node.target) for node in graph.graph.nodes) == 8  # two layers, two directions, there and back
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    output = by_torch(lambda: other(input, length if padded else None))
    wanted = output.detach(), *torch.autograd.grad((output * weights).sum(), list(other.parameters()))
    for one, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, right, rtol=1e-5, atol=2e-6)
