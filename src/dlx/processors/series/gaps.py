"""Rows of a series laid on its steps: what is missing, what lies between two steps, and what is filled in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

import numpy as np

from dlx.processors.csv.cells import Cells, Faults
from dlx.processors.series.series import Reading, Series
from dlx.processors.series.steps import Step
from dlx.processors.series.times import TimeFormat, Times

log = logging.getLogger("dlx")


def without_strays(
    cells: Cells, times: Times, rows: Mapping[str, np.ndarray], step: Step, empty: np.ndarray
) -> dict[str, np.ndarray]:
    """Leave out, and tell, rows that hold nothing and lie between two steps."""
    kept = {}
    for name, own in rows.items():
        first = int(np.argmax(~empty[own]))  # the step counts from a row that holds something
        _, between = step.places(times.taken(own[first:]))
        stray = np.concatenate((np.zeros(first, bool), between & empty[own[first:]]))
        kept[name] = own[~stray]
        if count := int(stray.sum()):
            told = f"{count:,} row{'s' * (count > 1)} with nothing but a time, between two steps of {step}, left out"
            log.warning("%s: %s%s", cells.file, told, of(name))
    return kept


def laid_on_steps(
    cells: Cells, reading: Reading, step: Step, form: TimeFormat, faults: Faults, name: str, times: Times, numbers: np.ndarray,
    rows: np.ndarray,
) -> Series:  # fmt: skip
    """Lay one series' rows on its steps, and cut what is only known ahead from what is past."""
    places, between = step.places(times)
    text = cells[reading.columns.time]
    uneven = np.flatnonzero(between)
    told = f"is no whole number of steps ({step}) from the first row"
    faults.add(cells, rows[uneven], lambda row: f"{text[row].as_py()} {told}{of(name)}; set `step` if it is another")
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
            return f"{count} row{'s' * (count > 1)} missing before {text[row].as_py()} at a step of {step}{of(name)}; {remedy}"

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
        told = f"'{column}' has no value{of(name)}; {remedy}"
        faults.add(cells, rows[np.flatnonzero(empty[:, place])], partial(say, told))


def say(told: str, row: int) -> str:
    """Say the same of every row."""
    return told


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


def of(name: str) -> str:
    """Name a series in a message, where it has a name."""
    return f" in the series '{name}'" if name else ""
