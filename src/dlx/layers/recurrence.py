"""Recurrent layers in one direction, written out for a CPU: torch's own record each small operation of each step for autograd.

Here the input's share of all steps is one matrix product, a step is a product and its activations in place, and the gradients of
the weights are one product at the end. What does not depend on the gradient that comes back is computed for all steps at once.
Weights and their order are those of torch.nn.RNN and torch.nn.GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# B: batch, T: steps, F: features, H: size

backward_of_tanh, backward_of_sigmoid = torch.ops.aten.tanh_backward, torch.ops.aten.sigmoid_backward


class SimpleRecurrence(torch.autograd.Function):
    """h = activation(W_ih x + b_ih + W_hh h + b_hh), from h = 0: (T, B, F) -> (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor, relu: bool) -> Tensor:
        output = projected(input, into, bias + other)
        weight, state = across.t().contiguous(), None
        for step in output.unbind():
            if state is not None:
                torch.addmm(step, state, weight, out=step)
            state = step.relu_() if relu else step.tanh_()
        ctx.save_for_backward(input, into, across, output)
        ctx.relu = relu
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        input, into, across, output = ctx.saved_tensors
        inner = torch.empty_like(output)  # gradients before the activations
        undone = torch.ops.aten.threshold_backward if ctx.relu else backward_of_tanh
        after = None
        for step, state, grad in zip(*(reversed(one.unbind()) for one in (inner, output, given)), strict=True):
            if after is not None:
                grad = torch.addmm(grad, after, across, out=step)
            after = undone.grad_input(grad, state, *([0] if ctx.relu else []), grad_input=step)
        bias = inner.sum((0, 1))
        return (
            behind(inner, into) if ctx.needs_input_grad[0] else None,
            met(inner, input),
            followed(inner, output),
            bias,
            bias,
            None,
        )


class GatedRecurrence(torch.autograd.Function):
    """A gated recurrent unit as in torch.nn.GRU, from h = 0: (T, B, F) -> (T, B, H).

    r, z = sigmoid(W_i x + b_i + W_h h + b_h); n = tanh(W_in x + b_in + r q), where q = W_hn h + b_hn; h = n + z (h - n).
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor, into: Tensor, across: Tensor, bias: Tensor, other: Tensor) -> Tensor:
        size = across.shape[1]
        added = torch.cat((bias[: 2 * size] + other[: 2 * size], bias[2 * size :])).chunk(3)
        reset, update, new = (projected(input, *part) for part in zip(into.chunk(3), added, strict=True))
        by_reset, by_update, by_new = (part.t().contiguous() for part in across.chunk(3))
        recalled, output, state = torch.empty_like(new), torch.empty_like(new), new.new_zeros(new.shape[1:])
        for r, z, n, q, after in zip(*(one.unbind() for one in (reset, update, new, recalled, output)), strict=True):
            torch.addmm(r, state, by_reset, out=r).sigmoid_()
            torch.addmm(z, state, by_update, out=z).sigmoid_()
            torch.addmm(other[2 * size :], state, by_new, out=q)
            n.addcmul_(r, q).tanh_()
            state = torch.lerp(n, state, z, out=after)
        ctx.save_for_backward(input, into, across, reset, update, new, recalled, output)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        input, into, across, reset, update, new, recalled, output = ctx.saved_tensors
        factors = new.new_empty(4, *new.shape)  # of a step's gradient: those of r, z, q and n before their activations
        shifted = torch.cat((torch.zeros_like(output[:1]), output[:-1]))
        backward_of_tanh.grad_input(1 - update, new, grad_input=factors[3])
        backward_of_sigmoid.grad_input(shifted - new, update, grad_input=factors[1])
        backward_of_sigmoid.grad_input(recalled, reset, grad_input=factors[0])
        factors[0] *= factors[3]
        torch.mul(factors[3], reset, out=factors[2])
        weights, grad = across.chunk(3), given[-1]
        for step in range(len(output) - 1, -1, -1):
            parts = torch.mul(factors[:, step], grad, out=factors[:, step])  # from here on the gradients themselves
            if step:
                grad = torch.addcmul(given[step - 1], grad, update[step])
                for part, weight in zip(parts, weights, strict=False):
                    grad.addmm_(part, weight)
        inputs, states = (factors[0], factors[1], factors[3]), factors[:3]
        biases = factors.sum((1, 2))
        wanted = ctx.needs_input_grad[0]
        return (
            behind(torch.cat(inputs, 2), into) if wanted else None,
            torch.cat([met(part, input) for part in inputs]),
            torch.cat([followed(part, output) for part in states]),
            torch.cat((biases[0], biases[1], biases[3])),
            biases[:3].flatten(),
        )  # fmt: skip


def projected(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what all steps (T, B, F) bring of their own: (T, B, H)."""
    return torch.addmm(bias, input.flatten(0, 1), weight.t()).view(*input.shape[:2], -1)


def behind(inner: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the input (T, B, F) of steps whose own is (T, B, H)."""
    return (inner.flatten(0, 1) @ weight).view(*inner.shape[:2], -1)


def met(inner: Tensor, input: Tensor) -> Tensor:
    """Return the gradient of the weights (H, F) that met the input."""
    return inner.flatten(0, 1).t() @ input.flatten(0, 1)


def followed(inner: Tensor, output: Tensor) -> Tensor:
    """Return the gradient of the weights (H, H) that met the state before each step, the first of which is zero."""
    return inner[1:].flatten(0, 1).t() @ output[:-1].flatten(0, 1)


def serves(mode: str, input: Tensor) -> bool:
    """Tell whether a direction of a layer runs here: float32 on a CPU. torch's LSTM is one of oneDNN's primitives, and faster."""
    plain = input.device.type == "cpu" and input.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return mode in STEPS and plain


def run(mode: str, input: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Run one direction of one layer: (B, T, F) -> (B, T, H)."""
    return STEPS[mode](input.transpose(0, 1), *weights).transpose(0, 1)


STEPS: dict[str, Callable[..., Tensor]] = {
    "RNN_TANH": lambda *given: SimpleRecurrence.apply(*given, False),
    "RNN_RELU": lambda *given: SimpleRecurrence.apply(*given, True),
    "GRU": GatedRecurrence.apply,
}
