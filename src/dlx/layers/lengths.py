"""Padded sequences: where each of a batch ends, and what a module has to do with it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError

# B: batch, T: steps of the batch, F: features


class StepByStep:
    """Base of modules that make each step of their output from that step of the input alone."""


class ReadsLength:
    """Base of modules that are told where each sequence ends: `forward(input, length=None)`, length int64 (B,), at least 1.

    Behind a sequence's end the input is 0. What the output has there does not matter: it is set to 0 by the caller.
    """

    keeps_steps = True  # whether the output still has steps, some of which may be padding

    def output_length(self, length: Tensor) -> Tensor:
        """Return the numbers of steps that come out of so many."""
        return length


# torch's own modules that never look from one value to another, and a code's vector, whatever the axes.
ELEMENTWISE = (
    nn.Embedding, nn.Identity, nn.Dropout, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.SELU, nn.Tanh, nn.Sigmoid,
    nn.Hardsigmoid, nn.Hardswish, nn.Softplus, nn.Softsign, nn.LeakyReLU, nn.ELU, nn.PReLU,
)  # fmt: skip
MIXES = (
    "mixes the steps of a sequence without knowing where it ends, and this data pads sequences; make one vector of the steps "
    "first, such as by global_max_pool, attention_pool, or an lstm without return_sequences"
)


def stays_padded(modules: Iterable[nn.Module], input_axes: int, output_axes: int) -> bool:
    """Return whether what modules make of padded sequences still has padded steps; axes are those of one sample.

    Raises ComponentError where they mix steps and do not know the lengths.
    """
    axes = input_axes
    for module in modules:
        if isinstance(module, ReadsLength):
            if not module.keeps_steps:
                return False
        elif not _by_step(module, axes):
            raise ComponentError(MIXES)
        axes = output_axes
    return True


def _by_step(module: nn.Module, axes: int) -> bool:
    """Return whether a module keeps steps apart: those of codes (T,) are the last axis, those of vectors (T, F) are not."""
    if isinstance(module, nn.Softmax):
        return axes > 1 and module.dim in (-1, axes)
    if isinstance(module, nn.LayerNorm):
        return len(module.normalized_shape) < axes
    return isinstance(module, (StepByStep, *ELEMENTWISE)) or (isinstance(module, nn.Linear) and axes > 1)


def inside(steps: int, length: Tensor) -> Tensor:
    """Return which of so many steps are no padding, as bool (B, T)."""
    return torch.arange(steps, device=length.device) < length[:, None]


def filled(input: Tensor, length: Tensor, value: float) -> Tensor:
    """Set the steps of (B, T, ...) that are padding to a value."""
    behind = ~inside(input.shape[1], length)
    return input.masked_fill(behind.view(*behind.shape, *[1] * (input.ndim - 2)), value)


def turned(steps: Tensor, length: Tensor | None) -> Tensor:
    """Turn each sequence of (B, T, F) round within its length, or as a whole; what lies behind stays."""
    if length is None:
        return steps.flip(1)
    place = torch.arange(steps.shape[1], device=steps.device)
    order = torch.where(place < length[:, None], length[:, None] - 1 - place, place)
    return steps.gather(1, order[:, :, None].expand(-1, -1, steps.shape[2]))


def windows(length: Tensor, size: int, stride: int, padding: int, ceil: bool = False) -> Tensor:
    """Return how many windows of `size` steps fit, where `padding` steps are put around; at least one, of short sequences too.

    With `ceil` a last window counts that is not full.
    """
    rest = length + padding - size
    return ((-(-rest // stride) if ceil else rest // stride) + 1).clamp(min=1)
