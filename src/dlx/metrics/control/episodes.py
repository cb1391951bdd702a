"""Numbers of the episodes of an evaluation, which were chosen beforehand and played to their ends."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from dlx.core import Batch, Metric
from dlx.errors import ComponentError
from dlx.registry import metrics


class OfEpisodes(Metric):
    """Base of metrics that keep a number of every episode. The baseline is a policy that acts at random."""

    word: ClassVar[str]

    def __init__(self, training: Any) -> None:
        self.training = training
        self.values: list[float] = []

    def update(self, prediction: Batch, batch: Batch) -> None:
        if self.word not in prediction:
            raise ComponentError(f"reads '{self.word}', of which the environment tells nothing", ("metrics",))
        self.values += prediction[self.word].double().tolist()

    def merge(self, other: Metric) -> None:
        assert isinstance(other, OfEpisodes)
        self.values += other.values

    def baseline(self) -> dict[str, float]:
        episodes = type(self)(self.training)
        for batch in self.training():
            if self.word in batch:
                episodes.update(batch, batch)
        return episodes.compute() if episodes.values else {}

    def mean(self) -> float:
        """Compute the mean; exact in any order."""
        return math.fsum(self.values) / len(self.values) if self.values else math.nan


@metrics("episode_return")
class EpisodeReturn(OfEpisodes):
    """The sum of an episode's rewards: its mean over the episodes, their standard deviation, the worst and the best."""

    reads = frozenset({"episode_return"})
    word = "episode_return"

    def compute(self) -> dict[str, float]:
        mean, values = self.mean(), self.values or [math.nan]
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        return {
            "episode_return": mean,
            "episode_return_deviation": deviation,
            "episode_return_min": min(values),
            "episode_return_max": max(values),
        }


@metrics("episode_length")
class EpisodeLength(OfEpisodes):
    """The mean steps of an episode."""

    reads = frozenset({"episode_length"})
    word = "episode_length"

    def compute(self) -> dict[str, float]:
        return {"episode_length": self.mean()}


@metrics("success_rate")
class SuccessRate(OfEpisodes):
    """The share of episodes that end with their goal reached, in environments that tell."""

    reads = frozenset({"success"})
    word = "success"

    def compute(self) -> dict[str, float]:
        return {"success_rate": self.mean()}
