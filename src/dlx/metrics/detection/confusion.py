"""Which classes found boxes have, held against the true boxes that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dlx.core import Batch, Metric, Picture
from dlx.registry import metrics

Share = Annotated[float, Field(ge=0, le=1)]
BACKGROUND = "background"


@metrics("box_confusion")
class BoxConfusion(Metric):
    """Precision and recall of boxes, and the matrix of true against found classes with the background as the last.

    Boxes of at least `score` are held against the true ones, the pair that overlaps most first, whatever their classes; a pair
    overlaps by an IoU of at least `iou`, and a box belongs to one pair. A true box that was not found counts as found in the
    background; a box on nothing as one of the background. Of what lies on crowds nothing is counted.
    """

    reads = frozenset({"box", "box_score", "box_label"})

    def __init__(self, num_classes: int, class_names: list[str] | None = None, *, score: Share = 0.3, iou: Share = 0.5) -> None:
        self.score, self.iou = score, iou
        self.class_names = [*(class_names or map(str, range(num_classes))), BACKGROUND]
        self.counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)

    def update(self, prediction: Batch, batch: Batch) -> None:
        sure = (prediction["box_label"] >= 0) & (prediction["box_score"] >= self.score)
        crowd = batch["crowd"] if "crowd" in batch else torch.zeros_like(batch["box_label"], dtype=torch.bool)
        for row in range(len(batch["box"])):
            found, true = sure[row], batch["box_label"][row] >= 0
            boxes = batch["box"][row].cpu()[true.cpu()].double(), prediction["box"][row].cpu()[found.cpu()].double()
            labels = batch["box_label"][row][true].cpu(), prediction["box_label"][row][found].cpu()
            self._add(*boxes, *labels, crowd[row][true].cpu())

    def _add(self, true: Tensor, found: Tensor, true_label: Tensor, found_label: Tensor, crowd: Tensor) -> None:
        inside, areas, found_areas = _overlaps(true, found)
        iou = inside / (areas[:, None] + found_areas - inside).clamp_min(1e-12)
        pairs = _paired(iou[~crowd], self.iou)
        on_crowd = ((inside[crowd] / found_areas.clamp_min(1e-12)) >= self.iou).any(0).tolist()
        labels, background = true_label[~crowd].tolist(), len(self.counts) - 1
        for one, other in pairs.items():
            self.counts[labels[one], found_label[other]] += 1
        for missed in set(range(len(labels))) - pairs.keys():
            self.counts[labels[missed], background] += 1
        for wrong in set(range(len(found_label))) - set(pairs.values()):
            self.counts[background, found_label[wrong]] += not on_crowd[wrong]

    def merge(self, other: Metric) -> None:
        assert isinstance(other, BoxConfusion)
        self.counts += other.counts

    def compute(self) -> dict[str, float]:
        right = np.trace(self.counts)
        found, true = self.counts[:, :-1].sum(), self.counts[:-1].sum()
        return {"box_precision": float(right / max(found, 1)), "box_recall": float(right / max(true, 1))}

    def pictures(self) -> Mapping[str, Picture]:
        from dlx.pictures.figures import matrix

        return {"box_confusion": matrix(self.counts, self.class_names)}


def _overlaps(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the areas that boxes (M, 4) and (N, 4) share (M, N), and those of both."""
    sides = torch.minimum(one[:, None, 2:], other[:, 2:]) - torch.maximum(one[:, None, :2], other[:, :2])
    area, other_area = ((boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other))
    return sides.clamp_min(0).prod(-1), area, other_area


def _paired(iou: Tensor, least: float) -> dict[int, int]:
    """Pair rows and columns, the largest IoU first, each once."""
    pairs, taken = dict[int, int](), set[int]()
    for place in iou.flatten().argsort(descending=True, stable=True).tolist():
        row, column = divmod(place, iou.shape[1])
        if iou[row, column] < max(least, 1e-12):
            break
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return pairs
