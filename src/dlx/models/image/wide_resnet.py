"""Wide residual networks (Zagoruyko & Komodakis 2016)."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.building import IMAGE, require
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.registry import models


class WideBlock(nn.Module):
    """Normalisation and ReLU before each of two convolutions: (B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.dropout = Dropout(dropout)
        changes = inputs != outputs or stride != 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, input: Tensor) -> Tensor:
        active = self.norm1(input).relu_()
        inner = self.dropout(self.norm2(self.conv1(active)).relu_())
        return self.conv2(inner).add_(self.shortcut(active) if self.shortcut else input)


@models("wide_resnet")
class WideResNet(nn.Module):
    """A wide residual network for small images, WRN-depth-widen.

    input (B, C, H, W) -> (B, num_classes). Zagoruyko & Komodakis 2016, "Wide Residual Networks": WRN-16-4 has 2.8 M
    parameters, WRN-28-10 36.5 M. `dropout` is within the blocks.
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        depth: Literal[10, 16, 22, 28, 40] = 16,
        widen: PositiveInt = 4,
        dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        self.backbone = nn.Sequential(nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False))
        inputs = 16
        for group, width in enumerate((16 * widen, 32 * widen, 64 * widen)):
            for index in range((depth - 4) // 6):
                self.backbone.append(WideBlock(inputs, width, 2 if group and not index else 1, dropout))
                inputs = width
        self.backbone.extend([nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)])
        self.head = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.backbone(input).mean((2, 3)))
