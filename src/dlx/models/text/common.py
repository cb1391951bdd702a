"""What models of texts share: which steps are no padding, and how steps become one vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers import word_vectors
from dlx.layers.dense import DEVIATION, Embedding
from dlx.layers.normalization import Rate
from dlx.registry.types import OptionGroup

PADDING = 0  # the code that fills up a batch
Pooling = Literal["last", "max", "mean", "attention"]


def inside(input: Tensor, length: Tensor | None) -> Tensor:
    """Return which steps of a batch (B, L) are no padding, as bool (B, L); all are where no lengths are given."""
    steps = torch.arange(input.shape[1], device=input.device)
    return torch.ones_like(input, dtype=torch.bool) if length is None else steps < length[:, None]


@dataclass(frozen=True)
class Embedded(OptionGroup):
    """How codes become vectors: their size, the standard deviation that they are drawn with, a file of word vectors to begin
    at instead, and whether those are `frozen_vectors`.
    """

    embedding_size: PositiveInt = 128
    embedding_deviation: PositiveFloat = DEVIATION
    embedding_dropout: Rate = 0.0
    word_vectors: str | None = None
    frozen_vectors: bool = False


def embedding(vocab_size: int, options: Embedded, processor: word_vectors.HasVocabulary | None) -> nn.Embedding:
    """Make embeddings whose vector of padding is and stays zero; raises ComponentError where a file of vectors does not fit."""
    made = Embedding(vocab_size, options.embedding_size, PADDING, options.embedding_deviation)
    if options.word_vectors is None:
        if options.frozen_vectors:
            raise ComponentError("wants word_vectors: those that are drawn have to be trained", ("frozen_vectors",))
        return made
    try:
        word_vectors.load(made, options.word_vectors, processor, options.frozen_vectors)
    except ComponentError as error:
        own = {"file": "word_vectors", "size": "embedding_size"}
        raise ComponentError(error.message, tuple(own.get(str(key), key) for key in error.path)) from None
    return made


class Pool(nn.Module):
    """Make one vector (B, size) of the steps (B, L, size) that are no padding.

    attention weighs them by a learned vector's product with their tanh (Yang et al. 2016, without the context layer).
    """

    def __init__(self, kind: Literal["max", "mean", "attention"], size: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(size, 1, bias=False) if kind == "attention" else None

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        if self.kind == "max":
            return steps.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
        if self.score is None:
            weights = mask / mask.sum(1, keepdim=True)
        else:
            weights = self.score(steps.tanh())[:, :, 0].masked_fill(~mask, -torch.inf).softmax(1)
        return torch.einsum("bl,bls->bs", weights.to(steps.dtype), steps)
