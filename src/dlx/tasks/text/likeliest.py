"""The likeliest of many pieces, without a look at each of them twice."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 100  # pieces of which one stands for all, until it is known which blocks hold the largest


def largest(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the `most` largest of each row (N, V), in falling order, and their places: what `topk` gives, in less time.

    None of them can stand in a block whose own largest is beaten by those of `most` other blocks.
    """
    whole = scores.shape[1] // BLOCK
    if whole <= most:
        return torch.topk(scores, min(most, scores.shape[1]), -1)
    blocks, rest = scores[:, : whole * BLOCK].unflatten(1, (whole, BLOCK)), scores[:, whole * BLOCK :]
    chosen = blocks.amax(-1).topk(most, -1).indices
    inside = blocks.gather(1, chosen[:, :, None].expand(-1, -1, BLOCK))
    places = chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=scores.device)
    behind = torch.arange(whole * BLOCK, scores.shape[1], device=scores.device).expand(len(scores), -1)
    values, found = torch.cat((inside.flatten(1), rest), 1).topk(most, -1)
    return values, torch.cat((places.flatten(1), behind), 1).gather(1, found)


def log_of_sum(scores: Tensor, largest: Tensor) -> Tensor:
    """Return the logarithm of the sum of exponentials of each row (N, V), given its largest (N, 1): (N, 1)."""
    return largest + (scores - largest).exp_().sum(-1, keepdim=True).log()
