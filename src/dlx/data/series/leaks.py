"""Columns that hold the future: a target's own values, moved in time, where nobody will know them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlx.errors import ComponentError
from dlx.processors.series.series import Columns, Series

FEWEST = 8  # rows that two columns must have in common: fewer agree by chance
FIRST = 64  # rows that are compared before all others are


def refuse_future(series: Sequence[Series], columns: Columns, horizon: int) -> None:
    """Raise ComponentError where an input is a target of up to a horizon later, or a known column one of less than that before."""
    targets = [[one.values[:, place] for one in series] for place in range(len(columns.targets))]
    for use, names, first in (("inputs", columns.inputs, 1), ("known", columns.known, 1 - horizon)):
        for place, name in enumerate(names):
            column = [_column(one, use, place, len(targets)) for one in series]
            for target, values in zip(columns.targets, targets, strict=True):
                later = next((n for n in range(first, horizon + 1) if _repeats(column, values, n)), None)
                if later is not None:
                    raise ComponentError(_told(name, target, later, horizon), (use, place))


def _column(series: Series, use: str, place: int, targets: int) -> np.ndarray:
    return series.values[:, targets + place] if use == "inputs" else series.known[: len(series.values), place]


def _repeats(column: Sequence[np.ndarray], target: Sequence[np.ndarray], later: int) -> bool:
    """Return whether a column of every series is the target so many rows later, and not always the same."""
    pairs = [_aligned(one, other, later) for one, other in zip(column, target, strict=True)]
    if not all(np.array_equal(one[:FIRST], other[:FIRST]) for one, other in pairs):
        return False
    told = [one for one, other in pairs if len(one) >= FEWEST and np.array_equal(one, other) and np.ptp(one) > 0]
    return bool(told) and all(np.array_equal(one, other) for one, other in pairs)


def _aligned(column: np.ndarray, target: np.ndarray, later: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that both have in common."""
    if later >= 0:
        return column[: len(column) - later], target[later:]
    return column[-later:], target[:later]


def _told(name: str, target: str, later: int, horizon: int) -> str:
    rows = f"{abs(later)} row{'s' * (abs(later) > 1)}"
    moved = f"of {rows} {'later' if later > 0 else 'before'}" if later else "of the same row"
    return f"'{name}' is '{target}' {moved}: it holds what is to be forecast {horizon} steps ahead, which nobody knows then"
