"""Pooling and enlarging: over the height and width of images, over the steps of sequences."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, KINDS, SEQUENCE, LayerShapeError, Shape, require
from dlx.layers.convolution import Padding
from dlx.layers.lengths import ReadsLength, StepByStep, filled, inside, windows
from dlx.registry import layers


class AlongSteps(nn.Module):
    """Run a module for (B, features, steps) on (B, steps, features)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input: Tensor) -> Tensor:
        return self.module(input.transpose(1, 2)).transpose(1, 2)


class DropAlongSteps(AlongSteps, StepByStep):
    """Drop whole features out of (B, steps, features)."""


class UpsampleSteps(AlongSteps, ReadsLength):
    """Repeat every step."""

    def __init__(self, factor: int) -> None:
        super().__init__(nn.Upsample(scale_factor=factor, mode="nearest"))
        self.factor = factor

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        return super().forward(input)

    def output_length(self, length: Tensor) -> Tensor:
        return length * self.factor


class PadSteps(nn.ZeroPad2d, ReadsLength):
    """Put zeros at both ends of every sequence."""

    def __init__(self, steps: int) -> None:
        super().__init__((0, 0, steps, steps))
        self.steps = steps

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        return super().forward(input)

    def output_length(self, length: Tensor) -> Tensor:
        return length + 2 * self.steps


class PoolSteps(AlongSteps, ReadsLength):
    """Pool windows of steps, of which those behind a sequence's end are left out; a short one has its first window."""

    def __init__(self, module: nn.MaxPool1d | nn.AvgPool1d, size: int, stride: int, padding: int) -> None:
        super().__init__(module)
        self.size, self.stride, self.padding, self.ceil = size, stride, 2 * padding, module.ceil_mode
        self.is_maximum = isinstance(module, nn.MaxPool1d)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        if length is None:
            return super().forward(input)
        short = (0, 0, 0, max(self.size - self.padding - input.shape[1], 0))
        if self.is_maximum:
            return super().forward(F.pad(filled(input, length, -torch.inf), short, value=-torch.inf))
        counts = inside(input.shape[1], length).to(input.dtype)[:, :, None]
        shares = super().forward(F.pad(counts, short))  # of each window, what is no padding
        return super().forward(F.pad(input, short)) / shares.clamp(min=1 / (2 * self.size))

    def output_length(self, length: Tensor) -> Tensor:
        return windows(length, self.size, self.stride, self.padding, self.ceil)


def _window(size: int, stride: int, padding: Padding) -> tuple[int, bool]:
    """Give padding and ceil_mode; `same` makes ceil(size / stride) values."""
    if padding != "same":
        return (0 if padding == "valid" else int(padding)), False
    if size % 2:
        return (size - 1) // 2, False
    if size != stride:
        raise ComponentError("'same' wants an odd size or a stride equal to the size", ("padding",))
    return 0, True


@layers("max_pool")
def max_pool(
    input_shape: Shape, *, size: PositiveInt = 2, stride: PositiveInt | None = None, padding: Padding = "valid"
) -> nn.Module:
    """Keep the largest value of each window; `stride` is the window's size unless given."""
    require(input_shape, IMAGE, SEQUENCE)
    inside, ceil = _window(size, stride or size, padding)
    if len(input_shape) == 3:
        return nn.MaxPool2d(size, stride, inside, ceil_mode=ceil)
    return PoolSteps(nn.MaxPool1d(size, stride, inside, ceil_mode=ceil), size, stride or size, inside)


@layers("avg_pool")
def avg_pool(
    input_shape: Shape, *, size: PositiveInt = 2, stride: PositiveInt | None = None, padding: Padding = "valid"
) -> nn.Module:
    """Average each window, padding left out; `stride` is the window's size unless given."""
    require(input_shape, IMAGE, SEQUENCE)
    inside, ceil = _window(size, stride or size, padding)
    if len(input_shape) == 3:
        return nn.AvgPool2d(size, stride or size, inside, ceil_mode=ceil, count_include_pad=False)
    pool = nn.AvgPool1d(size, stride or size, inside, ceil_mode=ceil, count_include_pad=False)
    return PoolSteps(pool, size, stride or size, inside)


class GlobalAverage(nn.Module, ReadsLength):
    """Average over the axes given, or over the steps within each sequence's length."""

    keeps_steps = False

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        return input.mean(self.axes) if length is None else input.sum(1) / length[:, None]


class GlobalMaximum(GlobalAverage):
    """Take the maximum over the axes given, or over the steps within each sequence's length."""

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        return input.amax(self.axes) if length is None else filled(input, length, -torch.inf).amax(1)


def _global_axes(input_shape: Shape) -> tuple[int, ...]:
    require(input_shape, IMAGE, SEQUENCE)
    return (2, 3) if len(input_shape) == 3 else (1,)


@layers("global_avg_pool")
def global_avg_pool(input_shape: Shape) -> nn.Module:
    """Average over all pixels or steps: (channels, height, width) -> (channels); (steps, features) -> (features)."""
    return GlobalAverage(_global_axes(input_shape))


@layers("global_max_pool")
def global_max_pool(input_shape: Shape) -> nn.Module:
    """Keep the largest value over all pixels or steps of each channel."""
    return GlobalMaximum(_global_axes(input_shape))


@layers("upsample")
def upsample(input_shape: Shape, *, factor: PositiveInt = 2, mode: Literal["nearest", "bilinear"] = "nearest") -> nn.Module:
    """Enlarge height and width, or the number of steps, by a factor."""
    require(input_shape, IMAGE, SEQUENCE)
    if len(input_shape) == 3:
        return nn.Upsample(scale_factor=factor, mode=mode)
    if mode == "bilinear":
        raise LayerShapeError(KINDS[IMAGE], ("mode",))
    return UpsampleSteps(factor)


@layers("zero_pad")
def zero_pad(input_shape: Shape, *, size: NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt] = 1) -> nn.Module:
    """Put zeros around an image or at both ends of a sequence; a pair is top and bottom alike, then left and right."""
    require(input_shape, IMAGE, SEQUENCE)
    rows, columns = (size, size) if isinstance(size, int) else size
    if len(input_shape) == 3:
        return nn.ZeroPad2d((columns, columns, rows, rows))
    return PadSteps(rows)
