"""Columns of a table to arrays: numeric ones scaled, categorical ones coded."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, Faults
from dlx.processors.labels import Vocabulary, distinct, unique
from dlx.processors.numbers import each, is_in
from dlx.processors.table.scaling import PIECE, Scaler, Scaling, columnwise, fit_scaler, restore_scaler

Missing = Literal["error", "mean", "indicator"]
Encoding = Literal["one_hot", "index"]
ONE_HOT_LIMIT = 1000  # values of one column; more is an identifier or a text rather than a category
SHOWN = 8  # values of a category that a description lists

log = logging.getLogger("dlx")


class NumericColumns:
    """Numeric columns, filled and scaled.

    `means` fill missing values; without them a missing value is an error. Each column in `indicators` (positions) gets
    one more feature, after all columns: 1 where its value was missing. `low`, `high` and `gaps` tell each column's range and
    its number of missing values in training; checkpoints of old have none.
    """

    def __init__(
        self,
        names: Sequence[str],
        scaler: Scaler,
        means: Sequence[float] | None,
        indicators: Sequence[int],
        low: Sequence[float] = (),
        high: Sequence[float] = (),
        gaps: Sequence[int] = (),
    ) -> None:
        self.names, self.scaler, self.means, self.indicators = list(names), scaler, means, list(indicators)
        self.low, self.high, self.gaps = list(low), list(high), list(gaps)

    @classmethod
    def fit(cls, names: Sequence[str], values: np.ndarray, scaling: Scaling, missing: Missing = "error") -> NumericColumns:
        """Fit to the values `(N, F)` of the training split, NaN where missing."""
        gaps = columnwise(lambda piece, axis: np.isnan(piece).sum(axis=axis), values).astype(np.int64)
        for place in np.flatnonzero(gaps == len(values)).tolist():
            raise UsageError(f"column '{names[place]}' has no value in the training split; drop it")
        with np.errstate(over="ignore", invalid="ignore"):
            means = None if missing == "error" else columnwise(np.nanmean, values).tolist()
            scaler = fit_scaler(scaling, values)
        _refuse_infinite(names, means or [], scaler.statistics())
        indicators = np.flatnonzero(gaps).tolist() if missing == "indicator" else []
        low, high = (columnwise(statistic, values).tolist() for statistic in (np.nanmin, np.nanmax))
        return cls(names, scaler, means, indicators, low, high, gaps.tolist())

    def parse(self, cells: Cells, missing: frozenset[str]) -> np.ndarray:
        """Read values `(N, F)`, NaN where missing; UsageError tells each cell that is no number."""
        return parse(cells, self.names, missing, accept_missing=self.means is not None)

    def __call__(self, values: np.ndarray, cells: Cells | None = None) -> np.ndarray:
        """Scale values `(N, F)` to float32 features; UsageError tells each that is too large for them, in words of `cells`."""
        features = np.zeros((len(values), len(self.names) + len(self.indicators)), np.float32)
        step = max(PIECE // max(len(self.names), 1), 1)
        for start in range(0, len(values) if self.names else 0, step):
            piece = slice(start, start + step)
            features[piece] = self._scaled(values[piece])
        self._refuse_large(features, values, cells)
        return features

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        gaps = np.isnan(values)
        filled = values if self.means is None else np.where(gaps, self.means, values)
        with np.errstate(over="ignore"):
            return np.concatenate([self.scaler(filled), gaps[:, self.indicators]], axis=1).astype(np.float32)

    def _refuse_large(self, features: np.ndarray, values: np.ndarray, cells: Cells | None) -> None:
        if np.isfinite(features).all():
            return
        faults, shown = Faults(), cells or Cells([], "row", np.arange(1, len(values) + 1))
        for place in np.flatnonzero(~np.isfinite(features).all(axis=0)).tolist():
            name, rows = self.names[place], np.flatnonzero(~np.isfinite(features[:, place]))
            faults.add(shown, rows, partial(_tell_large, name, values[:, place]))
        faults.check()

    def describe(self) -> list[tuple[str, str]]:
        """Tell each column's name and range."""
        told = []
        for place, name in enumerate(self.names):
            known = place < len(self.low)
            between = f", {self.low[place]:.15g} to {self.high[place]:.15g}" if known else ""
            told.append((name, f"number{between}{_lacking(self.gaps[place] if known else 0)}"))
        return told

    def state_dict(self) -> dict[str, Any]:
        """Tell names and statistics."""
        state = {"names": self.names, "means": self.means, "indicators": self.indicators}
        return state | {"scaler": self.scaler.state_dict(), "low": self.low, "high": self.high, "gaps": self.gaps}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumericColumns:
        """Make the columns again."""
        return cls(**{**state, "scaler": restore_scaler(state["scaler"])})


def _tell_large(name: str, values: np.ndarray, row: int) -> str:
    return _too_large(name, float(values[row]))


def _too_large(name: str, value: float) -> str:
    return f"column '{name}': {value:.15g} is so far from the values of the training split that it is infinite when scaled"


def _lacking(count: int) -> str:
    return f", {count:,} missing" if count else ""


def _refuse_infinite(names: Sequence[str], *statistics: Sequence[float]) -> None:
    for found in statistics:
        for name, value in zip(names, found, strict=False):
            if not math.isfinite(value):
                raise UsageError(f"column '{name}': its values are too large to be averaged and scaled")


def parse(cells: Cells, names: Sequence[str], missing: frozenset[str], accept_missing: bool) -> np.ndarray:
    """Read the named columns as numbers `(N, F)`, NaN where missing; UsageError tells each cell that is no number."""
    values, faults = np.empty((len(names), len(cells))).T, Faults()
    columns = [cells[name] for name in names]
    for place, found in enumerate(each(columns, missing)):
        values[:, place] = found.values
        name, texts = names[place], columns[place]
        if found.strange.any():
            wrong = np.flatnonzero(found.strange)
            faults.add(cells, wrong, partial(_no_number, name, texts))
        if not accept_missing and found.missing.any():
            faults.add(cells, np.flatnonzero(found.missing), partial(_missing, name))
    faults.check()
    return values


def _no_number(name: str, texts: Any, row: int) -> str:
    return f"column '{name}': {texts[row].as_py()!r} is no number"


def _missing(name: str, row: int) -> str:
    return f"column '{name}': the value is missing (`missing: mean` fills such cells)"


class CategoricalColumns:
    """Categorical columns as codes: 1 for the first of a column's `values`, 0 for a missing or unseen one.

    `gaps` tells each column's number of missing values in training; checkpoints of old have none.
    """

    def __init__(self, values: Mapping[str, Sequence[str]], encoding: Encoding, gaps: Mapping[str, int] | None = None) -> None:
        self.values, self.encoding = {name: list(known) for name, known in values.items()}, encoding
        self.gaps = dict(gaps or {})
        self.codes = {name: Vocabulary(known) for name, known in values.items()}
        self.told: set[str] = set()

    @classmethod
    def fit(cls, names: Sequence[str], cells: Cells, missing: frozenset[str], encoding: Encoding) -> CategoricalColumns:
        """Collect the values of the training split's cells, in the order of the alphabet."""
        values, gaps = {}, {}
        for name in names:
            values[name] = distinct(set(unique(cells[name])[0]) - missing)
            gaps[name] = int(is_in(cells[name], missing).sum())
            if not values[name]:
                raise UsageError(f"column '{name}' has no value in the training split; drop it")
            if encoding == "one_hot" and len(values[name]) > ONE_HOT_LIMIT:
                raise UsageError(
                    f"column '{name}' has {len(values[name]):,} different values, too many to become one feature each; "
                    "drop it, or set categorical_encoding: index"
                )
        return cls(values, encoding, gaps)

    @property
    def sizes(self) -> list[int]:
        """Count each column's codes, 0 included."""
        return [len(known) + 1 for known in self.values.values()]

    def __call__(self, cells: Cells, missing: frozenset[str]) -> np.ndarray:
        """Code the rows `(N, K)`."""
        coded = np.zeros((len(cells), len(self.values)), np.int64)
        for place, (name, vocabulary) in enumerate(self.codes.items()):
            coded[:, place] = np.where(is_in(cells[name], missing), 0, vocabulary.codes(cells[name]) + 1)
            if name not in self.told and not coded[:, place].all():
                self._tell_unseen(name, set(unique(cells[name].filter(coded[:, place] == 0))[0]) - missing)
        return coded

    def _tell_unseen(self, name: str, unseen: set[str]) -> None:
        if unseen:
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

    def describe(self) -> list[tuple[str, str]]:
        """Tell each column's name and values."""
        told = []
        for name, known in self.values.items():
            shown = ", ".join(value or "''" for value in known[:SHOWN]) + (", ..." if len(known) > SHOWN else "")
            told.append((name, f"category of {len(known):,}: {shown}{_lacking(self.gaps.get(name, 0))}"))
        return told

    def state_dict(self) -> dict[str, Any]:
        """Tell each column's values."""
        return {"values": self.values, "encoding": self.encoding, "gaps": self.gaps}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CategoricalColumns:
        """Make the columns again."""
        return cls(**state)
