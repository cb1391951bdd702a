"""Series as they are read from files, and how: what columns are for, the step between rows, and what is done about gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dlx.processors.series.steps import Step
from dlx.processors.series.times import Times

Gaps = Literal["error", "previous"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are for: targets are forecast; inputs are read of the past only; known are known ahead.

    Static ones say what a series is, the same in each of its rows.
    """

    time: str
    series_id: str | None
    targets: Sequence[str]
    inputs: Sequence[str] = ()
    known: Sequence[str] = ()
    static: Sequence[str] = ()

    @property
    def values(self) -> list[str]:
        """Return what is known of the past only, the targets first."""
        return [*self.targets, *self.inputs]

    @property
    def read(self) -> list[str]:
        """Return all that are read as numbers."""
        return [*self.values, *self.known]

    @property
    def wanted(self) -> list[str]:
        """Return all that a file must have."""
        return [self.time, *([self.series_id] if self.series_id else []), *self.read, *self.static]

    def state_dict(self) -> dict[str, Any]:
        """Return the names as JSON values."""
        names = {"targets": self.targets, "inputs": self.inputs, "known": self.known, "static": self.static}
        return {"time": self.time, "series_id": self.series_id, **{key: list(found) for key, found in names.items()}}


@dataclass(frozen=True)
class Reading:
    """How a file is read: columns, what stands for a missing value, the time zone, the step, and what is done about gaps.

    Lines on top that begin with `comment` are no rows.
    """

    columns: Columns
    delimiter: str
    missing: Sequence[str]
    timezone: str | None
    step: Step | None
    gaps: Gaps
    comment: str = ""


@dataclass(frozen=True)
class Series:
    """One series in order of time: N rows, of which the last may hold nothing but what is known ahead.

    values (M, V) are those of the first M rows, targets first; known (N, K); float64. `filled` counts what was filled in;
    `static` are the cells of the columns that say what the series is.
    """

    name: str
    times: Times
    values: np.ndarray
    known: np.ndarray
    filled: int
    static: Sequence[str] = ()
