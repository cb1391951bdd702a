"""VGG for small images, such as the 32x32 of CIFAR."""

from __future__ import annotations

from torch import Tensor, nn

from dlx.layers.building import IMAGE, require
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.registry import models

GROUPS = ([64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512])


@models("vgg16_bn_small")
class SmallVGG(nn.Module):
    """VGG-16's 13 convolutions with batch normalisation, and one linear layer; 14.7 M parameters.

    input (B, C, H, W) -> (B, num_classes). The VGG16 of github.com/kuangliu/pytorch-cifar; a pooling is left out where
    there is only one pixel left, and what is more than one at the end is averaged.
    """

    def __init__(self, num_classes: int, input_shape: list[int], *, dropout: Rate = 0.0) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        size, side = input_shape[0], min(input_shape[1:])
        self.backbone = nn.Sequential()
        for group in GROUPS:
            for width in group:
                self.backbone.extend([nn.Conv2d(size, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)])
                size = width
            if side > 1:
                self.backbone.append(nn.MaxPool2d(2))
                side //= 2
        self.head = nn.Sequential(Dropout(dropout), nn.Linear(size, num_classes))

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.backbone(input).mean((2, 3)))
