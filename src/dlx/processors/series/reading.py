"""CSV files of dated rows to series: wide, a column each, or long, with a column that names the series of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, Faults, read_cells
from dlx.processors.csv.header import separator_hint
from dlx.processors.labels import unique
from dlx.processors.numbers import each
from dlx.processors.rows import Fault, check, number
from dlx.processors.series.steps import NAMES, Step, infer
from dlx.processors.series.times import TimeFormat, Times, read_times

Gaps = Literal["error", "previous"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a file are for: targets are forecast; inputs are read of the past only; known are known ahead."""

    time: str
    series_id: str | None
    targets: Sequence[str]
    inputs: Sequence[str] = ()
    known: Sequence[str] = ()

    @property
    def values(self) -> list[str]:
        """Return what is known of the past only, the targets first."""
        return [*self.targets, *self.inputs]

    @property
    def read(self) -> list[str]:
        """Return all that are read as numbers."""
        return [*self.values, *self.known]

    def state_dict(self) -> dict[str, Any]:
        """Return the names as JSON values."""
        names = {"targets": self.targets, "inputs": self.inputs, "known": self.known}
        return {"time": self.time, "series_id": self.series_id, **{key: list(found) for key, found in names.items()}}


@dataclass(frozen=True)
class Reading:
    """How a file is read: columns, what stands for a missing value, the time zone, the step, and what is done about gaps."""

    columns: Columns
    delimiter: str
    missing: Sequence[str]
    timezone: str | None
    step: Step | None
    gaps: Gaps


@dataclass(frozen=True)
class Series:
    """One series in order of time: N rows, of which the last may hold nothing but what is known ahead.

    values (M, V) are those of the first M rows, targets first; known (N, K); float64. `filled` counts what was filled in.
    """

    name: str
    times: Times
    values: np.ndarray
    known: np.ndarray
    filled: int


def open_table(file: str, delimiter: str) -> Cells:
    """Read a CSV file whose first row names the columns; raises UsageError."""
    cells = read_cells(file, delimiter)
    first = cells.first(1)[0]
    header = list(map(str, first.cells))
    hint = separator_hint(cells.first(20), delimiter)
    if len(header) < 2:
        raise UsageError(f"{file}: has one column only; a time and a value want two{hint and f'{hint} (set `delimiter`)'}")
    if not all(header) or any(number(name) is not None for name in header) or len(set(header)) < len(header):
        raise UsageError(f"{file}: its first row must name the columns, each by a name of its own; it is {','.join(header)}")
    check([Fault(row, f"has {len(row.cells)} cells, but the header has {len(header)}") for row in cells.ragged])
    if len(cells) < 2:
        raise UsageError(f"{file}: has a header but no rows")
    return cells.below(1).named(header)


def read_series(cells: Cells, reading: Reading) -> tuple[list[Series], Step, TimeFormat]:
    """Read the series of a table, the step between rows and how times are written; UsageError tells the faulty lines."""
    columns = reading.columns
    times, form = read_times(cells, columns.time, reading.timezone)
    rows = _rows_of_each(cells, columns.series_id)
    ordered = {name: _in_order(cells, columns, name, times, own) for name, own in rows.items()}
    step = reading.step or _common_step(cells, times, ordered)
    faults, read = Faults(), []
    numbers = _numbers(cells, reading)
    for name, own in ordered.items():
        read.append(_one(cells, reading, step, form, faults, name, times.taken(own), numbers[own], own))
    faults.check()
    return read, step, form


def _rows_of_each(cells: Cells, series_id: str | None) -> dict[str, np.ndarray]:
    if series_id is None:
        return {"": np.arange(len(cells))}
    names, codes = unique(cells[series_id])
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1])
    return {str(name): part for name, part in sorted(zip(names, parts, strict=True))}


def _in_order(cells: Cells, columns: Columns, name: str, times: Times, rows: np.ndarray) -> np.ndarray:
    """Return rows in order of time, which a file may have backwards; UsageError tells rows out of order, or at one time."""
    if len(rows) > 1 and times.instant[rows[0]] > times.instant[rows[-1]]:
        rows = rows[::-1]
    apart, faults = np.diff(times.instant[rows]), Faults()

    def told(row: int) -> str:
        text = cells[columns.time][row].as_py()
        return f"{text} stands twice{_of(name)}" if row in twice else f"{text} is out of order{_of(name)}"

    twice = set(rows[1:][apart == 0].tolist())
    faults.add(cells, rows[1:][apart <= 0], told)
    if len(twice) * 2 >= len(rows) and columns.series_id is None:
        remedy = "name the column that tells series apart (series_id)"
        raise UsageError(f"{cells.file}: most times stand there more than once; {remedy}")
    faults.check()
    return rows


def _common_step(cells: Cells, times: Times, rows: Mapping[str, np.ndarray]) -> Step:
    longest = max(rows.values(), key=len)
    found = infer(times.taken(longest))
    if found is None:
        raise UsageError(f"{cells.file}: has too few rows to tell the step between them; set `step`, {NAMES}")
    return found


def _numbers(cells: Cells, reading: Reading) -> np.ndarray:
    """Read every column that is read as numbers (N, columns), NaN where a value is missing."""
    names, faults = reading.columns.read, Faults()
    found = np.empty((len(cells), len(names)))
    for place, numbers in enumerate(each([cells[name] for name in names], reading.missing)):
        found[:, place] = numbers.values
        faults.add(cells, np.flatnonzero(numbers.strange), partial(_no_number, cells, names[place]))
    faults.check()
    return found


def _one(
    cells: Cells, reading: Reading, step: Step, form: TimeFormat, faults: Faults, name: str, times: Times, numbers: np.ndarray,
    rows: np.ndarray,
) -> Series:  # fmt: skip
    """Lay one series' rows on its steps, and cut what is only known ahead from what is past."""
    places, between = step.places(times)
    text = cells[reading.columns.time]
    uneven = np.flatnonzero(between)
    told = f"is no whole number of steps ({step}) from the first row"
    faults.add(cells, rows[uneven], lambda row: f"{text[row].as_py()} {told}{_of(name)}; set `step` if it is another")
    if len(uneven):
        return Series(name, times, numbers, numbers, 0)
    if step.kind == "business_day":
        places = np.arange(len(places))  # a weekday without a row is a holiday
    jumps = np.flatnonzero(np.diff(places) > 1)
    if reading.gaps == "error":
        remedy = "set `gaps: previous` to repeat the row before"

        def lacking(row: int) -> str:
            place = int(np.flatnonzero(rows == row)[0])
            count = int(places[place] - places[place - 1]) - 1
            return f"{count} row{'s' * (count > 1)} missing before {text[row].as_py()} at a step of {step}{_of(name)}; {remedy}"

        faults.add(cells, rows[jumps + 1], lacking)
    targets = len(reading.columns.targets)
    past = _past(numbers[:, :targets])
    _tell_empty(cells, reading, faults, name, numbers, rows, past)
    return _filled(name, step, form, times, numbers, places, past, len(reading.columns.values))


def _past(targets: np.ndarray) -> int:
    """Count the rows up to the last that has a target."""
    present = np.flatnonzero(~np.isnan(targets).all(1))
    return int(present[-1]) + 1 if len(present) else 0


def _tell_empty(
    cells: Cells, reading: Reading, faults: Faults, name: str, numbers: np.ndarray, rows: np.ndarray, past: int
) -> None:
    """Note values that are missing where they must not be: of the past anywhere unless gaps are filled, ahead of known columns."""
    values = len(reading.columns.values)
    empty = np.isnan(numbers)
    empty[past:, :values] = False
    if reading.gaps == "previous":
        empty[:past] = False
    for place in np.flatnonzero(empty.any(0)).tolist():
        column = reading.columns.read[place]
        remedy = "set `gaps: previous` to repeat the value before" if empty[:past, place].any() else "it must be known ahead"
        told = f"'{column}' has no value{_of(name)}; {remedy}"
        faults.add(cells, rows[np.flatnonzero(empty[:, place])], partial(_say, told))


def _say(told: str, row: int) -> str:
    return told


def _no_number(cells: Cells, column: str, row: int) -> str:
    return f"'{cells[column][row].as_py()}' in '{column}' is no number"


def _filled(
    name: str, step: Step, form: TimeFormat, times: Times, numbers: np.ndarray, places: np.ndarray, past: int, values: int
) -> Series:
    """Put rows at their places, repeat the row before in gaps, and begin where every column has a value."""
    size = int(places[-1]) + 1
    whole = np.full((size, numbers.shape[1]), np.nan)
    whole[places] = numbers
    end = int(places[past - 1]) + 1 if past else 0
    there = ~np.isnan(whole)
    missing = int((~there[:end]).any(1).sum())
    latest = np.maximum.accumulate(np.where(there, np.arange(size)[:, None], -1), axis=0)
    begin = int((latest[:end] < 0).any(1).sum()) if end else 0
    if missing:
        whole = np.take_along_axis(whole, np.maximum(latest, 0), axis=0)
    at = times if size == len(times) else step.at(times, np.arange(size), form)
    return Series(name, at.taken(slice(begin, None)), whole[begin:end, :values], whole[begin:, values:], missing - begin)


def _of(name: str) -> str:
    return f" in the series '{name}'" if name else ""
