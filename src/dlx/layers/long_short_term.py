"""The LSTM of oneDNN, as torch has it, for steps that are compiled: the compiler cannot call torch's own operator itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dlx.layers.operators import operator

LSTM = 2  # the mode's number in torch
WEIGHTS = "Tensor input, Tensor into, Tensor across, Tensor bias, Tensor other"


class LongShortTerm(torch.autograd.Function):
    """One direction of one layer of torch.nn.LSTM, from h = c = 0: (T, B, F) -> (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        found: list[Tensor] = torch.ops.dlx.long_short_term(*given)
        ctx.save_for_backward(*given, *found)
        return found[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.ops.dlx.long_short_term_backward(given, *ctx.saved_tensors))


def steps(input: Tensor, *weights: Tensor) -> list[Tensor]:
    """Return the states after every step, the last state and memory, and what oneDNN needs for the gradients."""
    state, options = _state(input, weights), (LSTM, weights[1].shape[1], 1)
    with torch.enable_grad():  # else oneDNN would keep nothing
        return list(
            torch.ops.aten.mkldnn_rnn_layer(
                input.contiguous(), *weights, state, state, False, [], *options, True, False, False, True
            )
        )


def steps_backward(given: Tensor, input: Tensor, *rest: Tensor) -> list[Tensor]:
    """Return the gradients of the input and of the four weights."""
    weights, (output, last, memory, kept) = rest[:4], rest[4:]
    state, options = _state(input, weights), (LSTM, weights[1].shape[1], 1)
    found = torch.ops.aten.mkldnn_rnn_layer_backward(
        input.contiguous(), *weights, state, state, output, last, memory, given.contiguous(), None, None, False, *options,
        True, True, False, [], False, kept,
    )  # fmt: skip
    return [one.clone() for one in found[:5]]  # of the two biases both are one


def _state(input: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
    return input.new_zeros(input.shape[1], weights[1].shape[1])


def _shaped(input: Tensor, *weights: Tensor) -> list[Tensor]:
    state = _state(input, weights)
    kept = input.new_empty(0, dtype=torch.uint8)  # how long it is only oneDNN knows, and nobody else reads it
    return [input.new_empty(len(input), *state.shape), state, state.clone(), kept]


operator(f"long_short_term({WEIGHTS}) -> Tensor[]", steps, _shaped)
operator(
    f"long_short_term_backward(Tensor given, {WEIGHTS}, Tensor output, Tensor last, Tensor memory, Tensor kept) -> Tensor[]",
    steps_backward,
    lambda given, *rest: [torch.empty_like(one, memory_format=torch.contiguous_format) for one in rest[:5]],
)
