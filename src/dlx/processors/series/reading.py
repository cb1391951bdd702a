"""CSV files of dated rows to series: wide, a column each, or long, with a column that names the series of every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, Faults, read_cells
from dlx.processors.csv.header import separator_hint
from dlx.processors.labels import unique
from dlx.processors.numbers import each
from dlx.processors.rows import Fault, check, number
from dlx.processors.series.gaps import laid_on_steps, of, without_strays
from dlx.processors.series.series import Columns, Reading, Series
from dlx.processors.series.static import read_static
from dlx.processors.series.steps import NAMES, Step, infer
from dlx.processors.series.times import TimeFormat, Times, read_times


def open_table(file: str, delimiter: str, comment: str = "") -> Cells:
    """Read a CSV file whose first row names the columns; raises UsageError."""
    cells = read_cells(file, delimiter, comment)
    first = cells.first(1)[0]
    header = list(map(str, first.cells))
    hint = separator_hint(cells.first(20), delimiter)
    if not comment and header[0].startswith("#"):
        raise UsageError(f"{file}: its first line begins with '#'; if it is a comment above the header, set `comment: '#'`")
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
    numbers = _numbers(cells, reading)
    empty = np.isnan(numbers).all(1)
    step = reading.step or _common_step(cells, times, {name: own[~empty[own]] for name, own in ordered.items()})
    if reading.gaps == "previous":
        ordered = without_strays(cells, times, ordered, step, empty)
    faults, read = Faults(), []
    for name, own in ordered.items():
        static = read_static(cells, columns.static, name, own, reading.missing)
        one = laid_on_steps(cells, reading, step, form, faults, name, times.taken(own), numbers[own], own)
        read.append(replace(one, static=static))
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
        return f"{text} stands twice{of(name)}" if row in twice else f"{text} is out of order{of(name)}"

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


def _no_number(cells: Cells, column: str, row: int) -> str:
    return f"'{cells[column][row].as_py()}' in '{column}' is no number"
