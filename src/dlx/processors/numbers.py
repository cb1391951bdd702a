"""Text to numbers, whole columns at a time, and labels to the one way in which equal ones are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dlx.processors.rows import NUMBER, number

TOGETHER = 500_000  # cells converted in one call: enough that many narrow columns cost no more than one tall one


class Numbers(NamedTuple):
    """What a column's cells are: numbers (NaN where there is none), missing, or neither; each `(N,)`."""

    values: np.ndarray
    missing: np.ndarray
    strange: np.ndarray


def numbers(cells: pa.Array, missing: Iterable[str]) -> Numbers:
    """Read text as finite numbers, as `rows.number` reads one cell; where -999 is missing, so is -999.0."""
    gaps = is_in(cells, missing)
    present = pc.if_else(pa.array(gaps), pa.scalar(None, cells.type), cells) if gaps.any() else cells
    try:
        read = pc.cast(present, pa.float64())
    except pa.ArrowInvalid:
        fitting = pc.match_substring_regex(present, NUMBER)
        read = pc.cast(pc.if_else(fitting, present, pa.scalar(None, cells.type)), pa.float64())
    values = read.to_numpy(zero_copy_only=False)
    finite = np.isfinite(values)
    if not finite.all():  # what Arrow takes for infinite or nan is no number here
        values = np.where(finite, values, np.nan)
    marks = [value for value in map(number, missing) if value is not None]
    if marks and (marked := np.isin(values, marks)).any():
        values, gaps = np.where(marked, np.nan, values), gaps | marked
    return Numbers(values, gaps, ~finite & ~gaps)


def is_in(cells: pa.Array, words: Iterable[str]) -> np.ndarray:
    """Return for each cell whether it is one of some words `(N,)`."""
    wanted = sorted(words)
    if not wanted:
        return np.zeros(len(cells), bool)
    return pc.is_in(cells, value_set=pa.array(wanted, cells.type)).to_numpy(zero_copy_only=False)


def each(columns: Sequence[pa.Array], missing: Iterable[str]) -> Iterable[Numbers]:
    """Yield the numbers of every column."""
    words, rows = frozenset(missing), len(columns[0]) if columns else 0
    step = max(TOGETHER // max(rows, 1), 1)
    for start in range(0, len(columns), step):
        group = columns[start : start + step]
        found = numbers(pa.concat_arrays(group) if len(group) > 1 else group[0], words)
        for i in range(len(group)):
            yield Numbers(*(part[i * rows : (i + 1) * rows] for part in found))
