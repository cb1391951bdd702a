"""Boxes x1 y1 x2 y2 against each other, and the boxes that are kept of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torchvision.ops import batched_nms

from dlx.registry.types import OptionGroup

Share = Annotated[float, Field(ge=0, le=1)]
MOST_BEFORE = 1000  # boxes of an image that are looked at, the surest


@dataclass(frozen=True)
class Selection(OptionGroup):
    """Which boxes are kept: those of a least score, none that overlaps a surer one of its class more, and only the surest."""

    score_threshold: Share = 0.02
    nms_threshold: Share = 0.6
    max_boxes: PositiveInt = 100


def pairwise_iou(one: Tensor, other: Tensor) -> Tensor:
    """Compute the intersection over union of boxes (B, M, 4) and boxes (B, A, 4): (B, M, A)."""
    one, other = one[:, :, None], other[:, None]
    sides = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp_min(0)
    inside = sides[..., 0] * sides[..., 1]
    return inside / (_area(one) + _area(other) - inside).clamp_min(1e-9)


def _area(box: Tensor) -> Tensor:
    return (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])


def select(box: Tensor, score: Tensor, chosen: Selection) -> tuple[Tensor, Tensor, Tensor]:
    """Keep boxes of one image, given (A, 4) with a score for each class (A, C): boxes, scores, labels, the surest first."""
    place, label = (score > chosen.score_threshold).nonzero(as_tuple=True)
    sure = score[place, label]
    order = sure.sort(descending=True, stable=True).indices[:MOST_BEFORE]
    box, sure, label = box[place[order]], sure[order], label[order]
    kept = batched_nms(box.float(), sure.float(), label, chosen.nms_threshold)[: chosen.max_boxes]
    return box[kept], sure[kept], label[kept]


def stacked(rows: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Lay what was found in each image beside each other, filled up with -1."""
    most = max(len(row[0]) for row in rows)
    columns = zip(*rows, strict=True)
    return tuple(torch.stack([_filled(value, most) for value in column]) for column in columns)


def _filled(value: Tensor, most: int) -> Tensor:
    return torch.cat((value, value.new_full((most - len(value), *value.shape[1:]), -1)))
