"""Convolutions over words."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.layers.word_vectors import HasVocabulary
from dlx.models.text.common import Embedded, embedding, inside
from dlx.registry import models

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


@models("text_cnn")
class TextCNN(nn.Module):
    """Convolutions of several widths over embeddings, each pooled by its largest value (Kim 2014).

    Embeddings are drawn, or begin at the word vectors of a file (CNN-non-static), and may stay at those (CNN-static).
    input int64 (B, L), length (B,) -> (B, num_classes). What lies behind a text's end changes nothing.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        processor: HasVocabulary | None = None,
        *,
        widths: Widths = (3, 4, 5),
        filters: PositiveInt = 100,
        dropout: Rate = 0.5,
        embedded: Embedded,
    ) -> None:
        super().__init__()
        self.embedding = embedding(vocab_size, embedded, processor)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedded.embedding_size, filters, width) for width in widths)
        self.widths = widths
        self.embedding_dropout, self.dropout = Dropout(embedded.embedding_dropout), Dropout(dropout)
        self.output = nn.Linear(len(widths) * filters, num_classes)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        lengths = inside(input, length).sum(1)
        short = max(self.widths) - input.shape[1]
        vectors = self.embedding_dropout(self.embedding(F.pad(input, (0, max(short, 0))))).transpose(1, 2)
        pooled = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            found = convolution(vectors).relu()
            # A window counts that begins in the text and ends in it; of a text shorter than the window, the first one.
            steps = torch.arange(found.shape[2], device=input.device)
            counts = steps < (lengths - width + 1).clamp(min=1)[:, None]
            pooled.append(found.masked_fill(~counts[:, None], 0).amax(2))  # which is no less than what relu leaves
        return self.output(self.dropout(torch.cat(pooled, 1)))
