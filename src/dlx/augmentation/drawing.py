"""Random numbers of augmentations: all from the one generator of a batch, never from a global one.

They are drawn on the CPU and moved to the images, so that what is drawn does not depend on where the images are.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    """Draw numbers `(count,)` between two bounds."""
    return torch.rand(count, generator=generator) * (high - low) + low


def whole(count: int, most: int, generator: Generator) -> Tensor:
    """Draw whole numbers `(count,)` from 0 to `most`, both included."""
    return torch.randint(0, most + 1, (count,), generator=generator)


def chosen(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Draw which samples are changed: their numbers, int64, in ascending order, where the images are."""
    return picked(len(images), probability, generator).to(images.device)


def picked(count: int, probability: float, generator: Generator) -> Tensor:
    """Draw which of a count of samples are changed: their numbers, int64, in ascending order, on the CPU."""
    return (torch.rand(count, generator=generator) < probability).nonzero()[:, 0]


def column(values: Tensor, images: Tensor) -> Tensor:
    """Lay numbers `(n,)` out to meet images `(n, C, H, W)`, where these are."""
    return values.view(-1, 1, 1, 1).to(images.device)
