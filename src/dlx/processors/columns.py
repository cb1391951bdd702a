"""Columns of a table to arrays: numeric ones scaled, categorical ones coded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dlx.errors import UsageError
from dlx.processors.rows import Fault, Row, check, numbers
from dlx.processors.scaling import Scaler, Scaling, fit_scaler, restore_scaler

Missing = Literal["error", "mean", "indicator"]
Encoding = Literal["one_hot", "index"]
ONE_HOT_LIMIT = 1000  # values of one column; more is an identifier or a text rather than a category

log = logging.getLogger("dlx")


class NumericColumns:
    """Numeric columns, filled and scaled.

    `means` fill missing values; without them a missing value is an error. Each column in `indicators` (positions) gets
    one more feature, after all columns: 1 where its value was missing.
    """

    def __init__(self, names: Sequence[str], scaler: Scaler, means: Sequence[float] | None, indicators: Sequence[int]) -> None:
        self.names, self.scaler, self.means, self.indicators = list(names), scaler, means, list(indicators)

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        rows: Sequence[Row],
        columns: Sequence[str],
        missing_values: frozenset[str],
        scaling: Scaling,
        missing: Missing = "error",
    ) -> NumericColumns:
        """Fit to the rows of the training split, whose cells follow `columns`."""
        values = parse(rows, columns, names, missing_values, accept_missing=missing != "error")
        gaps = np.isnan(values)
        for name in (name for name, empty in zip(names, gaps.all(axis=0), strict=True) if empty):
            raise UsageError(f"column '{name}' has no value in the training split; drop it")
        means = None if missing == "error" else np.nanmean(values, axis=0).tolist()
        indicators = np.flatnonzero(gaps.any(axis=0)).tolist() if missing == "indicator" else []
        return cls(names, fit_scaler(scaling, values), means, indicators)

    def parse(self, rows: Sequence[Row], columns: Sequence[str], missing: frozenset[str]) -> np.ndarray:
        """Read values `(N, F)`, NaN where missing; UsageError tells each cell that is no number."""
        return parse(rows, columns, self.names, missing, accept_missing=self.means is not None)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if not self.names:
            return np.zeros((len(values), 0))
        gaps = np.isnan(values)
        filled = values if self.means is None else np.where(gaps, self.means, values)
        return np.concatenate([self.scaler(filled), gaps[:, self.indicators]], axis=1)

    def state_dict(self) -> dict[str, Any]:
        """Tell names and statistics."""
        state = {"names": self.names, "means": self.means, "indicators": self.indicators}
        return state | {"scaler": self.scaler.state_dict()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumericColumns:
        """Make the columns again."""
        return cls(state["names"], restore_scaler(state["scaler"]), state["means"], state["indicators"])


def parse(
    rows: Sequence[Row], columns: Sequence[str], names: Sequence[str], missing: frozenset[str], accept_missing: bool
) -> np.ndarray:
    """Read the named columns as numbers `(N, F)`, NaN where missing; UsageError tells each cell that is no number."""
    values, faults = np.empty((len(rows), len(names))), []
    for position, name in enumerate(names):
        place = columns.index(name)
        cells = [row.cells[place] for row in rows]
        values[:, position], strange = numbers(cells, missing)
        faults += [Fault(rows[i], f"column '{name}': {cells[i]!r} is no number") for i in strange]
        if not accept_missing:
            gaps = (i for i in np.flatnonzero(np.isnan(values[:, position])).tolist() if cells[i] in missing)
            faults += [
                Fault(rows[i], f"column '{name}': the value is missing (`missing: mean` fills such cells)") for i in gaps
            ]
    check(faults)
    return values


class CategoricalColumns:
    """Categorical columns as codes: 1 for the first of a column's `values`, 0 for a missing or unseen one."""

    def __init__(self, values: Mapping[str, Sequence[str]], encoding: Encoding) -> None:
        self.values, self.encoding = {name: list(known) for name, known in values.items()}, encoding
        self.codes = {name: {value: code for code, value in enumerate(known, 1)} for name, known in values.items()}
        self.told: set[str] = set()

    @classmethod
    def fit(
        cls, names: Sequence[str], rows: Sequence[Row], columns: Sequence[str], missing: frozenset[str], encoding: Encoding
    ) -> CategoricalColumns:
        """Collect the values of the training split, in the order of the alphabet."""
        values = {}
        for name in names:
            place = columns.index(name)
            values[name] = sorted({str(row.cells[place]) for row in rows} - missing)
            if not values[name]:
                raise UsageError(f"column '{name}' has no value in the training split; drop it")
            if encoding == "one_hot" and len(values[name]) > ONE_HOT_LIMIT:
                raise UsageError(
                    f"column '{name}' has {len(values[name]):,} different values, too many to become one feature each; "
                    "drop it, or set categorical_encoding: index"
                )
        return cls(values, encoding)

    @property
    def sizes(self) -> list[int]:
        """Count each column's codes, 0 included."""
        return [len(known) + 1 for known in self.values.values()]

    def __call__(self, rows: Sequence[Row], columns: Sequence[str], missing: frozenset[str]) -> np.ndarray:
        """Code the rows `(N, K)`."""
        coded = np.zeros((len(rows), len(self.values)), np.int64)
        for position, (name, codes) in enumerate(self.codes.items()):
            place = columns.index(name)
            cells = [row.cells[place] for row in rows]
            coded[:, position] = [codes.get(str(cell), 0) for cell in cells]
            self._tell_unseen(name, {str(cells[i]) for i in np.flatnonzero(coded[:, position] == 0)} - missing)
        return coded

    def _tell_unseen(self, name: str, unseen: set[str]) -> None:
        if unseen and name not in self.told:
            self.told.add(name)
            log.warning("column '%s': %r was not seen in training and counts as unknown", name, min(unseen))

    def one_hot(self, coded: np.ndarray) -> np.ndarray:
        """Write codes `(N, K)` as one feature a value; code 0 has none set."""
        widths = [size - 1 for size in self.sizes]
        hot = np.zeros((len(coded), sum(widths)), np.float32)
        start = 0
        for position, width in enumerate(widths):
            known = np.flatnonzero(coded[:, position])
            hot[known, start + coded[known, position] - 1] = 1
            start += width
        return hot

    def state_dict(self) -> dict[str, Any]:
        """Tell each column's values."""
        return {"values": self.values, "encoding": self.encoding}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CategoricalColumns:
        """Make the columns again."""
        return cls(state["values"], state["encoding"])
