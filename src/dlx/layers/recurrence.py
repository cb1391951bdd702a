"""Recurrent layers in one direction, written out for a CPU: torch's own record each small operation of each step for autograd.

Here the input's share of all steps is one matrix product, a step is a product and its activations in place, and the gradients of
the weights are one product at the end. What does not depend on the gradient that comes back is computed for all steps at once.
The loops over the steps are operators of torch: a compiled step calls each of them as a whole, instead of unrolling it.
Weights and their order are those of torch.nn.RNN and torch.nn.GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dlx.layers.long_short_term import WEIGHTS, LongShortTerm
from dlx.layers.operators import operator

# B: batch, T: steps, F: features, H: size

backward_of_tanh, backward_of_sigmoid = torch.ops.aten.tanh_backward, torch.ops.aten.sigmoid_backward


class SimpleRecurrence(torch.autograd.Function):
    """h = activation(W_ih x + b_ih + W_hh h + b_hh), from h = 0: (T, B, F) -> (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor, relu: bool) -> Tensor:
        output: Tensor = torch.ops.dlx.simple_recurrence(input, into, across, bias, other, relu)
        ctx.save_for_backward(input, into, across, output)
        ctx.relu = relu
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        input, into, across, output = ctx.saved_tensors
        inner = torch.ops.dlx.simple_recurrence_backward(given, output, across, ctx.relu)
        bias = inner.sum((0, 1))
        return (
            behind(inner, into) if ctx.needs_input_grad[0] else None,
            met(inner, input),
            followed(inner, output),
            bias,
            bias,
            None,
        )


def simple_steps(input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor, relu: bool) -> Tensor:
    """Return the state after every step: (T, B, H)."""
    output = projected(input, into, bias + other)
    weight, state = across.t().contiguous(), None
    for step in output.unbind():
        if state is not None:
            step.addmm_(state, weight)
        state = step.relu_() if relu else step.tanh_()
    return output


def simple_steps_backward(given: Tensor, output: Tensor, across: Tensor, relu: bool) -> Tensor:
    """Return the gradients before the activations, of those after them: (T, B, H)."""
    inner = torch.empty_like(output).copy_(given)  # at once, for its steps may lie far apart
    slopes = (output > 0).to(output.dtype) if relu else torch.addcmul(output.new_ones(()), output, output, value=-1)
    after = None
    for step, slope in zip(reversed(inner.unbind()), reversed(slopes.unbind()), strict=True):
        if after is not None:
            step.addmm_(after, across)
        after = step.mul_(slope)
    return inner


class GatedRecurrence(torch.autograd.Function):
    """A gated recurrent unit as in torch.nn.GRU, from h = 0: (T, B, F) -> (T, B, H).

    r, z = sigmoid(W_i x + b_i + W_h h + b_h); n = tanh(W_in x + b_in + r q), where q = W_hn h + b_hn; h = n + z (h - n).
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor) -> Tensor:
        found: list[Tensor] = torch.ops.dlx.gated_recurrence(input, into, across, bias, other)
        ctx.save_for_backward(input, into, across, *found)
        return found[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        input, into, across, *found = ctx.saved_tensors
        inner: Tensor = torch.ops.dlx.gated_recurrence_backward(given, across, *found)
        size = across.shape[1]
        inputs, states, bias = inner[..., : 3 * size], inner[..., size:], inner.sum((0, 1))
        of_into, first = met(inputs, input), inputs.flatten(0, 1)
        return (
            (first @ torch.roll(into, size, 0)).view(*input.shape) if ctx.needs_input_grad[0] else None,
            torch.roll(of_into, -size, 0),  # n, r, z to r, z, n
            followed(states, found[-1]),
            torch.roll(bias[: 3 * size], -size, 0),
            bias[size:],
        )


def gated_steps(input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor) -> list[Tensor]:
    """Return r, z, n, q and h of every step: (T, B, H) each."""
    size, input = across.shape[1], input.contiguous()
    added = torch.cat((bias[: 2 * size] + other[: 2 * size], bias[2 * size :])).chunk(3)
    reset, update, new = (projected(input, *part) for part in zip(into.chunk(3), added, strict=True))
    recalled = other[2 * size :].expand_as(new).clone(memory_format=torch.contiguous_format)
    by_reset, by_update, by_new = (part.t().contiguous() for part in across.chunk(3))
    output, state = torch.empty_like(new), new.new_zeros(new.shape[1:])
    for r, z, n, q, after in zip(*(one.unbind() for one in (reset, update, new, recalled, output)), strict=True):
        r.addmm_(state, by_reset).sigmoid_()
        z.addmm_(state, by_update).sigmoid_()
        n.addcmul_(r, q.addmm_(state, by_new)).tanh_()
        state = torch.lerp(n, state, z, out=after)
    return [reset, update, new, recalled, output]


def gated_steps_backward(
    given: Tensor, across: Tensor, reset: Tensor, update: Tensor, new: Tensor, recalled: Tensor, output: Tensor
) -> Tensor:
    """Return the gradients of n, r, z before their activations, and of q, of those of h: (T, B, 4 H).

    They lie side by side, so that what comes of r, z and q is one product, and what comes of n, r and z another.
    """
    inner = new.new_empty(*new.shape[:2], 4, new.shape[2])  # first by what a step's gradient is multiplied
    by_new, by_reset, by_update, by_recalled = inner.unbind(2)
    backward_of_tanh.grad_input(1 - update, new, grad_input=by_new)
    backward_of_sigmoid.grad_input(recalled, reset, grad_input=by_reset)
    by_reset *= by_new
    torch.mul(by_new, reset, out=by_recalled)
    torch.neg(new, out=by_update)
    by_update[1:] += output[:-1]
    backward_of_sigmoid.grad_input(by_update, update, grad_input=by_update)
    states = torch.empty_like(output).copy_(given)
    flat = inner.flatten(2)
    behind_steps = zip(*(one.unbind() for one in (states, inner, flat[:, :, new.shape[2] :], update)), strict=True)
    after: tuple[Tensor, ...] | None = None
    for state, parts, recurrent, z in reversed(list(behind_steps)):
        if after is not None:
            grad, later, kept = after
            state.addcmul_(grad, kept).addmm_(later, across)
        parts.mul_(state.unsqueeze(1))
        after = state, recurrent, z
    return flat


GATES = "Tensor reset, Tensor update, Tensor fresh, Tensor recalled, Tensor output"


def empty_states(input: Tensor, into: Tensor, across: Tensor, *rest: Any) -> Tensor:
    """Make room for the states after every step."""
    return input.new_empty(*input.shape[:2], across.shape[1])


operator(f"simple_recurrence({WEIGHTS}, bool relu) -> Tensor", simple_steps, empty_states)
operator(
    "simple_recurrence_backward(Tensor given, Tensor output, Tensor across, bool relu) -> Tensor",
    simple_steps_backward,
    lambda given, output, across, relu: torch.empty_like(output),
)
operator(f"gated_recurrence({WEIGHTS}) -> Tensor[]", gated_steps, lambda *given: [empty_states(*given) for _ in range(5)])
operator(
    f"gated_recurrence_backward(Tensor given, Tensor across, {GATES}) -> Tensor",
    gated_steps_backward,
    lambda given, across, *gates: given.new_empty(*given.shape[:2], 4 * across.shape[1]),
)


def projected(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what all steps (T, B, F) bring of their own: (T, B, H)."""
    return torch.addmm(bias, input.flatten(0, 1), weight.t()).view(*input.shape[:2], -1)


def behind(inner: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the input (T, B, F) of steps whose own is (T, B, H)."""
    return (inner.flatten(0, 1) @ weight).view(*inner.shape[:2], -1)


def met(inner: Tensor, input: Tensor) -> Tensor:
    """Return the gradient of the weights (H, F) that met the input."""
    return (input.flatten(0, 1).t() @ inner.flatten(0, 1)).t()


def followed(inner: Tensor, output: Tensor) -> Tensor:
    """Return the gradient of the weights (H, H) that met the state before each step, the first of which is zero."""
    return inner[1:].flatten(0, 1).t() @ output[:-1].flatten(0, 1)


def serves(mode: str, input: Tensor) -> bool:
    """Tell whether a direction of a layer runs here: float32 on a CPU. torch's LSTM is as quick, but cannot be compiled."""
    plain = input.device.type == "cpu" and input.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return plain and (mode != "LSTM" or (torch.compiler.is_compiling() and torch.backends.mkldnn.is_available()))


def run(mode: str, input: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Run one direction of one layer: (B, T, F) -> (B, T, H)."""
    return STEPS[mode](input.transpose(0, 1), *weights).transpose(0, 1)


STEPS: dict[str, Callable[..., Tensor]] = {
    "RNN_TANH": lambda *given: SimpleRecurrence.apply(*given, False),
    "RNN_RELU": lambda *given: SimpleRecurrence.apply(*given, True),
    "GRU": GatedRecurrence.apply,
    "LSTM": LongShortTerm.apply,
}
