"""A plain convolutional network for small images."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.registry import models


@models("simple_cnn")
class SimpleCNN(nn.Module):
    """Blocks of 3x3 convolutions, each followed by pooling, then one hidden layer.

    input (B, C, H, W) -> (B, num_classes). Each of `channels` is a block of `convolutions`, with batch normalisation, that
    halves height and width. `hidden: null` leaves the hidden layer out.
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64),
        convolutions: PositiveInt = 2,
        hidden: PositiveInt | None = 128,
        dropout: Rate = 0.25,
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        size, height, width = input_shape
        if min(height, width) < 2 ** len(channels):
            raise ComponentError(f"halves {height}x{width} images {len(channels)} times: too often", ("channels",))
        layers: list[nn.Module] = []
        for outputs in channels:
            layers += _block(size, outputs, convolutions, dropout)
            size, height, width = outputs, height // 2, width // 2
        self.backbone = nn.Sequential(*layers, nn.Flatten())
        self.head = _head(size * height * width, hidden, dropout, num_classes)

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.backbone(input))


def _block(inputs: int, outputs: int, convolutions: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index in range(convolutions):
        before = outputs if index else inputs
        layers += [nn.Conv2d(before, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return [*layers, nn.MaxPool2d(2), *([nn.Dropout2d(dropout)] if dropout else [])]


def _head(size: int, hidden: int | None, dropout: float, num_classes: int) -> nn.Module:
    if hidden is None:
        return nn.Linear(size, num_classes)
    layers = [nn.Linear(size, hidden), nn.ReLU(inplace=True), *([Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(hidden, num_classes))
