"""How often something is taken for a keyword, and how often one is missed."""

from __future__ import annotations

import math

import torch

from dlx.core import Batch, Metric
from dlx.errors import ComponentError
from dlx.registry import metrics

BACKGROUND = ("unknown", "silence")


@metrics("keyword_errors")
class KeywordErrors(Metric):
    """Shares of what is no keyword but taken for one (false accepts), and of keywords not heard as such (false rejects).

    Keywords are all classes but `unknown` and `silence`. One taken for another counts as `keyword_confused`.
    """

    reads = frozenset({"label"})
    higher_is_better = False

    def __init__(self, class_names: list[str]) -> None:
        if not set(BACKGROUND) & set(class_names):
            raise ComponentError(f"wants a class 'unknown' or 'silence' in the data, not only {', '.join(class_names[:5])}")
        self.keyword = torch.tensor([name not in BACKGROUND for name in class_names])
        self.counts = torch.zeros(5, dtype=torch.int64)  # background, taken; keywords, missed, confused

    def update(self, prediction: Batch, batch: Batch) -> None:
        label, target = prediction["label"].cpu(), batch["target"].cpu()
        said, right = self.keyword[label], self.keyword[target]
        found = (~right, ~right & said, right, right & ~said, right & said & (label != target))
        self.counts += torch.stack([one.sum() for one in found])

    def merge(self, other: Metric) -> None:
        assert isinstance(other, KeywordErrors)
        self.counts += other.counts

    def compute(self) -> dict[str, float]:
        background, taken, keywords, missed, confused = self.counts.tolist()
        return {
            "false_accept": taken / background if background else math.nan,
            "false_reject": missed / keywords if keywords else math.nan,
            "keyword_confused": confused / keywords if keywords else math.nan,
        }

    def undefined(self) -> str:
        background, _, keywords, *_ = self.counts.tolist()
        if background and keywords:
            return ""
        return "nothing but keywords was said" if keywords else "no keyword was said"
