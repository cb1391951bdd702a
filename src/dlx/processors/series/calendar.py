"""What a calendar tells of a moment, known of the future too: hours, weekdays, seasons, each as a point on a circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dlx.processors.series.times import DAY

Cycle = Literal["hour", "weekday", "day_of_month", "day_of_year", "month"]


def calendar_features(local: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
    """Compute the sine and the cosine of each cycle at what clocks show (N,): (N, 2 * cycles), float64."""
    parts = [np.zeros((len(local), 0))]
    for cycle in cycles:
        angle = 2 * np.pi * share(local, cycle)
        parts.append(np.stack((np.sin(angle), np.cos(angle)), 1))
    return np.concatenate(parts, 1)


def calendar_names(cycles: Sequence[Cycle]) -> list[str]:
    """Name the features that cycles give."""
    return [f"{cycle} ({of})" for cycle in cycles for of in ("sine", "cosine")]


def share(local: np.ndarray, cycle: Cycle) -> np.ndarray:
    """Return how much of a cycle has passed at each moment (N,), from 0 to below 1."""
    days, moment = np.divmod(local, DAY)
    if cycle == "hour":
        return moment / DAY
    if cycle == "weekday":
        return ((days + 3) % 7) / 7  # 1970 began on a Thursday; 0 is Monday
    dates = days.astype("datetime64[D]")
    months, years = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    if cycle == "month":
        return (months.astype(np.int64) % 12) / 12
    start, end = (months, months + 1) if cycle == "day_of_month" else (years, years + 1)
    first, last = start.astype("datetime64[D]"), end.astype("datetime64[D]")
    return (dates - first).astype(np.int64) / (last - first).astype(np.int64)
