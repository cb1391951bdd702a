"""Residual networks for small images, such as the 32x32 of CIFAR."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dlx.layers.building import IMAGE, require
from dlx.layers.residual import ResidualBlock
from dlx.registry import models


class SmallResNet(nn.Module):
    """A 3x3 convolution, groups of residual blocks, the average over all pixels, one linear layer.

    input (B, C, H, W) -> (B, num_classes). Every group but the first halves height and width.
    """

    def __init__(
        self, num_classes: int, input_shape: list[int], widths: list[int], depth: int, shortcut: Literal["projection", "pad"]
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        stem = [
            nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        self.backbone = nn.Sequential(*stem)
        inputs = widths[0]
        for group, width in enumerate(widths):
            for index in range(depth):
                stride = 2 if group and not index else 1
                self.backbone.append(ResidualBlock(inputs, width, stride, shortcut))
                inputs = width
        self.head = nn.Linear(inputs, num_classes)
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.backbone(input).mean((2, 3)))


def _register(depth: int) -> None:
    def build(num_classes: int, input_shape: list[int], *, shortcut: Literal["pad", "projection"] = "pad") -> SmallResNet:
        return SmallResNet(num_classes, input_shape, [16, 32, 64], (depth - 2) // 6, shortcut)

    build.__name__ = f"resnet{depth}"
    build.__doc__ = f"""ResNet-{depth} for 32x32 images (He et al. 2016, section 4.2), 3 groups of {(depth - 2) // 6} blocks.

    input (B, C, H, W) -> (B, num_classes). The paper's shortcut pads with zeros.
    """
    models.adopt(build.__name__, build)


for _depth in (20, 32, 44, 56, 110):
    _register(_depth)


@models("resnet18_small")
def resnet18_small(num_classes: int, input_shape: list[int]) -> SmallResNet:
    """ResNet-18 for 32x32 images: a 3x3 stem and no first pooling; 11.2 M parameters.

    input (B, C, H, W) -> (B, num_classes). The ResNet18 of github.com/kuangliu/pytorch-cifar.
    """
    return SmallResNet(num_classes, input_shape, [64, 128, 256, 512], 2, "projection")
