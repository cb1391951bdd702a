"""From a decoder's steps to scores of the pieces: a vocabulary's logits, and copying from the source."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError


class Memory(NamedTuple):
    """A batch's encoded source: steps (B, S, E), which of them are no padding (B, S), and the codes (B, S)."""

    steps: Tensor
    mask: Tensor
    codes: Tensor

    def select(self, rows: Tensor) -> Memory:
        """Return some rows."""
        return Memory(*(part.index_select(0, rows) for part in self))


class Output(nn.Module):
    """Logits (B, T, V) of steps (B, T, E), by weights of its own or by those of the embeddings (Press & Wolf 2017).

    With `copy`, log-probabilities of a mixture: a piece of the vocabulary, or one that an attention to the source chooses to
    copy (See et al. 2017); their softmax is the same distribution.
    """

    def __init__(self, size: int, vocab_size: int, embedding: nn.Embedding | None, memory_size: int = 0) -> None:
        super().__init__()
        self.vocabulary = nn.Linear(size, vocab_size)
        if embedding is not None:
            self.vocabulary.weight = embedding.weight
        self.look = nn.Linear(size, memory_size) if memory_size else None
        self.choose = nn.Linear(size + memory_size, 1) if memory_size else None

    def forward(self, steps: Tensor, memory: Memory, weights: Tensor | None = None) -> Tensor:
        """Compute them; `weights` (B, T, S) of an attention made before, where that is to choose what is copied."""
        logits = self.vocabulary(steps)
        if self.choose is None:
            return logits
        if self.look is not None:
            scores = self.look(steps) @ memory.steps.transpose(1, 2) * memory.steps.shape[2] ** -0.5
            weights = scores.float().masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        assert weights is not None
        context = weights.to(steps.dtype) @ memory.steps
        choice = self.choose(torch.cat((steps, context), -1)).float()
        made = logits.float().softmax(-1) * choice.sigmoid()
        places = memory.codes[:, None].expand(-1, steps.shape[1], -1)
        return (made.scatter_add(2, places, weights * torch.sigmoid(-choice)) + 1e-9).log()


def output(
    size: int, vocab_size: int, embedding: nn.Embedding | None, copy: bool, shared_vocabulary: bool, memory_size: int
) -> Output:
    """Make the output; raises ComponentError where copying makes no sense."""
    if copy and not shared_vocabulary:
        raise ComponentError(
            "copies pieces of the source, so both texts share one vocabulary: data.shared_vocabulary: true", ("copy",)
        )
    return Output(size, vocab_size, embedding, memory_size if copy else 0)
