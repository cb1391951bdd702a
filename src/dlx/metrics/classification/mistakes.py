"""The images that a classifier is most sure of, and wrong about."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import PositiveInt
from torch import Tensor

from dlx.core import Batch, Metric, Picture
from dlx.registry import metrics


@metrics("mistakes")
class Mistakes(Metric):
    """A page of the `most` images that are wrong with the highest probability; it gives no number."""

    reads = frozenset({"probability", "label"})

    def __init__(
        self, class_names: list[str], channel_mean: list[float], channel_std: list[float], *, most: PositiveInt = 24
    ) -> None:
        self.class_names, self.mean, self.std, self.most = class_names, channel_mean, channel_std, most
        self.kept: dict[str, Tensor] = {}  # the most confident first; of equals those seen first

    def update(self, prediction: Batch, batch: Batch) -> None:
        if "input" not in batch:  # features in its place
            return
        label, target = prediction["label"], batch["target"]
        confidence = prediction["probability"].gather(-1, label[:, None])[:, 0].float()
        wrong = (label != target).nonzero()[:, 0]
        wrong = wrong[confidence[wrong].sort(descending=True, stable=True).indices[: self.most]]
        words = {"confidence": confidence, "label": label, "target": target, "input": batch["input"]}
        self._take({word: value[wrong].cpu() for word, value in words.items()})

    def _take(self, found: Mapping[str, Tensor]) -> None:
        both = {word: torch.cat([self.kept[word], value]) if self.kept else value for word, value in found.items()}
        best = both["confidence"].sort(descending=True, stable=True).indices[: self.most]
        self.kept = {word: value[best] for word, value in both.items()}

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Mistakes)
        if other.kept:
            self._take(other.kept)

    def compute(self) -> dict[str, float]:
        return {}

    def pictures(self) -> Mapping[str, Picture]:
        if not self.kept or not len(self.kept["label"]):
            return {}
        from dlx.pictures.figures import gallery, pixels, worded

        rows = zip(*(self.kept[word].tolist() for word in ("target", "label", "confidence")), strict=True)
        names = [worded(name, 20) for name in self.class_names]
        titles = [(f"true: {names[t]}", f"{names[p]} {c:.2f}") for t, p, c in rows]
        return {"mistakes": gallery(pixels(self.kept["input"].numpy(), self.mean, self.std), titles)}
