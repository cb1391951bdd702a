"""Scales of series: means and deviations of the training part, of all series together or of each alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.errors import UsageError


@dataclass(frozen=True)
class Scales:
    """Means and deviations, of the training part, of the past's columns (V,) and of those known ahead (K,).

    `own` are those of the past's columns of each series by its name, where series are scaled each by itself.
    """

    mean: np.ndarray
    std: np.ndarray
    known_mean: np.ndarray
    known_std: np.ndarray
    own: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the means and deviations (V,) that a series is scaled by; UsageError where it has none of its own."""
        if not self.own:
            return self.mean, self.std
        if name not in self.own:
            told = f"the series '{name}' was not there in training, and with `scale: series` each is scaled by its own past"
            raise UsageError(f"{told}; those trained on: {', '.join(list(self.own)[:10])}{', ...' * (len(self.own) > 10)}")
        return self.own[name]

    def values(self, values: np.ndarray, name: str) -> np.ndarray:
        """Standardise the past's columns of a series: float32."""
        mean, std = self.of(name)
        return ((values - mean) / std).astype(np.float32)

    def known(self, known: np.ndarray) -> np.ndarray:
        """Standardise the columns known ahead: float32."""
        return ((known - self.known_mean) / self.known_std).astype(np.float32)

    def words(self, names: Sequence[str], targets: int) -> dict[str, Tensor]:
        """Return `target_mean` and `target_std` (S, T) of some series, float64; nothing where all are scaled alike."""
        if not self.own:
            return {}
        mean, std = (np.stack(one)[:, :targets] for one in zip(*map(self.of, names), strict=True))
        return {"target_mean": torch.from_numpy(mean), "target_std": torch.from_numpy(std)}

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        shared = {key: value.tolist() for key, value in vars(self).items() if key != "own"}
        return {**shared, "own": {name: [one.tolist() for one in both] for name, both in self.own.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scales:
        """Make them again."""
        shared = {key: np.asarray(value, np.float64) for key, value in state.items() if key != "own"}
        own = {name: (np.asarray(mean), np.asarray(std)) for name, (mean, std) in state.get("own", {}).items()}
        return cls(**shared, own=own)
