"""Whether a forecast is worth anything: its error beside that of the best naive one, and the direction of change."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dlx.core import Batch, Metric, Picture
from dlx.metrics.forecasting.errors import NAIVE, ForecastErrors, Scaled, as_array
from dlx.registry import metrics


@metrics("skill")
class Skill(Scaled):
    """Share of the best naive forecast's error that is saved (Murphy 1988): 1 is perfect, 0 no better, below 0 worse.

    The errors are of standardised values, squared or absolute, on the very same windows. `skill/last_value` and the like
    are against each of the four alone.
    """

    name = "skill"
    higher_is_better = True

    def __init__(
        self,
        horizon: int,
        num_targets: int,
        target_mean: list[float],
        target_std: list[float],
        *,
        error: Literal["squared", "absolute"] = "squared",
    ) -> None:
        super().__init__(horizon, num_targets, target_mean, target_std)
        self.kind = error

    def power_of(self, error: np.ndarray) -> np.ndarray:
        return error**2 if self.kind == "squared" else np.abs(error)

    def compute(self) -> dict[str, float]:
        own, *naive = self.each()
        best = min(naive)
        return {
            "skill": skill_of(own, best),
            **{f"skill/{name}": skill_of(own, one) for name, one in zip(NAIVE, naive, strict=True)},
        }

    def baseline(self) -> dict[str, float]:
        """Return none: against itself a naive forecast has no skill."""
        return {}

    def undefined(self) -> str:
        return "a naive forecast makes no error at all" if self.seen and min(self.each()[1:]) == 0 else ""

    def signature(self) -> str:
        if not self.seen:
            return ""
        own, *naive = self.each()
        best = NAIVE[int(np.argmin(naive))]
        told = f"baseline: the best of {', '.join(NAIVE)} on these very windows; for the skill, {best}"
        return told if own < min(naive) else f"{told}\nno skill over {best}: the model errs as much as it, or more"


def skill_of(own: float, naive: float) -> float:
    """Compute the share of a naive forecast's error that is saved."""
    return 1 - own / naive if naive > 0 else 0.0 if own == 0 else float("nan")


@metrics("directional_accuracy")
class DirectionalAccuracy(ForecastErrors):
    """Share of values that lie on the side of the last known one where they are forecast; those that equal it do not count."""

    name = "directional_accuracy"
    higher_is_better = True

    def __init__(self, horizon: int, num_targets: int, target_mean: list[float], target_std: list[float]) -> None:
        super().__init__(horizon, num_targets, target_mean, target_std)
        self.moved = 0

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.last = as_array(prediction["naive"])[:, NAIVE.index("last_value")]
        super().update(prediction, batch)
        self.moved += int((self.truth(batch) != self.last).sum())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, DirectionalAccuracy)
        super().merge(other)
        self.moved += other.moved

    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        return (np.sign(value - self.last) == np.sign(truth - self.last)) & (truth != self.last)

    def each(self) -> list[float]:
        return [float(sums.sum()) / max(self.moved, 1) for sums in self.sums]

    def baseline(self) -> dict[str, float]:
        return {self.name: max(self.each()[1:])} if self.seen else {}


@metrics("horizon_errors")
class HorizonErrors(Scaled):
    """Draw the absolute error at each step ahead beside those of naive forecasts, and how the errors are spread."""

    EDGES = np.linspace(-4, 4, 82)

    def __init__(self, horizon: int, num_targets: int, target_mean: list[float], target_std: list[float]) -> None:
        super().__init__(horizon, num_targets, target_mean, target_std)
        self.counts = np.zeros(len(self.EDGES) - 1)
        self.moments = np.zeros(2)

    def power_of(self, error: np.ndarray) -> np.ndarray:
        return np.abs(error)

    def update(self, prediction: Batch, batch: Batch) -> None:
        super().update(prediction, batch)
        error = (as_array(prediction["value"]) - self.truth(batch)) / self.unit(batch)
        self.counts += np.histogram(np.clip(error, self.EDGES[0], self.EDGES[-1]), self.EDGES)[0]
        self.moments += (error.sum(), (error**2).sum())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, HorizonErrors)
        super().merge(other)
        self.counts += other.counts
        self.moments += other.moments

    def compute(self) -> dict[str, float]:
        return {}

    def baseline(self) -> dict[str, float]:
        return {}

    def pictures(self) -> dict[str, Picture]:
        from dlx.pictures.forecasts import error_by_horizon, residuals

        if not self.seen:
            return {}
        own, *naive = self.sums.mean(-1) / self.seen
        mean, square = self.moments / max(self.counts.sum(), 1)
        drawn = residuals(self.EDGES, self.counts, float(mean), float(np.sqrt(max(square - mean**2, 0))))
        return {"error_by_horizon": error_by_horizon(own, dict(zip(NAIVE, naive, strict=True))), "residuals": drawn}
