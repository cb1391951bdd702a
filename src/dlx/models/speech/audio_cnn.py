"""A small convolutional network of spoken words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.speech.blocks import Convolution, Pooling, StepPool, halved, lengths
from dlx.registry import models

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


@models("audio_cnn")
class AudioCNN(nn.Module):
    """Blocks of 3x3 convolutions over steps and features, each halving both, and a pooling over the steps that are left.

    input (B, T, F), length (B,) -> (B, num_classes). What lies behind a clip's end changes nothing.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        widths: Widths = (32, 64, 96, 128),
        pooling: Pooling = "attention",
        dropout: Rate = 0.3,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = 1
        for width in widths:
            self.blocks.append(Convolution(channels, width, (3, 3), (1, 1)))
            self.blocks.append(Convolution(width, width, (3, 3), (2, 2)))
            channels = width
        size = channels * halved(num_features, len(widths))
        self.pool, self.dropout, self.output = StepPool(pooling, size), Dropout(dropout), nn.Linear(size, num_classes)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        maps, steps = input[:, None], lengths(input, length)
        for block in self.blocks:
            maps, steps = block(maps, steps)
        pooled = self.pool(maps.transpose(1, 2).flatten(2), steps)
        return self.output(self.dropout(pooled))
