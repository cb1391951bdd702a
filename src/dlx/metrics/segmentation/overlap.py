"""How well the pixels given a class cover those that have it: IoU, Dice and accuracy, of a whole split at once."""

from __future__ import annotations

import numpy as np

from dlx.metrics.counts import Counts
from dlx.registry import metrics


def overlaps(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute intersection over union and Dice of every class from a confusion matrix; 0 where there is nothing."""
    right, size = np.diag(counts), counts.sum(0) + counts.sum(1)  # where right is all there is, size is twice as much
    return right / np.maximum(size - right, 1), 2 * right / np.maximum(size, 1)


@metrics("segmentation")
class Segmentation(Counts):
    """Mean IoU, pixel accuracy and mean Dice of a whole split, by one confusion matrix of its pixels.

    Pixels of -1 count for nothing, and neither do classes that the split's truth has nowhere. Where no pixel counts, all are 0.
    """

    def compute(self) -> dict[str, float]:
        iou, dice = overlaps(self.counts)
        true = self.counts.sum(1)
        occurs = true > 0
        if not occurs.any():
            return {"mean_iou": 0.0, "pixel_accuracy": 0.0, "mean_dice": 0.0}
        return {
            "mean_iou": float(iou[occurs].mean()),
            "pixel_accuracy": float(np.trace(self.counts) / true.sum()),
            "mean_dice": float(dice[occurs].mean()),
        }


@metrics("segmentation_report")
class SegmentationReport(Counts):
    """IoU, Dice, precision, recall and support, the number of its pixels, of every class that the truth has."""

    def __init__(self, num_classes: int, class_names: list[str] | None = None) -> None:
        super().__init__(num_classes)
        self.class_names = class_names or [str(i) for i in range(num_classes)]

    def compute(self) -> dict[str, float]:
        right, predicted, true = np.diag(self.counts), self.counts.sum(0), self.counts.sum(1)
        iou, dice = overlaps(self.counts)
        columns = {
            "iou": iou,
            "dice": dice,
            "precision": right / np.maximum(predicted, 1),
            "recall": right / np.maximum(true, 1),
            "support": true,
        }
        occurring = np.flatnonzero(true)
        return {f"{column}/{self.class_names[c]}": float(values[c]) for column, values in columns.items() for c in occurring}
