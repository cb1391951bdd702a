"""What a trained classifier says of generated images: the classes asked for, all of them, and clearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch, Metric
from dlx.errors import ComponentError
from dlx.metrics.generation.comparison import Training, restored, sample
from dlx.metrics.generation.feature_comparison import Trained, network
from dlx.registry import metrics
from dlx.registry.types import SomePath

MISSED = 0.1  # a class that gets less than this part of its share among the real images is not covered


@metrics("classifier_score")
class ClassifierScore(Metric):
    """What the `classifier`, a run or a checkpoint of dlx, says of generated images; higher is better.

    `label_accuracy`, where classes were asked for: the share of images that it labels as asked. `classifier_score`: the
    exponential of the mean divergence KL(p(y|x) || p(y)), over all images at once; from 1 to the number of classes, it is
    the Inception score (Salimans et al. 2016) by this classifier. `coverage`: the share of the classes that it sees in at
    least a tenth of their share among the real images. `per_class` adds `label_accuracy` or, without labels, the `share`
    of every class.
    """

    reads = frozenset({"image"})

    def __init__(
        self,
        num_classes: int,
        channel_mean: list[float],
        channel_std: list[float],
        trained: Trained,
        class_names: list[str] | None = None,
        training: Training | None = None,
        class_counts: list[int] | None = None,
        *,
        classifier: SomePath | None = None,
        per_class: bool = False,
    ) -> None:
        if classifier is None:
            raise ComponentError("needs to be told which classifier judges: classifier, a run of dlx")
        self.mean, self.std, self.training, self.class_counts = channel_mean, channel_std, training, class_counts
        self.network, self.per_class = network(trained, classifier), per_class
        self.class_names = class_names or [str(number) for number in range(num_classes)]
        if self.network.class_names != self.class_names:
            theirs, ours = (", ".join(names[:5]) for names in (self.network.class_names, self.class_names))
            raise ComponentError(f"{classifier}: classifies as {theirs}, but the data's classes are {ours}", ("classifier",))
        self.said, self.real = Said(num_classes), np.zeros(num_classes, np.int64)

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.said.add(self.network.logits(prediction["image"]), prediction.get("label"))
        self.real += _counts(batch["target"], len(self.real))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, ClassifierScore)
        self.said.merge(other.said)
        self.real = self.real + other.real

    def compute(self) -> dict[str, float]:
        return self._numbers(self.said)

    def baseline(self) -> dict[str, float]:
        if self.training is None or not self.real.any():
            return {}
        said = Said(len(self.real))
        for batch in sample(self.training, int(self.real.sum()), self.class_counts):
            label = batch["target"] if self.said.asked.any() else None
            said.add(self.network.logits(restored(batch["input"], self.mean, self.std)), label)
        return self._numbers(said)

    def _numbers(self, said: Said) -> dict[str, float]:
        if not said.given.any():
            return {"classifier_score": float("nan")}
        share, real = said.given / said.given.sum(), self.real / max(self.real.sum(), 1)
        found = {"classifier_score": said.score(), "coverage": float((share >= MISSED * real)[real > 0].mean())}
        shares = {f"share/{name}": float(value) for name, value in zip(self.class_names, share, strict=True)}
        if said.asked.any():
            asked = zip(self.class_names, said.right, said.asked, strict=True)
            found = {"label_accuracy": float(said.right.sum() / said.asked.sum()), **found}
            shares = {f"label_accuracy/{name}": float(right / count) for name, right, count in asked if count}
        return {**found, **(shares if self.per_class else {})}


class Said:
    """What was said of a set of images, class by class: labels given and asked for, and sums of probabilities."""

    def __init__(self, num_classes: int) -> None:
        self.given, self.asked, self.right = (np.zeros(num_classes, np.int64) for _ in range(3))
        self.probability, self.certainty = np.zeros(num_classes), 0.0

    def add(self, logits: Tensor, label: Tensor | None) -> None:
        """Take in logits `(B, C)` and, where classes were asked for, those: `(B,)`."""
        logarithm = logits.double().log_softmax(-1)
        probability, given, size = logarithm.exp(), logits.argmax(-1), len(self.given)
        self.given = self.given + _counts(given, size)
        self.probability = self.probability + probability.sum(0).numpy()
        self.certainty += float((probability * logarithm).sum())
        if label is not None:
            asked = label.cpu()
            self.asked = self.asked + _counts(asked, size)
            self.right = self.right + _counts(asked[asked == given], size)

    def merge(self, other: Said) -> None:
        """Take in what was said of another set."""
        self.given, self.asked, self.right = self.given + other.given, self.asked + other.asked, self.right + other.right
        self.probability, self.certainty = self.probability + other.probability, self.certainty + other.certainty

    def score(self) -> float:
        """Compute exp of the mean of KL(p(y|x) || p(y)) = sum p(y|x) log p(y|x) - sum p(y) log p(y)."""
        count = self.given.sum()
        mean = self.probability / count
        return float(np.exp(self.certainty / count - (mean * np.log(np.where(mean > 0, mean, 1))).sum()))


def _counts(labels: Tensor, size: int) -> Any:
    return torch.bincount(labels.flatten().cpu(), minlength=size).numpy()
