"""Whether a classifier is right as often as it says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlx.core import Batch, Metric, Picture
from dlx.registry import metrics

BINS = 15
EDGES = np.linspace(0, 1, BINS + 1)


@metrics("calibration_error")
class CalibrationError(Metric):
    """Mean distance between confidence and accuracy over 15 bins of equal width (Guo et al. 2017), with a picture.

    Confidence is the probability of the chosen class; a bin counts by its samples and holds its upper edge.
    """

    reads = frozenset({"probability", "label"})
    higher_is_better = False

    def __init__(self) -> None:
        self.counts, self.right = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        self.confidence = np.zeros(BINS)  # sums

    def update(self, prediction: Batch, batch: Batch) -> None:
        label = prediction["label"]
        confidence = prediction["probability"].gather(-1, label[:, None])[:, 0].double().cpu().numpy()
        place = np.clip(np.searchsorted(EDGES, confidence) - 1, 0, BINS - 1)
        self.counts += np.bincount(place, minlength=BINS)
        self.right += np.bincount(place[(label == batch["target"]).cpu().numpy()], minlength=BINS)
        self.confidence += np.bincount(place, confidence, BINS)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, CalibrationError)
        self.counts, self.right = self.counts + other.counts, self.right + other.right
        self.confidence = self.confidence + other.confidence

    def compute(self) -> dict[str, float]:
        return {"calibration_error": float(np.abs(self.right - self.confidence).sum() / max(self.counts.sum(), 1))}

    def pictures(self) -> Mapping[str, Picture]:
        from dlx.pictures.figures import reliability

        return {"reliability": reliability(self.counts, self.right, self.confidence)} if self.counts.any() else {}
