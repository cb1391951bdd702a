"""What generative models share: labels, sizes, and the pair of networks that is a GAN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require

LARGEST_START = 7  # pixels: the smallest map has a side of 4 to 7


class GAN(nn.Module):
    """A generator and a discriminator.

    generator: noise (B, latent_size), label (B,) -> image (B, C, H, W) from -1 to 1; discriminator: image, label ->
    logits (B,). Labels are given where `conditional`, and only there. `forward` is the generator.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent_size: int, conditional: bool) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent_size, self.conditional = latent_size, conditional

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.generator(noise, label)


class JoinLabel(nn.Module):
    """Join the one-hot label to rows of numbers: (B, F), (B,) -> (B, F + num_classes); without classes, the rows alone."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, rows: Tensor, label: Tensor | None) -> Tensor:
        label = expect_label(label, self.num_classes)
        return rows if label is None else torch.cat((rows, F.one_hot(label, self.num_classes).to(rows.dtype)), 1)


class Projection(nn.Module):
    """Features to one logit, where there are classes with a direction for each: (B, F), (B,) -> (B,).

    Miyato & Koyama 2018, "cGANs with Projection Discriminator". `spectral` normalises both weights.
    """

    def __init__(self, size: int, num_classes: int, spectral: bool) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = normalized(nn.Linear(size, 1), spectral)
        self.embedding = normalized(nn.Embedding(num_classes, size), spectral) if num_classes else None

    def forward(self, features: Tensor, label: Tensor | None) -> Tensor:
        label = expect_label(label, self.num_classes)
        logits = self.linear(features).squeeze(1)
        return logits if self.embedding is None else logits + (self.embedding(label) * features).sum(1)


def normalized(module: nn.Module, spectral: bool) -> nn.Module:
    """Keep the largest singular value of `weight` at 1, if asked to (Miyato et al. 2018)."""
    return spectral_norm(module) if spectral else module


def expect_label(label: Tensor | None, num_classes: int) -> Tensor | None:
    """Give the label back; raises ComponentError where it is missing, or not wanted."""
    if (label is None) == bool(num_classes):
        wrong = "wants a label: it is conditional" if num_classes else "takes no label; set conditional to true"
        raise ComponentError(wrong, ("conditional",))
    return label


def classes(conditional: bool, num_classes: int | None) -> int:
    """Count the classes a model is told apart: 0 where it is not conditional."""
    if conditional and not num_classes:
        raise ComponentError("needs the fact 'num_classes', which the data does not offer", ("conditional",))
    return num_classes or 0 if conditional else 0


def halvings(input_shape: list[int]) -> tuple[int, int]:
    """Find the side of an image's smallest map and how often that doubles: 28 is 7 doubled 2 times, 32 is 4 doubled 3."""
    require(tuple(input_shape), IMAGE)
    _, height, width = input_shape
    side, times = height, 0
    while side > LARGEST_START and side % 2 == 0:
        side, times = side // 2, times + 1
    if height != width or not times or side > LARGEST_START:
        raise ComponentError(
            f"wants square images of 4 to 7 pixels doubled some times, such as 28, 32 or 64, not {height}x{width}"
        )
    return side, times
