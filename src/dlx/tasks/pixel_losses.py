"""Losses of answers that give every pixel a class; each image's own, so that images may come in batches of any size."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

VOID = -1  # the target of a pixel that counts for nothing


def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Sum the cross-entropy of logits (B, C, H, W) over the counted pixels of targets (B, H, W), by their classes' weights."""
    return F.cross_entropy(logits, target, weights, ignore_index=VOID, reduction="sum")


def focal(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Sum the focal loss (Lin et al. 2017, gamma 2), which plays down pixels that are already right."""
    entropy = F.cross_entropy(logits, target, ignore_index=VOID, reduction="none")
    value = (1 - torch.exp(-entropy)).square() * entropy
    return value.sum() if weights is None else (value * weights[target.clamp_min(0)]).sum()


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Compute 1 less the mean Dice of an image's probabilities (C, P) over the classes of its targets (P,)."""
    shares = logits.softmax(0)
    size = torch.bincount(target, minlength=len(logits)).to(shares.dtype)
    right = torch.zeros_like(size).index_add(0, target, shares.gather(0, target[None])[0])
    overlap = 2 * right / (shares.sum(1) + size)
    return 1 - overlap[size > 0].mean()


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """Compute the Lovasz-softmax loss (Berman et al. 2018) of an image's logits (C, P), over the classes of its targets (P,)."""
    classes = target.unique()
    truth = (target == classes[:, None]).float()
    errors, order = (truth - logits.softmax(0)[classes]).abs().sort(1, descending=True)
    truth = truth.gather(1, order)
    size = truth.sum(1, keepdim=True)
    jaccard = 1 - (size - truth.cumsum(1)) / (size + (1 - truth).cumsum(1))
    steps = torch.cat((jaccard[:, :1], jaccard.diff(dim=1)), 1)
    return (errors * steps).sum(1).mean()


def over_images(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Sum a loss of images, each as often as its counted pixels weigh; an image without any counts for nothing."""
    total = logits.sum() * 0
    for scores, truth in zip(logits.float().flatten(2), target.flatten(1), strict=True):
        counted = truth != VOID
        if counted.any():
            total = total + loss(scores[:, counted], truth[counted]) * weight(truth, weights)
    return total


def weight(target: Tensor, weights: Tensor | None) -> Tensor:
    """Weigh targets: the number of those that count, or the sum of their classes' weights."""
    counted = target != VOID
    return counted.sum() if weights is None else weights[target[counted]].sum()


PIXEL_LOSSES = {f.__name__: f for f in (cross_entropy, focal)}
