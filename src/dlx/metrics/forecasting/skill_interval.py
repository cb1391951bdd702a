"""How sure a skill is: an interval from resamples of the moments that forecasts were made at."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt

from dlx.core import Batch, Metric
from dlx.metrics.forecasting.errors import NAIVE
from dlx.metrics.forecasting.skill import Skill, skill_of
from dlx.registry import metrics

HORIZONS = 2  # of which a block is at least as long: errors of windows nearer than one horizon have steps in common
FEWEST = 5  # blocks that lie side by side in a split; of fewer an interval would say little


@metrics("skill_interval")
class SkillInterval(Skill):
    """Interval of the skill over the best naive forecast: `skill_low` and `skill_high`, by a bootstrap of moving blocks.

    Resampled are the moments that forecasts begin at, all series of a moment together, in blocks of two horizons or more
    that go on at the beginning behind the end (Künsch 1989; Politis & Romano 1992), since windows that overlap err alike.
    The best naive forecast is chosen anew in each resample. No interval where fewer than five blocks lie side by side.
    """

    def __init__(
        self,
        horizon: int,
        num_targets: int,
        target_mean: list[float],
        target_std: list[float],
        seed: int,
        *,
        error: Literal["squared", "absolute"] = "squared",
        confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95,
        resamples: PositiveInt = 1000,
    ) -> None:
        super().__init__(horizon, num_targets, target_mean, target_std, error=error)
        self.horizon, self.seed, self.confidence, self.resamples = horizon, seed, confidence, resamples
        self.errors: list[list[np.ndarray]] = [[] for _ in self.sums]
        self.origins: list[np.ndarray] = []

    def update(self, prediction: Batch, batch: Batch) -> None:
        super().update(prediction, batch)
        self.origins.append(batch["origin" if "origin" in batch else "index"].cpu().numpy())

    def count(self, error: np.ndarray, place: int, batch: Batch) -> None:
        super().count(error, place, batch)
        self.errors[place].append(error.sum((1, 2)))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, SkillInterval)
        super().merge(other)
        self.origins += other.origins
        for own, more in zip(self.errors, other.errors, strict=True):
            own += more

    def of_moments(self) -> np.ndarray:
        """Sum the errors of the forecasts made at each moment, in the order of time: (5, N)."""
        _, moment = np.unique(np.concatenate(self.origins), return_inverse=True)
        return np.stack([np.bincount(moment, np.concatenate(each)) for each in self.errors])

    def block(self, moments: int) -> int:
        """Return the moments of a block."""
        return max(HORIZONS * self.horizon, round(moments ** (1 / 3)))

    def compute(self) -> dict[str, float]:
        found = self.of_moments() if self.seen else np.zeros((len(self.sums), 0))
        if found.shape[1] < FEWEST * self.block(found.shape[1]):
            return {}
        own, *naive = resampled(found, self.block(found.shape[1]), self.resamples, self.seed)
        best = np.min(naive, 0)
        outside = (1 - self.confidence) / 2
        low, high = np.quantile(1 - own / np.where(best > 0, best, np.nan), [outside, 1 - outside])
        return {"skill_low": float(low), "skill_high": float(high)}

    def signature(self) -> str:
        if not self.seen:
            return ""
        moments, found = self.of_moments().shape[1], self.compute()
        block = self.block(moments)
        if not found:
            return (
                f"no interval of the skill: {moments:,} forecasts of {self.horizon} steps overlap too much, at least "
                f"{FEWEST * block:,} are wanted"
            )
        own, *naive = self.each()
        low, high, best = found["skill_low"], found["skill_high"], NAIVE[int(np.argmin(naive))]
        told = (
            f"skill {skill_of(own, min(naive)):.3f} over {best}, from {low:.3f} to {high:.3f} in {100 * self.confidence:g} % of "
            f"{self.resamples:,} resamples of {moments:,} forecasts in moving blocks of {block}"
        )
        return f"{told}\nthe interval holds 0: that skill may be chance" if low <= 0 < own < min(naive) else told


def resampled(errors: np.ndarray, block: int, count: int, seed: int) -> np.ndarray:
    """Sum errors (E, N) over so many resamples of blocks of moments that begin anywhere, and go on at the beginning: (E, count)."""
    moments = errors.shape[1]
    draw = torch.Generator().manual_seed(seed)
    starts = torch.randint(moments, (count, -(-moments // block)), generator=draw).numpy()
    sums = np.cumsum(np.concatenate((np.zeros((len(errors), 1)), errors, errors[:, :block]), 1), 1)
    return (sums[:, starts + block] - sums[:, starts]).sum(-1)
