"""How likely a model holds what was right, and whether its answers are as long."""

from __future__ import annotations

import math
from typing import Any

from dlx.core import Batch, Metric
from dlx.registry import metrics


@metrics("perplexity")
class Perplexity(Metric):
    """The exponential of the mean negative log-probability of a right piece; 1 is perfect, and it knows no smoothing."""

    reads = frozenset({"log_probability", "tokens"})
    higher_is_better = False

    def __init__(self) -> None:
        self.total = self.tokens = 0.0

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.total += float(prediction["log_probability"].double().sum().cpu())
        self.tokens += float(prediction["tokens"].double().sum().cpu())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Perplexity)
        self.total, self.tokens = self.total + other.total, self.tokens + other.tokens

    def compute(self) -> dict[str, float]:
        mean = -self.total / self.tokens if self.tokens else math.nan
        return {"perplexity": math.exp(mean) if mean < 700 else math.inf}


@metrics("length_ratio")
class LengthRatio(Metric):
    """The words of all answers over those of the first references, counted between blanks."""

    reads = frozenset({"output"})

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.written = self.right = 0

    def update(self, prediction: Batch, batch: Batch) -> None:
        for codes, references in zip(prediction["output"].tolist(), batch["reference"], strict=True):
            self.written += len(self.processor.detokenize(codes).split())
            self.right += len(references[0].split())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, LengthRatio)
        self.written, self.right = self.written + other.written, self.right + other.right

    def compute(self) -> dict[str, float]:
        return {"length_ratio": self.written / self.right if self.right else math.nan}
