"""Parting series by time alone: where validation and test begin, and which windows each part has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlx.data.series.options import TimeSplits
from dlx.errors import ComponentError
from dlx.processors.csv.cells import of_rows
from dlx.processors.rows import Row
from dlx.processors.series.series import Series
from dlx.processors.series.times import read_times

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Borders:
    """The instants at which training, validation and test begin and end, each [begin, end) in microseconds; None: no such part."""

    spans: dict[str, tuple[int, int]]

    def rows(self, series: Series, split: str) -> tuple[int, int]:
        """Return which rows with values of a series belong to a part: from, and up to but not including."""
        begin, end = self.spans[split]
        instants = series.times.instant[: len(series.values)]
        return int(np.searchsorted(instants, begin)), int(np.searchsorted(instants, end))


def part(series: Sequence[Series], options: TimeSplits, timezone: str | None) -> Borders:
    """Find the borders; of several series, shares and counts are of all the moments that any of them has."""
    every = np.unique(np.concatenate([one.times.instant[: len(one.values)] for one in series]))
    size = len(every)
    if options.train is not None:
        return _counted(every, options)
    test = _begin(every, size, options.test, "test", timezone)
    val = _begin(every, test, options.val, "val", timezone, size)
    if not 0 < val <= test <= size:
        told = f"of {size:,} rows validation begins at row {val:,} and test at row {test:,}"
        raise ComponentError(f"{told}: nothing is left to train on, or they overlap", ("val",))
    return _spans(every, val, test, size)


def _counted(every: np.ndarray, options: TimeSplits) -> Borders:
    train, val, test = options.train or 0, options.val, options.test
    for name, value in (("val", val), ("test", test)):
        if not isinstance(value, int):
            raise ComponentError(f"is a count of rows where `train` is one, not {value}", (name,))
    assert isinstance(val, int)
    assert isinstance(test, int)
    if train + val + test > len(every):
        raise ComponentError(f"{train:,} rows, {val:,} and {test:,} are more than the {len(every):,} there are", ("train",))
    return _spans(every, train, train + val, train + val + test)


def _begin(
    every: np.ndarray, before: int, given: int | float | str, name: str, timezone: str | None, whole: int | None = None
) -> int:
    """Return the row at which a part begins that ends before another."""
    if isinstance(given, str):
        cells = of_rows([Row([given], f"{name}: {given}")], ["date"])
        return int(np.searchsorted(every, read_times(cells, "date", timezone)[0].instant[0]))
    return before - (round(given * (whole or before)) if isinstance(given, float) else given)


def _spans(every: np.ndarray, val: int, test: int, end: int) -> Borders:
    ends = [*every.tolist(), int(every[-1]) + 1]
    rows = {"train": (0, val), "val": (val, test), "test": (test, end)}
    return Borders({name: (ends[a], ends[b]) for name, (a, b) in rows.items() if b > a})
