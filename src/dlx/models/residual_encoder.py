"""A small residual network that gives maps of several resolutions, for models that look at places in an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlx.layers.residual import ResidualBlock


class ResidualEncoder(nn.Module):
    """Images (B, C, H, W) to maps, each of half the resolution of the one before; the first is `stride` times smaller.

    A stem of 3x3 convolutions, each of which but perhaps the first halves height and width, then a group of `depth`
    residual blocks for each of `widths`. Sizes are rounded up.
    """

    def __init__(self, channels: int, widths: Sequence[int], depth: int, stride: int) -> None:
        super().__init__()
        halvings = stride.bit_length() - 1
        stem = [convolution(channels if n == 0 else widths[0], widths[0], 3, 2) for n in range(halvings)]
        self.stem = nn.Sequential(*stem or [convolution(channels, widths[0], 3)])
        self.groups = nn.ModuleList()
        inputs = widths[0]
        for number, width in enumerate(widths):
            blocks = [
                ResidualBlock(width if n else inputs, width, 1 if n or not number else 2, "projection") for n in range(depth)
            ]
            self.groups.append(nn.Sequential(*blocks))
            inputs = width
        he_initialized(self)

    def forward(self, input: Tensor) -> list[Tensor]:
        maps, given = self.stem(input), []
        for group in self.groups:
            maps = group(maps)
            given.append(maps)
        return given


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Make a convolution with batch normalisation and ReLU, which keeps the size but for its stride."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def he_initialized(module: nn.Module) -> None:
    """Fill all convolutions as He et al. 2015 do, by their outputs."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def enlarged(maps: Tensor, like: Tensor) -> Tensor:
    """Interpolate maps to the height and width of others; those that have it stay."""
    if maps.shape[2:] == like.shape[2:]:
        return maps
    return F.interpolate(maps, like.shape[2:], mode="bilinear", align_corners=False)
