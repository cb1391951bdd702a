"""The residual block of He et al. 2016."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride).

    Where the shapes differ the shortcut is a 1x1 convolution ("projection", option B of the paper) or leaves out pixels
    and pads channels with zeros ("pad", option A, without parameters).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Literal["projection", "pad"]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = (
                _projection(inputs, outputs, stride) if shortcut == "projection" else PadShortcut(inputs, outputs, stride)
            )

    def forward(self, input: Tensor) -> Tensor:
        inner = self.norm1(self.conv1(input)).relu_()
        return self.norm2(self.conv2(inner)).add_(self.shortcut(input)).relu_()


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class PadShortcut(nn.Module):
    """Leave out pixels and add channels of zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = outputs - inputs, stride

    def forward(self, input: Tensor) -> Tensor:
        before = self.added // 2
        return F.pad(input[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))
