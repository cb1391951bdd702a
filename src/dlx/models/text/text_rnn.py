"""Recurrent networks over words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.lengths import turned
from dlx.layers.normalization import Rate
from dlx.layers.word_vectors import HasVocabulary
from dlx.models.text.common import Embedded, Pool, Pooling, embedding, inside
from dlx.registry import models

Cell = Literal["simple_rnn", "lstm", "gru"]
CELLS: dict[Cell, Callable[..., nn.RNNBase]] = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Layer(nn.Module):
    """One recurrent layer over the steps of each text, in one direction or both: (B, L, inputs) -> (B, L, outputs).

    The backward direction reads a text from its own last step, not from the batch's: what is turned round is each text
    within its length.
    """

    def __init__(self, cell: Cell, inputs: int, size: int, bidirectional: bool) -> None:
        super().__init__()
        make = CELLS[cell]
        self.forward_rnn = make(inputs, size, batch_first=True)
        self.backward_rnn = make(inputs, size, batch_first=True) if bidirectional else None
        self.size = size * (1 + bidirectional)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        there, _ = self.forward_rnn(steps)
        if self.backward_rnn is None:
            return there
        back, _ = self.backward_rnn(turned(steps, lengths))
        return torch.cat((there, turned(back, lengths)), 2)


@models("text_rnn")
class TextRNN(nn.Module):
    """Recurrent layers over embeddings, and a linear layer on the last step, the largest values, the mean or an attention.

    input int64 (B, L), length (B,) -> (B, num_classes). What lies behind a text's end changes nothing. With two directions
    the last step of the backward one is the text's first.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        processor: HasVocabulary | None = None,
        *,
        cell: Cell = "lstm",
        size: PositiveInt = 128,
        num_layers: PositiveInt = 1,
        bidirectional: bool = True,
        pooling: Pooling = "attention",
        dropout: Rate = 0.5,
        embedded: Embedded,
    ) -> None:
        super().__init__()
        self.embedding = embedding(vocab_size, embedded, processor)
        self.layers = nn.ModuleList()
        inputs = embedded.embedding_size
        for _ in range(num_layers):
            layer = Layer(cell, inputs, size, bidirectional)
            self.layers.append(layer)
            inputs = layer.size
        self.bidirectional, self.size = bidirectional, size
        self.pool = None if pooling == "last" else Pool(pooling, inputs)
        self.embedding_dropout, self.dropout = Dropout(embedded.embedding_dropout), Dropout(dropout)
        self.output = nn.Linear(inputs, num_classes)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        mask = inside(input, length)
        lengths = mask.sum(1)
        steps = self.embedding_dropout(self.embedding(input))
        for number, layer in enumerate(self.layers):
            steps = layer(self.dropout(steps) if number else steps, lengths)
        pooled = self.last(steps, lengths) if self.pool is None else self.pool(steps, mask)
        return self.output(self.dropout(pooled))

    def last(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Return the state after each text's last step; of the backward direction, after its first."""
        ends = steps[torch.arange(len(steps), device=steps.device), lengths - 1]
        if not self.bidirectional:
            return ends
        return torch.cat((ends[:, : self.size], steps[:, 0, self.size :]), 1)
