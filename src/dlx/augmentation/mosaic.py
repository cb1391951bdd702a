"""Images put together of four, with the boxes or masks that lie on them."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from dlx.augmentation.carrying import Piece, straight
from dlx.augmentation.drawing import Probability
from dlx.augmentation.pixels import to_bytes
from dlx.registry import augmentations


@augmentations("mosaic")
class Mosaic:
    """Put four images of the batch around a random point, each scaled down to its quarter (Bochkovskiy et al. 2020).

    The point lies at least `margin` of the sides within. Things appear smaller, and beside others than usual; those cut off
    are handled as by a crop. Where `probability` does not choose an image it stays.
    """

    def __init__(self, *, probability: Probability = 0.5, margin: Annotated[float, Field(gt=0, le=0.5)] = 0.25) -> None:
        self.probability, self.margin = probability, margin

    def joined(self, images: Tensor, generator: Generator) -> tuple[Tensor, list[Piece]]:
        """Make images, and tell what each is made of: of one piece where it stays."""
        count, _, height, width = images.shape
        together = torch.rand(count, generator=generator) < self.probability
        place = torch.rand(2, count, generator=generator) * (1 - 2 * self.margin) + self.margin
        point = (place * torch.tensor([[width], [height]])).round().long().clamp(min=1)
        point = torch.minimum(point, torch.tensor([[width - 1], [height - 1]]))
        own = torch.arange(count)
        partners = [own, *(torch.randperm(count, generator=generator) for _ in range(3))]
        result, pieces = images.clone(), []
        for number, partner in enumerate(partners):
            region, taken = _quarter(number, point, width, height)
            if number == 0:  # an image that stays is its own first piece
                whole = torch.tensor([0, 0, width, height]).expand(count, 4)
                region, taken = (torch.where(together[:, None], some, whole) for some in (region, taken))
            else:
                region = torch.where(together[:, None], region, 0)
                partner = torch.where(together, partner, own)
            pieces.append(Piece(partner, _matrices(region, taken), region.float()))
            for sample in together.nonzero()[:, 0].tolist():
                _paste(result[sample], images[partner[sample]], region[sample].tolist(), taken[sample].tolist())
        return result, pieces


def _quarter(number: int, point: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Tell the region of a quarter, and the part of an image that fills it: both `(n, 4)`, x1, y1, x2, y2.

    The part has the quarter's aspect, is as large as the image allows, and lies in the corner that faces the point.
    """
    right, below = number % 2, number // 2
    x, y = point
    zero, wide, high = torch.zeros_like(x), torch.full_like(x, width), torch.full_like(y, height)
    region = torch.stack([x if right else zero, y if below else zero, wide if right else x, high if below else y], 1)
    sides = region[:, 2:] - region[:, :2]
    scale = torch.maximum(sides[:, 0] / width, sides[:, 1] / height)
    size = (sides / scale[:, None]).round().long()
    size = torch.minimum(size, torch.tensor([width, height])).clamp(min=1)
    left, top = (zero if right else wide - size[:, 0]), (zero if below else high - size[:, 1])
    return region, torch.stack([left, top, left + size[:, 0], top + size[:, 1]], 1)


def _matrices(region: Tensor, taken: Tensor) -> Tensor:
    sides = (region[:, 2:] - region[:, :2]).clamp(min=1)
    scale = (taken[:, 2:] - taken[:, :2]) / sides
    start = taken[:, :2] - scale * region[:, :2]
    return straight(scale[:, 0], start[:, 0], scale[:, 1], start[:, 1], len(region))


def _paste(whole: Tensor, image: Tensor, region: list[int], taken: list[int]) -> None:
    """Fill a region of an image with a part of another."""
    part = image[:, taken[1] : taken[3], taken[0] : taken[2]]
    size = (region[3] - region[1], region[2] - region[0])
    resized = F.interpolate(part[None].float(), size, mode="bilinear", antialias=True)[0]
    whole[:, region[1] : region[3], region[0] : region[2]] = to_bytes(resized)
