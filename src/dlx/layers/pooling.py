"""Pooling and enlarging: over the height and width of images, over the steps of sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, KINDS, SEQUENCE, LayerShapeError, Shape, require
from dlx.layers.convolution import Padding
from dlx.registry import layers


class AlongSteps(nn.Module):
    """Run a module for (B, features, steps) on (B, steps, features)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input: Tensor) -> Tensor:
        return self.module(input.transpose(1, 2)).transpose(1, 2)


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
    return AlongSteps(nn.MaxPool1d(size, stride, inside, ceil_mode=ceil))


@layers("avg_pool")
def avg_pool(
    input_shape: Shape, *, size: PositiveInt = 2, stride: PositiveInt | None = None, padding: Padding = "valid"
) -> nn.Module:
    """Average each window, padding left out; `stride` is the window's size unless given."""
    require(input_shape, IMAGE, SEQUENCE)
    inside, ceil = _window(size, stride or size, padding)
    kind = nn.AvgPool2d if len(input_shape) == 3 else nn.AvgPool1d
    pool = kind(size, stride or size, inside, ceil_mode=ceil, count_include_pad=False)
    return pool if len(input_shape) == 3 else AlongSteps(pool)


class GlobalAverage(nn.Module):
    """Average over the axes given."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, input: Tensor) -> Tensor:
        return input.mean(self.axes)


class GlobalMaximum(GlobalAverage):
    """Take the maximum over the axes given."""

    def forward(self, input: Tensor) -> Tensor:
        return input.amax(self.axes)


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
    return AlongSteps(nn.Upsample(scale_factor=factor, mode="nearest"))


@layers("zero_pad")
def zero_pad(input_shape: Shape, *, size: NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt] = 1) -> nn.Module:
    """Put zeros around an image or at both ends of a sequence; a pair is top and bottom alike, then left and right."""
    require(input_shape, IMAGE, SEQUENCE)
    rows, columns = (size, size) if isinstance(size, int) else size
    if len(input_shape) == 3:
        return nn.ZeroPad2d((columns, columns, rows, rows))
    return nn.ZeroPad2d((0, 0, rows, rows))
