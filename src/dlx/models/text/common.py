"""What models of texts share: which steps are no padding, and how steps become one vector."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

PADDING = 0  # the code that fills up a batch
Pooling = Literal["last", "max", "mean", "attention"]


def inside(input: Tensor, length: Tensor | None) -> Tensor:
    """Return which steps of a batch (B, L) are no padding, as bool (B, L); all are where no lengths are given."""
    steps = torch.arange(input.shape[1], device=input.device)
    return torch.ones_like(input, dtype=torch.bool) if length is None else steps < length[:, None]


def embedding(vocab_size: int, size: int) -> nn.Embedding:
    """Make embeddings whose vector of padding is and stays zero."""
    return nn.Embedding(vocab_size, size, padding_idx=PADDING)


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
