"""Rectangles of an image that the model must do without."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from dlx.augmentation.cropping import Share, ascending
from dlx.augmentation.drawing import Positive, Probability, column, uniform
from dlx.errors import ComponentError
from dlx.registry import augmentations


@augmentations("random_erasing")
class RandomErasing:
    """Fill a rectangle of random area and aspect with the data's mean colour, or with noise (Zhong et al. 2020)."""

    def __init__(
        self,
        channel_mean: list[float],
        *,
        probability: Probability = 0.25,
        scale: tuple[Share, Share] = (0.02, 0.33),
        ratio: tuple[Positive, Positive] = (0.3, 3.3),
        fill: Literal["mean", "noise"] = "mean",
    ) -> None:
        self.mean, self.fill, self.probability = _mean(channel_mean), fill, probability
        self.scale, self.ratio = ascending(scale, "scale"), ascending(ratio, "ratio")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        erased = torch.rand(count, generator=generator) < self.probability
        area = uniform(count, *self.scale, generator) * height * width
        ratio = torch.exp(uniform(count, math.log(self.ratio[0]), math.log(self.ratio[1]), generator))
        high = torch.sqrt(area * ratio).round().clamp(1, height) * erased
        wide = torch.sqrt(area / ratio).round().clamp(1, width) * erased
        place = torch.rand(2, count, generator=generator)
        top, left = (place[0] * (height - high + 1)).floor(), (place[1] * (width - wide + 1)).floor()
        inside = rectangles(top, left, high, wide, images)
        return torch.where(inside, self._filling(images, generator), images)

    def _filling(self, images: Tensor, generator: Generator) -> Tensor:
        noise = self.fill == "noise"
        filling = torch.randint(0, 256, images.shape, generator=generator, dtype=torch.uint8) if noise else self.mean
        return filling.to(images.device)


@augmentations("cutout")
class Cutout:
    """Fill a square of `size` pixels around a random centre, partly outside perhaps, with the mean (DeVries, Taylor 2017)."""

    def __init__(
        self,
        channel_mean: list[float],
        input_shape: list[int],
        *,
        size: PositiveInt,
        probability: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ) -> None:
        self.mean, self.size, self.probability = _mean(channel_mean), size, probability
        if size >= 2 * max(input_shape[1:]):
            raise ComponentError(f"a square of {size} pixels may hide all of {input_shape[1]}x{input_shape[2]}", ("size",))

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        erased = torch.rand(count, generator=generator) < self.probability
        centre = torch.rand(2, count, generator=generator)
        top = (centre[0] * height).floor() - self.size // 2
        left = (centre[1] * width).floor() - self.size // 2
        side = self.size * erased
        return torch.where(rectangles(top, left, side, side, images), self.mean.to(images.device), images)


def _mean(channel_mean: list[float]) -> Tensor:
    return torch.tensor([round(255 * mean) for mean in channel_mean], dtype=torch.uint8).view(1, -1, 1, 1)


def rectangles(top: Tensor, left: Tensor, high: Tensor, wide: Tensor, images: Tensor) -> Tensor:
    """Mark the pixels of images `(n, C, H, W)` within a rectangle a sample: bool `(n, 1, H, W)`."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    in_rows = (rows >= column(top, images)) & (rows < column(top + high, images))
    return in_rows & (columns >= column(left, images)) & (columns < column(left + wide, images))
