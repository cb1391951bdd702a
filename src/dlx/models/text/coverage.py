"""An attention that knows what it has looked at."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Seen(NamedTuple):
    """Weights of an attention (B, T, S); the sum of all until now (B, S); at each step what it looked at again (B, T)."""

    weights: Tensor
    covered: Tensor
    repeated: Tensor


class Coverage(nn.Module):
    """Attention by scores to which the weights of all steps before are added, times a number made of the query.

    See et al. (2017), equations 10 to 12; there they enter an additive attention, here one of products. What is looked at
    again is the sum of min(weight, coverage) over the source.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Linear(size, 1)

    def forward(self, query: Tensor, scores: Tensor, mask: Tensor, covered: Tensor) -> Seen:
        """Attend by queries (B, T, E) and their scores (B, T, S), where mask (B, S) is True, after what is covered (B, S)."""
        scores, gains = scores.masked_fill(~mask[:, None], -torch.inf), self.gain(query)
        weights, repeated = list[Tensor](), list[Tensor]()
        for score, gain in zip(scores.unbind(1), gains.unbind(1), strict=True):
            weight = (score + gain * covered).float().softmax(-1)
            weights.append(weight)
            repeated.append(torch.minimum(weight, covered).sum(-1))
            covered = covered + weight
        return Seen(torch.stack(weights, 1), covered, torch.stack(repeated, 1))
