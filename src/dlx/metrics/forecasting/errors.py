"""How far forecasts are off, beside four naive ones on the very same windows."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from torch import Tensor

from dlx.core import Batch, Metric
from dlx.registry import metrics

NAIVE = ("last_value", "drift", "seasonal_naive", "moving_average")  # in the order of the word `naive`


def as_array(values: Tensor) -> np.ndarray:
    """Return values in float64."""
    return values.double().cpu().numpy()


def of_windows(batch: Batch, word: str, shared: np.ndarray) -> np.ndarray:
    """Return a number a target: of each window (B, 1, T) where series are scaled each by itself, else of all (T,)."""
    return as_array(batch[word])[:, None] if word in batch else shared


class ForecastErrors(Metric):
    """Sums over windows of an error at each step and target, of the forecast and of the naive ones: (5, H, T), in float64.

    The baseline is the best of the four on the very windows that are evaluated, chosen with hindsight for each number: the
    hardest one to beat.
    """

    reads = frozenset({"value", "naive"})
    higher_is_better = False
    name = ""

    def __init__(self, horizon: int, num_targets: int, target_mean: list[float], target_std: list[float]) -> None:
        self.mean, self.std = np.array(target_mean), np.array(target_std)
        self.sums = np.zeros((1 + len(NAIVE), horizon, num_targets))
        self.seen = 0

    def truth(self, batch: Batch) -> np.ndarray:
        """Return what came to pass (B, H, T), in the targets' own units."""
        return as_array(batch["target"]) * self.deviation(batch) + of_windows(batch, "target_mean", self.mean)

    def deviation(self, batch: Batch) -> np.ndarray:
        """Return the targets' deviations in the training part."""
        return of_windows(batch, "target_std", self.std)

    def unit(self, batch: Batch) -> np.ndarray:
        """Return what errors are measured in; the targets' own units unless it is something else."""
        return np.ones(1)

    def update(self, prediction: Batch, batch: Batch) -> None:
        truth, unit, naive = self.truth(batch), self.unit(batch), as_array(prediction["naive"])
        self.count(self.error(as_array(prediction["value"]), truth, unit), 0, batch)
        for place in range(len(NAIVE)):
            self.count(self.error(naive[:, place], truth, unit), 1 + place, batch)
        self.seen += len(truth)

    def count(self, error: np.ndarray, place: int, batch: Batch) -> None:
        """Count the errors (B, H, T) of one forecast: the model's at place 0, then the naive ones'."""
        self.sums[place] += error.sum(0)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, ForecastErrors)
        self.sums += other.sums
        self.seen += other.seen

    @abstractmethod
    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Compute the error of every value (B, H, T)."""

    def number(self, mean: np.ndarray) -> float:
        """Turn mean errors (H, T) into one number."""
        return float(mean.mean())

    def each(self) -> list[float]:
        """Compute the number of the forecast, then those of the naive ones."""
        return [self.number(sums / max(self.seen, 1)) for sums in self.sums]

    def compute(self) -> dict[str, float]:
        return {self.name: self.each()[0]}

    def baseline(self) -> dict[str, float]:
        """Return the number of the best naive forecast on the same windows."""
        return {self.name: min(self.each()[1:])} if self.seen else {}


class Scaled(ForecastErrors):
    """Errors in deviations of the training part, as published tables have them."""

    def unit(self, batch: Batch) -> np.ndarray:
        return self.deviation(batch)

    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        return self.power_of((value - truth) / unit)

    def power_of(self, error: np.ndarray) -> np.ndarray:
        """Turn errors into what is averaged."""
        return error**2


@metrics("scaled_mse")
class ScaledSquaredError(Scaled):
    """Mean squared error of standardised values, over all windows, steps and targets, as published tables have it."""

    name = "scaled_mse"


@metrics("scaled_mae")
class ScaledAbsoluteError(Scaled):
    """Mean absolute error of standardised values, over all windows, steps and targets, as published tables have it."""

    name = "scaled_mae"

    def power_of(self, error: np.ndarray) -> np.ndarray:
        return np.abs(error)


@metrics("mse_in_units")
class SquaredErrorInUnits(ForecastErrors):
    """Mean squared error in the targets' own units squared; the mean over targets where there are several."""

    name = "mse_in_units"

    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        return ((value - truth) / unit) ** 2


@metrics("rmse_in_units")
class RootSquaredErrorInUnits(SquaredErrorInUnits):
    """Root of the mean squared error in the targets' own units; the mean over targets where there are several."""

    name = "rmse_in_units"

    def number(self, mean: np.ndarray) -> float:
        return float(np.sqrt(mean.mean(0)).mean())


@metrics("mae_in_units")
class AbsoluteErrorInUnits(ForecastErrors):
    """Mean absolute error in the targets' own units; the mean over targets where there are several."""

    name = "mae_in_units"

    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        return np.abs(value - truth) / unit


@metrics("smape")
class SymmetricPercentageError(ForecastErrors):
    """Symmetric mean absolute percentage error, from 0 to 200: twice the error over the sum of both sizes (Makridakis 1993)."""

    name = "smape"

    def error(self, value: np.ndarray, truth: np.ndarray, unit: np.ndarray) -> np.ndarray:
        size = np.abs(value) + np.abs(truth)
        return 200 * np.abs(value - truth) / np.where(size > 0, size, 1)


@metrics("mase")
class ScaledBySeason(AbsoluteErrorInUnits):
    """Mean absolute error over that of the last season repeated, one season ahead, in the training part (Hyndman & Koehler 2006).

    The mean over targets where there are several, and over series scaled each by itself; above 1 a forecast errs more.
    """

    name = "mase"

    def __init__(
        self, horizon: int, num_targets: int, target_mean: list[float], target_std: list[float], seasonal_error: list[float]
    ) -> None:
        super().__init__(horizon, num_targets, target_mean, target_std)
        self.usual = np.array(seasonal_error)

    def unit(self, batch: Batch) -> np.ndarray:
        usual = of_windows(batch, "seasonal_error", self.usual)
        return np.where(usual > 0, usual, np.nan)

    def undefined(self) -> str:
        if (self.usual > 0).all() and not np.isnan(self.sums).any():
            return ""
        return "a target repeats its last season exactly all through the training part"
