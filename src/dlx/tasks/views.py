"""Several views of an image, whose answers are averaged."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from dlx.core import Batch
from dlx.errors import ComponentError

Views = Literal["one", "mirror", "shifted"]


def views(batch: Batch, kind: Views) -> list[tuple[float, Tensor]]:
    """List views of images `(B, C, H, W)`, each with its weight; the weights sum to 1.

    mirror: the image and its mirror image. shifted: both, and both moved by a thirty-second of the image to the upper left
    and to the lower right, which together weigh as much as those in place (Jordan 2024, section 3.5). Raises ComponentError where
    there are no images.
    """
    images = batch.get("input")
    if images is None:
        raise ComponentError(f"views: {kind} wants images, and a frozen backbone's features are computed once; leave it out")
    if kind == "mirror":
        return _both_ways(images, 1)
    step = max(1, min(images.shape[2:]) // 32)
    bordered = F.pad(images, (step,) * 4, "reflect")
    upper_left, lower_right = bordered[..., 2 * step :, 2 * step :], bordered[..., : -2 * step, : -2 * step]
    return _both_ways(images, 1 / 2) + _both_ways(upper_left, 1 / 4) + _both_ways(lower_right, 1 / 4)


def _both_ways(images: Tensor, weight: float) -> list[tuple[float, Tensor]]:
    return [(weight / 2, images), (weight / 2, images.flip(-1))]
