"""Convolutions and recurrent layers: one answer a clip, or one a step."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.layers.recurrent import make_recurrent
from dlx.models.speech.blocks import Convolution, Pooling, StepPool, halved, lengths
from dlx.registry import models

Cell = Literal["simple_rnn", "lstm", "gru"]
Subsampling = Literal[1, 2, 4]


class Convolutions(nn.Module):
    """Convolutions that halve features twice and steps as often as asked: (B, T, F) -> (B, T', size)."""

    def __init__(self, num_features: int, width: int, subsampling: Subsampling) -> None:
        super().__init__()
        strides = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[subsampling]
        self.first = Convolution(1, width, (5, 5), (strides[0], 2))
        self.second = Convolution(width, width, (3, 3), (strides[1], 2))
        self.size = width * halved(num_features, 2)

    def forward(self, input: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor]:
        maps, steps = self.second(*self.first(input[:, None], lengths(input, length)))
        return maps.transpose(1, 2).flatten(2), steps


def hearing(
    num_features: int, width: int, subsampling: Subsampling, cell: Cell, size: int, num_layers: int, dropout: float
) -> tuple[Convolutions, nn.Module]:
    """Make convolutions, and recurrent layers in both directions that read what they give: (B, T', 2 size)."""
    convolutions = Convolutions(num_features, width, subsampling)
    shape = (1, convolutions.size)
    recurrent = make_recurrent(
        cell, shape, size=size, return_sequences=True, num_layers=num_layers, dropout=dropout, merge="concat"
    )
    return convolutions, recurrent


@models("crnn")
class CRNN(nn.Module):
    """Convolutions, then recurrent layers in both directions, pooled over a clip's steps (Choi et al. 2017; Sainath et al. 2015).

    input (B, T, F), length (B,) -> (B, num_classes). What lies behind a clip's end changes nothing.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        width: PositiveInt = 32,
        subsampling: Subsampling = 2,
        cell: Cell = "gru",
        size: PositiveInt = 96,
        num_layers: PositiveInt = 1,
        pooling: Pooling = "attention",
        dropout: Rate = 0.3,
    ) -> None:
        super().__init__()
        self.convolutions, self.recurrent = hearing(num_features, width, subsampling, cell, size, num_layers, dropout)
        self.pool, self.dropout, self.output = (
            StepPool(pooling, 2 * size),
            Dropout(dropout),
            nn.Linear(2 * size, num_classes),
        )

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        steps, left = self.convolutions(input, length)
        return self.output(self.dropout(self.pool(self.recurrent(self.dropout(steps), left), left)))


@models("deep_speech")
class DeepSpeech(nn.Module):
    """Convolutions, then recurrent layers in both directions, with logits at every step (Deep Speech 2, Amodei et al. 2016).

    `subsampling` is how many steps of the input become one. input (B, T, F), length (B,) -> logits (B, T', V), steps (B,).
    What lies behind a clip's end changes nothing.
    """

    def __init__(
        self,
        num_features: int,
        target_vocab_size: int,
        *,
        width: PositiveInt = 32,
        subsampling: Subsampling = 2,
        cell: Cell = "gru",
        size: PositiveInt = 192,
        num_layers: PositiveInt = 2,
        hidden: NonNegativeInt = 0,
        dropout: Rate = 0.2,
    ) -> None:
        super().__init__()
        self.convolutions, self.recurrent = hearing(num_features, width, subsampling, cell, size, num_layers, dropout)
        head = [nn.Linear(2 * size, hidden), nn.ReLU(), Dropout(dropout)] if hidden else []
        self.output = nn.Sequential(*head, nn.Linear(hidden or 2 * size, target_vocab_size))
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor, length: Tensor | None = None) -> tuple[Tensor, Tensor]:
        steps, left = self.convolutions(input, length)
        return self.output(self.dropout(self.recurrent(self.dropout(steps), left))), left
