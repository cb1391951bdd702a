"""What the order of the scores tells: top-k accuracy and the area under the ROC curve."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import PositiveInt

from dlx.core import Batch, Metric
from dlx.registry import metrics


@metrics("top_k")
class TopK(Metric):
    """Share of samples whose class is among the k best scored; ties go to the higher class, as in scikit-learn."""

    reads = frozenset({"logits"})

    def __init__(self, num_classes: int, *, k: PositiveInt = 5) -> None:
        self.k, self.right, self.seen = min(k, num_classes), 0, 0

    def update(self, prediction: Batch, batch: Batch) -> None:
        logits, target = prediction["logits"], batch["target"][:, None]
        true, higher = logits.gather(-1, target), torch.arange(logits.shape[-1], device=logits.device) > target
        before = ((logits > true) | (logits == true) & higher).sum(-1)
        self.right += int((before < self.k).sum())
        self.seen += len(logits)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, TopK)
        self.right, self.seen = self.right + other.right, self.seen + other.seen

    def compute(self) -> dict[str, float]:
        return {f"top_{self.k}_accuracy": self.right / max(self.seen, 1)}


@metrics("roc_auc")
class RocAuc(Metric):
    """Area under the ROC curve; with more than two classes the mean over one-against-rest."""

    reads = frozenset({"probability"})

    def __init__(self, num_classes: int, class_names: list[str] | None = None) -> None:
        self.num_classes = num_classes
        self.class_names = class_names or [str(number) for number in range(num_classes)]
        self.probabilities: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.probabilities.append(prediction["probability"].float().cpu().numpy())
        self.targets.append(batch["target"].cpu().numpy())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, RocAuc)
        self.probabilities += other.probabilities
        self.targets += other.targets

    def undefined(self) -> str:
        seen = {int(target) for targets in self.targets for target in np.unique(targets)}
        return f"all samples are of one class, '{self.class_names[seen.pop()]}'" if len(seen) == 1 else ""

    def compute(self) -> dict[str, float]:
        from sklearn.metrics import roc_auc_score

        if not self.targets:
            return {"roc_auc": float("nan")}
        scores, truth = np.concatenate(self.probabilities), np.concatenate(self.targets)
        classes = [c for c in range(self.num_classes) if 0 < (truth == c).sum() < len(truth)]
        if self.num_classes == 2:
            classes = classes[1:]
        areas = [roc_auc_score(truth == c, scores[:, c]) for c in classes]
        return {"roc_auc": float(np.mean(areas)) if areas else float("nan")}
