"""How good predictions are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from dlx.core.batch import Batch, Picture


class Metric(ABC):
    """Prediction and batch to numbers; the same for any batch size."""

    reads: ClassVar[frozenset[str]] = frozenset()  # words of the prediction
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def update(self, prediction: Batch, batch: Batch) -> None:
        """Count one batch."""

    @abstractmethod
    def merge(self, other: Metric) -> None:
        """Count what another of the same metric has seen."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Compute the numbers; the first is the metric's main one."""

    def undefined(self) -> str:
        """Say why a number is NaN, where the targets seen make it so whatever the answers are; "" where answers may mend it."""
        return ""

    def baseline(self) -> dict[str, float]:
        """Compute the numbers of an honest baseline, where no answer of the task gives them."""
        return {}

    def signature(self) -> str:
        """Say how the numbers were computed, in the words that papers quote; "" where the name says it all."""
        return ""

    def pictures(self) -> Mapping[str, Picture]:
        """Draw what the metric has seen, by name."""
        return {}
