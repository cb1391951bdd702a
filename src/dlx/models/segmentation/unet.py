"""A U-Net that gives every pixel scores (Ronneberger et al. 2015)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.models.residual_encoder import convolution, enlarged, he_initialized
from dlx.registry import models


@models("segmentation_unet")
class SegmentationUNet(nn.Module):
    """A U-Net with batch normalisation that keeps the resolution of its images; fine outlines, at the cost of full maps.

    input (B, C, H, W) -> (B, num_classes, H, W). `depth` times the maps are halved and their channels, `width` at first,
    are doubled; the first are `stride` times smaller than the image, which is faster and makes outlines coarser.
    "U-Net: Convolutional Networks for Biomedical Image Segmentation", with padding, so that sizes stay.
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        width: PositiveInt = 16,
        depth: Annotated[int, Field(ge=1, le=6)] = 3,
        stride: Literal[1, 2] = 1,
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        if min(input_shape[1:]) < (least := stride * 2**depth):
            raise ComponentError(f"wants images of at least {least}x{least}, or a smaller depth", ("depth",))
        widths = [width * 2**n for n in range(depth + 1)]
        strides = [stride, *[1] * depth]
        self.down = nn.ModuleList(_twice(*ab, s) for ab, s in zip(pairwise([input_shape[0], *widths]), strides, strict=True))
        self.halve = nn.MaxPool2d(2, ceil_mode=True)
        self.up = nn.ModuleList(_twice(a + b, a) for a, b in reversed(list(pairwise(widths))))
        he_initialized(self)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, input: Tensor) -> Tensor:
        maps, kept = input, list[Tensor]()
        for block in self.down:
            maps = block(self.halve(maps) if kept else maps)
            kept.append(maps)
        for block, beside in zip(self.up, reversed(kept[:-1]), strict=True):
            maps = block(torch.cat((beside, enlarged(maps, beside)), 1))
        return enlarged(self.head(maps), input)


def _twice(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3))
