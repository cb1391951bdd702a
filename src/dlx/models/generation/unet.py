"""A small U-Net that finds the noise in an image (Ho et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.generation.shared import classes, expect_label
from dlx.registry import models

GROUPS, HEAD_SIZE = 8, 32


class TimeEmbedding(nn.Module):
    """Sines and cosines of 1000 * time, then two layers: (B,) from 0 to 1 -> (B, size)."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.pairs = (width + 1) // 2
        self.layers = nn.Sequential(nn.Linear(2 * self.pairs, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, time: Tensor) -> Tensor:
        share = torch.arange(self.pairs, device=time.device, dtype=torch.float32) / self.pairs
        angle = 1000 * time.float()[:, None] * torch.exp(-math.log(10000) * share)
        return self.layers(torch.cat((angle.sin(), angle.cos()), 1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with the time added between: (B, inputs, H, W), (B, size) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, size: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(inputs), _norm(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(size, outputs)
        self.dropout = Dropout(dropout)
        self.conv2 = _zero(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, input: Tensor, time: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(input))) + self.time(time)[:, :, None, None]
        return self.conv2(self.dropout(F.silu(self.norm2(inner)))) + self.shortcut(input)


class Attention(nn.Module):
    """Attention of every pixel to all others, added to the input: (B, channels, H, W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_SIZE if channels % HEAD_SIZE == 0 else 1
        self.norm = _norm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.output = _zero(nn.Linear(channels, channels))

    def forward(self, input: Tensor) -> Tensor:
        pixels = self.norm(input).flatten(2).transpose(1, 2)
        parts = self.query_key_value(pixels).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).flatten(2)
        return input + self.output(mixed).transpose(1, 2).unflatten(2, input.shape[2:])


class Halve(nn.Conv2d):
    """A strided 3x3 convolution: (B, channels, H, W) -> (B, channels, H / 2, W / 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, 2, 1)

    def forward(self, input: Tensor, time: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(input)


class Double(nn.Conv2d):
    """Every pixel four times, then a 3x3 convolution: (B, channels, H, W) -> (B, channels, 2 H, 2 W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.interpolate(input, scale_factor=2.0))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def _zero(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Begin with zeros, so that a block begins as its shortcut."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


@models("unet")
class UNet(nn.Module):
    """A denoising U-Net for diffusion over small images (Ho et al. 2020), told the time and, if conditional, the class.

    image (B, C, H, W) from -1 to 1, time (B,) from 0 to 1, the share of the noising done, label (B,) -> (B, C, H, W).
    "Denoising Diffusion Probabilistic Models". A label of `num_classes` says there is none, as no label at all does.
    Each of `multipliers` times `width` is the number of channels of a resolution, with `blocks` residual blocks on the way
    down and one more on the way up; each resolution but the first halves height and width. `attention` is at the lowest.
    """

    def __init__(
        self,
        input_shape: list[int],
        num_classes: int | None = None,
        *,
        width: PositiveInt = 32,
        multipliers: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 2, 4),
        blocks: PositiveInt = 1,
        dropout: Rate = 0.0,
        attention: bool = True,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        _verify_sides(input_shape, len(multipliers))
        self.conditional, self.num_classes = conditional, classes(conditional, num_classes)
        size, widths = 4 * width, [width * multiplier for multiplier in multipliers]
        self.time = TimeEmbedding(width, size)
        self.label = nn.Embedding(self.num_classes + 1, size) if conditional else None
        self.first = nn.Conv2d(input_shape[0], width, 3, padding=1)
        self.down, kept = _way_down(width, widths, blocks, size, dropout)
        self.middle1, self.middle2 = (ResidualBlock(widths[-1], widths[-1], size, dropout) for _ in range(2))
        self.attention = Attention(widths[-1]) if attention else nn.Identity()
        self.up = _way_up(kept, widths, blocks, size, dropout)
        self.norm = _norm(widths[0])
        self.last = _zero(nn.Conv2d(widths[0], input_shape[0], 3, padding=1))

    def forward(self, image: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        told = self._tell(time, label)
        state = self.first(image)
        kept = [state]
        for module in self.down:
            state = module(state, told)
            kept.append(state)
        state = self.middle2(self.attention(self.middle1(state, told)), told)
        for module in self.up:
            state = module(state) if isinstance(module, Double) else module(torch.cat((state, kept.pop()), 1), told)
        return self.last(F.silu(self.norm(state)))

    def _tell(self, time: Tensor, label: Tensor | None) -> Tensor:
        """Embed the time and the label: (B, size)."""
        embedded = self.time(time)
        if self.label is None:
            expect_label(label, 0)
        else:
            embedded = embedded + (self.label(label) if label is not None else self.label.weight[self.num_classes])
        return F.silu(embedded)


def _way_down(inputs: int, widths: Sequence[int], blocks: int, size: int, dropout: float) -> tuple[nn.ModuleList, list[int]]:
    """Make the way down; the second are the channels of all maps that the way up joins."""
    modules, kept = nn.ModuleList(), [inputs]
    for level, outputs in enumerate(widths):
        if level:
            modules.append(Halve(inputs))
            kept.append(inputs)
        for _ in range(blocks):
            modules.append(ResidualBlock(inputs, outputs, size, dropout))
            inputs = outputs
            kept.append(outputs)
    return modules, kept


def _way_up(kept: list[int], widths: Sequence[int], blocks: int, size: int, dropout: float) -> nn.ModuleList:
    modules, inputs = nn.ModuleList(), widths[-1]
    for level in reversed(range(len(widths))):
        for _ in range(blocks + 1):
            modules.append(ResidualBlock(inputs + kept.pop(), widths[level], size, dropout))
            inputs = widths[level]
        if level:
            modules.append(Double(inputs))
    return modules


def _verify_sides(input_shape: list[int], levels: int) -> None:
    require(tuple(input_shape), IMAGE)
    factor = 2 ** (levels - 1)
    if input_shape[1] % factor or input_shape[2] % factor:
        sides = f"{input_shape[1]}x{input_shape[2]}"
        raise ComponentError(
            f"halves images {levels - 1} times, so it wants sides divisible by {factor}, not {sides}", ("multipliers",)
        )
