"""Frames that are drawn the more often the more was wrong about them (Schaul et al., 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, PositiveInt

from dlx.registry.types import OptionGroup

LEAST_ERROR = 1e-6  # so that every frame may be drawn
Exponent = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class PriorityOptions(OptionGroup):
    """How much the error of a frame decides how often it is drawn, and how far its weight makes up for that; 0: not at all.

    `importance_exponent` rises in a line to `importance_exponent_end` over the first `importance_updates` batches, where they
    are given.
    """

    priority_exponent: Exponent = 0.0
    importance_exponent: Exponent = 0.4
    importance_exponent_end: Exponent = 1.0
    importance_updates: PositiveInt | None = None

    def importance(self, batches: int) -> float:
        """Return how far weights make up for what was drawn more often, after so many batches."""
        if self.importance_updates is None:
            return self.importance_exponent
        share = min(batches / self.importance_updates, 1)
        return self.importance_exponent + share * (self.importance_exponent_end - self.importance_exponent)


class SumTree:
    """Numbers, and the sums of all pairs, pairs of pairs, ...: one is changed, or found by its share, in log2(size) steps."""

    def __init__(self, size: int) -> None:
        self.leaves = 1 << max(size - 1, 1).bit_length()
        self.sums = np.zeros(2 * self.leaves)  # node n has the children 2n and 2n + 1; the first is 1

    @property
    def total(self) -> float:
        """Return the sum of all."""
        return float(self.sums[1])

    def put(self, index: np.ndarray, values: np.ndarray) -> None:
        """Set numbers; of two for one place the last one stands."""
        nodes = index + self.leaves
        self.sums[nodes] = values
        for _ in range(self.leaves.bit_length() - 1):
            nodes = nodes >> 1
            self.sums[nodes] = self.sums[2 * nodes] + self.sums[2 * nodes + 1]

    def get(self, index: np.ndarray) -> np.ndarray:
        """Return numbers."""
        return self.sums[index + self.leaves]

    def find(self, reached: np.ndarray) -> np.ndarray:
        """Return for each value below `total` the place at which the sum from the first place on exceeds it."""
        nodes = np.ones(len(reached), np.int64)
        for _ in range(self.leaves.bit_length() - 1):
            left = self.sums[2 * nodes]
            right = (reached >= left) & (self.sums[2 * nodes + 1] > 0)  # by rounding, nothing may be left for the right side
            reached = reached - left * right
            nodes = 2 * nodes + right
        return nodes - self.leaves


class Priorities:
    """How often each slot is to be drawn: its last known error to a power; new ones as the worst so far."""

    def __init__(self, size: int, options: PriorityOptions) -> None:
        self.tree, self.options, self.largest = SumTree(size), options, 1.0

    def add(self, slots: np.ndarray) -> None:
        """Enter new frames."""
        self.tree.put(slots, np.full(len(slots), self.largest))

    def draw(self, count: int, shares: np.ndarray) -> np.ndarray:
        """Draw slots by random numbers (count,) below 1, each from its own of as many equal parts of the sum."""
        return self.tree.find((np.arange(count) + shares) / count * self.tree.total)

    def weights(self, slots: np.ndarray, filled: int, batches: int) -> np.ndarray:
        """Compute what makes up for having been drawn more often, 1 for the one drawn the least, after so many batches."""
        probability = self.tree.get(slots) / self.tree.total
        weight = (filled * probability) ** -self.options.importance(batches)
        return (weight / weight.max()).astype(np.float32)

    def hear(self, slots: np.ndarray, errors: np.ndarray) -> None:
        """Take note of the errors of frames."""
        priority = (np.abs(errors.astype(np.float64)) + LEAST_ERROR) ** self.options.priority_exponent
        self.largest = max(self.largest, float(priority.max()))
        self.tree.put(slots, priority)

    def state_dict(self, filled: int) -> dict[str, Any]:
        """Return the priorities of the slots that are filled."""
        return {"largest": self.largest, "priorities": torch.from_numpy(self.tree.get(np.arange(filled)))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        self.largest, kept = state["largest"], state["priorities"].numpy()
        self.tree.put(np.arange(len(kept)), kept)
