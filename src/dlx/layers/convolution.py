"""Convolutions over images (channels, height, width) and over sequences (steps, features)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.activation import Activation, make_optional
from dlx.layers.building import IMAGE, SEQUENCE, Initializer, Shape, chain, initialized, require
from dlx.layers.lengths import ReadsLength, windows
from dlx.layers.shorthand import Size
from dlx.registry import layers

Pair = PositiveInt | tuple[PositiveInt, PositiveInt]
Padding = Literal["same", "valid"] | NonNegativeInt


def pair(value: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """Write a number for both axes, height and width, twice."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _pads(padding: Padding, kernel_size: tuple[int, ...], dilation: int) -> list[tuple[int, int]]:
    """Give the padding before and after on each axis; `same` makes ceil(size / stride) values."""
    if padding != "same":
        number = 0 if padding == "valid" else int(padding)
        return [(number, number)] * len(kernel_size)
    totals = [dilation * (size - 1) for size in kernel_size]
    return [(total // 2, total - total // 2) for total in totals]


def _check_groups(groups: int, *channels: int) -> None:
    if any(number % groups for number in channels):
        raise ComponentError(f"wants a divisor of {' and of '.join(map(str, channels))} channels, not {groups}", ("groups",))


@layers("conv2d")
def conv2d(
    input_shape: Shape,
    *,
    filters: Size,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: PositiveInt = 1,
    groups: PositiveInt = 1,
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Slide filters over an image: (channels, height, width) -> (filters, height', width')."""
    require(input_shape, IMAGE)
    _check_groups(groups, input_shape[0], filters)
    kernel = pair(kernel_size)
    (top, bottom), (left, right) = _pads(padding, kernel, dilation)
    uneven = (top, left) != (bottom, right)  # an even kernel: the convolution itself pads both sides alike
    pad = nn.ZeroPad2d((left, right, top, bottom)) if uneven else None
    inside = (0, 0) if uneven else (top, left)
    module = nn.Conv2d(input_shape[0], filters, kernel, pair(stride), inside, dilation, groups, bias)
    act = make_optional(activation, input_shape)
    return chain(pad=pad, main=initialized(module, initializer), activation=act)


class SequenceConvolution(nn.Conv1d, ReadsLength):
    """Convolve along the steps: (B, steps, features) -> (B, steps', filters); a short sequence has its first window."""

    pads: tuple[int, int] | None = None  # before and after, where the convolution's own padding, alike, will not do

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        steps_last = input.transpose(1, 2)
        if length is not None and (short := self._span() - self._around() - input.shape[1]) > 0:
            steps_last = F.pad(steps_last, (0, short))
        return super().forward(F.pad(steps_last, self.pads) if self.pads else steps_last).transpose(1, 2)

    def output_length(self, length: Tensor) -> Tensor:
        return windows(length, self._span(), self.stride[0], self._around())

    def _span(self) -> int:
        return self.dilation[0] * (self.kernel_size[0] - 1) + 1

    def _around(self) -> int:
        return sum(self.pads) if self.pads else 2 * int(self.padding[0])


@layers("conv1d")
def conv1d(
    input_shape: Shape,
    *,
    filters: Size,
    kernel_size: PositiveInt = 3,
    stride: PositiveInt = 1,
    padding: Literal["same", "valid", "causal"] | NonNegativeInt = "valid",
    dilation: PositiveInt = 1,
    groups: PositiveInt = 1,
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Slide filters along a sequence: (steps, features) -> (steps', filters); `causal` sees no later step."""
    require(input_shape, SEQUENCE)
    _check_groups(groups, input_shape[1], filters)
    causal = (dilation * (kernel_size - 1), 0)
    before, after = causal if padding == "causal" else _pads(padding, (kernel_size,), dilation)[0]
    inside = before if before == after else 0
    module = SequenceConvolution(input_shape[1], filters, kernel_size, stride, inside, dilation, groups, bias)
    module.pads = (before, after) if before != after else None
    return chain(main=initialized(module, initializer), activation=make_optional(activation, (filters,)))


@layers("conv_transpose2d")
def conv_transpose2d(
    input_shape: Shape,
    *,
    filters: Size,
    kernel_size: PositiveInt = 4,
    stride: PositiveInt = 2,
    padding: Padding = "same",
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Enlarge an image by learned filters; `same` gives height * stride and width * stride."""
    require(input_shape, IMAGE)
    excess = max(kernel_size - stride, 0) if padding == "same" else 0
    inside = (excess + 1) // 2 if padding in ("same", "valid") else int(padding)
    # A kernel smaller than its stride leaves a gap at the end, an odd excess takes one value too many.
    extra = 2 * inside - (kernel_size - stride) if padding == "same" else 0
    module = nn.ConvTranspose2d(input_shape[0], filters, kernel_size, stride, inside, extra, bias=bias)
    return chain(main=initialized(module, initializer), activation=make_optional(activation, input_shape))


@layers("depthwise_conv2d")
def depthwise_conv2d(
    input_shape: Shape,
    *,
    kernel_size: Pair = 3,
    multiplier: PositiveInt = 1,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: PositiveInt = 1,
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Filter each channel of an image by itself, `multiplier` times."""
    require(input_shape, IMAGE)
    channels, sizes = input_shape[0], {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    rest = {"activation": activation, "bias": bias, "initializer": initializer}
    return conv2d(input_shape, filters=channels * multiplier, groups=channels, **sizes, **rest)


@layers("separable_conv2d")
def separable_conv2d(
    input_shape: Shape,
    *,
    filters: Size,
    kernel_size: Pair = 3,
    stride: Pair = 1,
    padding: Padding = "valid",
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Filter each channel by itself, then mix the channels at each pixel (Xception, Chollet 2017)."""
    depthwise = depthwise_conv2d(
        input_shape, kernel_size=kernel_size, stride=stride, padding=padding, bias=False, initializer=initializer
    )
    parts = dict(depthwise.named_children()) if isinstance(depthwise, nn.Sequential) else {"main": depthwise}
    mix = initialized(nn.Conv2d(input_shape[0], filters, 1, bias=bias), initializer)
    return chain(**parts, pointwise=mix, activation=make_optional(activation, input_shape))
