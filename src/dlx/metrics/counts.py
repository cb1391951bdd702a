"""How often a true class was given each class."""

from __future__ import annotations

import numpy as np
import torch

from dlx.core import Batch, Metric


class Counts(Metric):
    """A confusion matrix [true, predicted] of whole numbers, of samples or of pixels; targets of -1 count for nothing."""

    reads = frozenset({"label"})

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros((num_classes, num_classes), dtype=np.int64)

    def update(self, prediction: Batch, batch: Batch) -> None:
        size, target = len(self.counts), batch["target"]
        pairs = target * size + prediction["label"]
        if target.ndim > 1:
            pairs = pairs[target >= 0]
        self.counts += torch.bincount(pairs.flatten().cpu(), minlength=size * size).numpy().reshape(size, size)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Counts)
        self.counts += other.counts
