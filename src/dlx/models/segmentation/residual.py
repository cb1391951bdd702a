"""A light encoder and decoder: coarse maps that know the whole image, blended into finer ones (Orsic et al. 2019)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.models.residual_encoder import ResidualEncoder, convolution, enlarged, he_initialized
from dlx.registry import models

GRIDS = (1, 2, 4)  # cells a side of the pyramid that sums up the whole image


class Context(nn.Module):
    """Maps beside their averages over coarse grids: (B, inputs, H, W) -> (B, outputs, H, W) (Zhao et al. 2017)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = convolution(inputs, outputs, 1)
        # No normalisation here: a grid of one cell has one value an image.
        self.grids = nn.ModuleList(nn.Conv2d(outputs, outputs // 4, 1) for _ in GRIDS)
        self.blend = convolution(outputs + len(GRIDS) * (outputs // 4), outputs, 1)

    def forward(self, input: Tensor) -> Tensor:
        maps = self.narrow(input)
        cells = [layer(F.adaptive_avg_pool2d(maps, size)).relu() for layer, size in zip(self.grids, GRIDS, strict=True)]
        return self.blend(torch.cat((maps, *(enlarged(cell, maps) for cell in cells)), 1))


@models("segmentation_resnet")
class SegmentationResNet(nn.Module):
    """A small residual encoder and a ladder of sums back up to `stride` of the resolution; light enough for two cores.

    input (B, C, H, W) -> (B, num_classes, H, W), or with `auxiliary` a mapping of that as `out`, and as `aux` what a head
    at the last map but one gives. `widths`: channels of the maps, each of half the resolution of the one before, the
    first `stride` times smaller than the image. After "In Defense of Pre-trained ImageNet Architectures for Real-time
    Semantic Segmentation of Road-driving Images".
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=6)] = (32, 64, 128, 256),
        depth: PositiveInt = 2,
        stride: Literal[1, 2, 4] = 4,
        decoder: Annotated[int, Field(ge=4)] = 64,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        least = stride * 2 ** (len(widths) - 1)
        if min(input_shape[1:]) < least:
            raise ComponentError(f"wants images of at least {least}x{least}, or fewer widths", ("widths",))
        self.encoder = ResidualEncoder(input_shape[0], widths, depth, stride)
        self.context = Context(widths[-1], decoder)
        self.beside = nn.ModuleList(convolution(width, decoder, 1) for width in widths[-2::-1])
        self.blend = nn.ModuleList(convolution(decoder, decoder, 3) for _ in widths[1:])
        self.auxiliary = nn.Conv2d(widths[-2], num_classes, 1) if auxiliary else None
        he_initialized(self)
        self.head = nn.Conv2d(decoder, num_classes, 1)

    def forward(self, input: Tensor) -> Tensor | dict[str, Tensor]:
        *finer, coarse = self.encoder(input)
        maps = self.context(coarse)
        for narrow, blend, given in zip(self.beside, self.blend, reversed(finer), strict=True):
            maps = blend(narrow(given) + enlarged(maps, given))
        scores = enlarged(self.head(maps), input)
        return scores if self.auxiliary is None else {"out": scores, "aux": enlarged(self.auxiliary(finer[-1]), input)}
