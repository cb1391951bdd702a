"""How far numbers are off: absolute, squared, and against the spread; equal to scikit-learn's."""

from __future__ import annotations

import numpy as np

from dlx.core import Batch, Metric
from dlx.registry import metrics


class Errors(Metric):
    """Sums over samples, one an output, in float64."""

    reads = frozenset({"value"})
    higher_is_better = False

    def __init__(self, num_outputs: int) -> None:
        self.sums = {name: np.zeros(num_outputs) for name in ("absolute", "squared")}
        self.seen = 0

    def update(self, prediction: Batch, batch: Batch) -> None:
        target = batch["target"].double().cpu().numpy()
        error = prediction["value"].double().cpu().numpy() - target
        self.sums["absolute"] += np.abs(error).sum(0)
        self.sums["squared"] += (error**2).sum(0)
        self.seen += len(target)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Errors)
        for name in self.sums:
            self.sums[name] += other.sums[name]
        self.seen += other.seen

    def mean(self, name: str) -> np.ndarray:
        """Average a sum over the samples (num_outputs,)."""
        return self.sums[name] / max(self.seen, 1)


@metrics("mae")
class MeanAbsoluteError(Errors):
    """Mean absolute error, in the target's units."""

    def compute(self) -> dict[str, float]:
        return {"mae": float(self.mean("absolute").mean())}


@metrics("mse")
class MeanSquaredError(Errors):
    """Mean squared error, in the target's units squared."""

    def compute(self) -> dict[str, float]:
        return {"mse": float(self.mean("squared").mean())}


@metrics("rmse")
class RootMeanSquaredError(Errors):
    """Root of the mean squared error, in the target's units; the mean over outputs where there are several."""

    def compute(self) -> dict[str, float]:
        return {"rmse": float(np.sqrt(self.mean("squared")).mean())}


@metrics("r2")
class R2(Errors):
    """Share of the targets' variance that is explained; 0 is what the mean achieves."""

    higher_is_better = True

    def __init__(self, num_outputs: int) -> None:
        super().__init__(num_outputs)
        self.centre, self.spread = np.zeros(num_outputs), np.zeros(num_outputs)  # mean, sum of squares about it

    def update(self, prediction: Batch, batch: Batch) -> None:
        target = batch["target"].double().cpu().numpy()
        # From the first target on, so that equal targets have no spread at all, not one of rounding errors.
        centre = target[0] + (target - target[0]).mean(0)
        self.join(centre, ((target - centre) ** 2).sum(0), len(target))
        super().update(prediction, batch)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, R2)
        self.join(other.centre, other.spread, other.seen)
        super().merge(other)

    def join(self, centre: np.ndarray, spread: np.ndarray, count: int) -> None:
        """Take in the mean and the spread of more targets (Chan, Golub and LeVeque 1979)."""
        share, apart = count / max(self.seen + count, 1), centre - self.centre
        self.spread = self.spread + spread + apart**2 * self.seen * share
        self.centre = self.centre + apart * share

    def compute(self) -> dict[str, float]:
        spread, error = self.spread / max(self.seen, 1), self.mean("squared")
        # A constant target has no variance to explain: 1 where it is met exactly and 0 elsewhere, as scikit-learn says.
        each = np.where(spread > 0, 1 - error / np.where(spread > 0, spread, 1), np.where(error == 0, 1.0, 0.0))
        return {"r2": float(each.mean())}
