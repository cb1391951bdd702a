"""What a confusion matrix tells: accuracy, precision, recall, F1; equal to scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from dlx.core import Picture
from dlx.metrics.counts import Counts
from dlx.registry import metrics

Average = Literal["macro", "micro", "weighted"]


@metrics("accuracy")
class Accuracy(Counts):
    """Share of samples whose label is right."""

    def compute(self) -> dict[str, float]:
        return {"accuracy": float(np.trace(self.counts) / max(self.counts.sum(), 1))}


@metrics("balanced_accuracy")
class BalancedAccuracy(Counts):
    """Mean over the classes that occur of the share recognised."""

    def compute(self) -> dict[str, float]:
        true = self.counts.sum(1)
        occurs = true > 0
        shares = np.diag(self.counts)[occurs] / true[occurs]
        return {"balanced_accuracy": float(shares.mean()) if len(shares) else float("nan")}


class Averaged(Counts):
    """A number a class, averaged over the classes that occur or are predicted, as scikit-learn does."""

    label: str

    def __init__(
        self, num_classes: int, class_names: list[str] | None = None, *, average: Average = "macro", per_class: bool = False
    ) -> None:
        super().__init__(num_classes)
        self.average, self.per_class = average, per_class
        self.class_names = class_names or [str(i) for i in range(num_classes)]

    def ratio(self, right: Any, predicted: Any, true: Any) -> Any:
        """Divide what the number divides; 0 where there is nothing to divide by."""
        raise NotImplementedError

    def compute(self) -> dict[str, float]:
        right, predicted, true = np.diag(self.counts), self.counts.sum(0), self.counts.sum(1)
        each = self.ratio(right, predicted, true)
        if self.average == "micro":
            mean = self.ratio(right.sum(), predicted.sum(), true.sum())
        elif self.average == "weighted":
            mean = np.average(each, weights=true) if true.sum() else 0.0
        else:
            mean = each[(predicted + true) > 0].mean() if true.sum() else 0.0
        name = self.label if self.average == "macro" else f"{self.label}_{self.average}"
        classes = {f"{self.label}/{c}": float(e) for c, e in zip(self.class_names, each, strict=True)} if self.per_class else {}
        return {name: float(mean), **classes}


def _divide(above: Any, below: Any) -> Any:
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=np.asarray(below) > 0)


@metrics("precision")
class Precision(Averaged):
    """Of what was given a class, the share that belongs to it."""

    label = "precision"

    def ratio(self, right: Any, predicted: Any, true: Any) -> Any:
        return _divide(right, predicted)


@metrics("recall")
class Recall(Averaged):
    """Of what belongs to a class, the share that was given it."""

    label = "recall"

    def ratio(self, right: Any, predicted: Any, true: Any) -> Any:
        return _divide(right, true)


@metrics("f1")
class F1(Averaged):
    """Harmonic mean of precision and recall."""

    label = "f1"

    def ratio(self, right: Any, predicted: Any, true: Any) -> Any:
        return _divide(2 * right, predicted + true)


@metrics("confusion_matrix")
class ConfusionMatrix(Counts):
    """The matrix of true against predicted classes, as a picture."""

    def __init__(self, num_classes: int, class_names: list[str] | None = None) -> None:
        super().__init__(num_classes)
        self.class_names = class_names or [str(i) for i in range(num_classes)]

    def compute(self) -> dict[str, float]:
        return {}

    def pictures(self) -> Mapping[str, Picture]:
        from dlx.pictures.figures import matrix

        return {"confusion_matrix": matrix(self.counts, self.class_names)}


@metrics("report")
class Report(Counts):
    """Precision, recall, F1 and support, the number of its samples, of every class."""

    def __init__(self, num_classes: int, class_names: list[str] | None = None) -> None:
        super().__init__(num_classes)
        self.class_names = class_names or [str(i) for i in range(num_classes)]

    def compute(self) -> dict[str, float]:
        right, predicted, true = np.diag(self.counts), self.counts.sum(0), self.counts.sum(1)
        columns = {
            "precision": _divide(right, predicted),
            "recall": _divide(right, true),
            "f1": _divide(2 * right, predicted + true),
            "support": true,
        }
        return {
            f"{c}/{name}": float(v) for c, values in columns.items() for name, v in zip(self.class_names, values, strict=True)
        }
