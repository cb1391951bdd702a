"""How good the spread of forecasts is: the loss of their quantiles, and how often the truth lies within."""

from __future__ import annotations

import numpy as np

from dlx.core import Batch, Metric
from dlx.errors import ComponentError
from dlx.metrics.forecasting.errors import NAIVE, as_array, of_windows
from dlx.registry import metrics


class OfQuantiles(Metric):
    """Base of what reads quantiles."""

    reads = frozenset({"quantile", "level", "naive"})

    def __init__(self, target_mean: list[float], target_std: list[float]) -> None:
        self.mean, self.std = np.array(target_mean), np.array(target_std)
        self.levels = np.zeros(0)
        self.seen = 0

    def scales(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and deviations of the targets in the training part."""
        return of_windows(batch, "target_mean", self.mean), of_windows(batch, "target_std", self.std)

    def read(self, prediction: Batch, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Return the quantiles (B, H, T, Q) and what came to pass (B, H, T, 1), in deviations of the training part."""
        if "quantile" not in prediction:
            raise ComponentError(
                "reads quantiles, and a point forecast has none; set task.loss: quantiles, gaussian or student_t"
            )
        self.levels = as_array(prediction["level"][0])
        mean, std = self.scales(batch)
        scaled = (as_array(prediction["quantile"]) - mean[..., None]) / std[..., None]
        truth = as_array(batch["target"])[..., None]
        self.seen += truth.size
        return scaled, truth


@metrics("quantile_loss")
class QuantileLoss(OfQuantiles):
    """Mean pinball loss of standardised values over all levels; for the median alone it is half the absolute error.

    The baseline is the best naive forecast, taken for all its quantiles.
    """

    higher_is_better = False

    def __init__(self, target_mean: list[float], target_std: list[float]) -> None:
        super().__init__(target_mean, target_std)
        self.sums = np.zeros(1 + len(NAIVE))

    def update(self, prediction: Batch, batch: Batch) -> None:
        quantiles, truth = self.read(prediction, batch)
        mean, std = self.scales(batch)
        naive = as_array(prediction["naive"])
        self.sums[0] += self.pinball(quantiles, truth)
        for place in range(len(NAIVE)):
            self.sums[1 + place] += self.pinball(((naive[:, place] - mean) / std)[..., None], truth)

    def pinball(self, quantiles: np.ndarray, truth: np.ndarray) -> float:
        """Sum the loss over values, averaged over levels."""
        below = truth - quantiles
        return float(np.maximum(self.levels * below, (self.levels - 1) * below).mean(-1).sum())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, QuantileLoss)
        self.sums += other.sums
        self.seen += other.seen

    def compute(self) -> dict[str, float]:
        return {"quantile_loss": float(self.sums[0]) / max(self.seen, 1)}

    def baseline(self) -> dict[str, float]:
        return {"quantile_loss": float(self.sums[1:].min()) / self.seen} if self.seen else {}


@metrics("coverage")
class Coverage(OfQuantiles):
    """Share of values between the lowest and the highest quantile; `below/0.1` is the share below that quantile."""

    def __init__(self, target_mean: list[float], target_std: list[float]) -> None:
        super().__init__(target_mean, target_std)
        self.inside = 0
        self.below: dict[float, int] = {}

    def update(self, prediction: Batch, batch: Batch) -> None:
        quantiles, truth = self.read(prediction, batch)
        self.inside += int(((truth >= quantiles[..., :1]) & (truth <= quantiles[..., -1:])).sum())
        for level, count in zip(self.levels.tolist(), (truth < quantiles).sum((0, 1, 2)).tolist(), strict=True):
            self.below[level] = self.below.get(level, 0) + count

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Coverage)
        self.inside += other.inside
        self.seen += other.seen
        self.levels = self.levels if len(self.levels) else other.levels
        self.below = {level: self.below.get(level, 0) + other.below.get(level, 0) for level in {**self.below, **other.below}}

    def compute(self) -> dict[str, float]:
        seen = max(self.seen, 1)
        return {"coverage": self.inside / seen, **{f"below/{level:g}": count / seen for level, count in self.below.items()}}

    def signature(self) -> str:
        if not self.seen:
            return ""
        low, high = self.levels[0], self.levels[-1]
        return f"coverage: between the quantiles {low:g} and {high:g}, which should hold {high - low:g} of all values"
