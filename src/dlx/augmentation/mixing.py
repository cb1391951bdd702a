"""What makes one sample of two, and gives both classes a share of the target.

`images` are float32 `(B, C, H, W)`, standardised, on any device; `target` is float32 `(B, num_classes)`, each row summing to 1,
on the CPU.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from dlx.augmentation.drawing import Positive, Probability, column
from dlx.augmentation.erasing import rectangles
from dlx.registry import augmentations


@augmentations("mixup")
class Mixup:
    """Average pairs of images and their targets; the share is drawn from Beta(alpha, alpha) (Zhang et al. 2018)."""

    def __init__(self, *, alpha: Positive = 0.2, probability: Probability = 1.0) -> None:
        self.alpha, self.probability = alpha, probability

    def mix(self, images: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mix every sample with another of the batch, each with a share of its own."""
        share, partner = _shares(len(images), self.alpha, self.probability, generator)
        mixed = torch.lerp(images[partner], images, column(share, images))
        return mixed, torch.lerp(target[partner], target, share[:, None])


@augmentations("cutmix")
class Cutmix:
    """Paste a rectangle of another image; the targets share by area (Yun et al. 2019)."""

    def __init__(self, *, alpha: Positive = 1.0, probability: Probability = 1.0) -> None:
        self.alpha, self.probability = alpha, probability

    def mix(self, images: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Paste into every sample from another of the batch, each a rectangle of its own."""
        count, _, height, width = images.shape
        share, partner = _shares(count, self.alpha, self.probability, generator)
        side = torch.sqrt(1 - share)
        high, wide = (side * height).floor(), (side * width).floor()
        centre = torch.rand(2, count, generator=generator)
        top, left = (centre[0] * height).floor() - (high / 2).floor(), (centre[1] * width).floor() - (wide / 2).floor()
        pasted = rectangles(top, left, high, wide, images)
        # What is really left: a rectangle may reach over the edge.
        kept = 1 - _overlap(top, high, height) * _overlap(left, wide, width) / (height * width)
        return torch.where(pasted, images[partner], images), torch.lerp(target[partner], target, kept[:, None])


def _overlap(first: Tensor, size: Tensor, length: int) -> Tensor:
    """Count the lines from the first on, `size` of them, that an image of a length has."""
    return (first + size).clamp(0, length) - first.clamp(0, length)


def _shares(count: int, alpha: float, probability: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw each sample's own share `(count,)`, and the partner that gives the rest."""
    from scipy.special import betaincinv

    # The inverse of the distribution at a uniform number: torch's own Beta draws from the global generator.
    drawn = torch.rand(count, generator=generator, dtype=torch.float64).numpy()
    share = torch.from_numpy(betaincinv(alpha, alpha, drawn)).float()
    mixed = torch.rand(count, generator=generator) < probability
    return torch.where(mixed, share, 1.0), torch.randperm(count, generator=generator)
