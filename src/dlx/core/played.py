"""An episode in an environment, as it was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Film:
    """Frames uint8 (H, W, 3) of one size, and how many milliseconds each is seen."""

    frames: Sequence[np.ndarray]
    milliseconds: float


@dataclass(frozen=True)
class Played:
    """An episode of T steps from its first observation to its end.

    Actions are in units in which the environment's bounds are -1 and 1, as the environment took them: none lies beyond.
    """

    observations: np.ndarray  # (T + 1, *input_shape), the last one too
    actions: np.ndarray  # int64 (T,) or float32 (T, A)
    rewards: np.ndarray  # float64 (T,)
    terminated: bool  # else it was truncated
    success: float  # 1 or 0; nan where the environment tells none
    seed: int  # which the environment was reset with
    film: Film | None = field(default=None, repr=False)
