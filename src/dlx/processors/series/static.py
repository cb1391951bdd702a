"""Columns that say what a series is, the same in each of its rows: numbers, or words of a small vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, Faults
from dlx.processors.labels import Vocabulary, distinct
from dlx.processors.rows import number
from dlx.processors.series.gaps import say

MOST_WORDS = 100  # of a column: each is a feature of every step


@dataclass(frozen=True)
class StaticColumns:
    """How the columns become features: a number as it is, or one feature a word, which is 1 where it is that word."""

    words: Mapping[str, Sequence[str] | None]  # of each column; None where it holds numbers

    @property
    def features(self) -> list[str]:
        """Name the features."""
        return [f"{name} {word}" if words else name for name, words in self.words.items() for word in words or [""]]

    def encode(self, cells: Sequence[str], place: str) -> np.ndarray:
        """Return the features (F,) of one series' cells; UsageError where a word is none of those in the training file."""
        parts = [np.zeros(0)]
        for (name, words), cell in zip(self.words.items(), cells, strict=True):
            parts.append(_number(name, cell, place) if words is None else _word(name, words, cell, place))
        return np.concatenate(parts)

    def state_dict(self) -> dict[str, Any]:
        """Return the words of each column as JSON values."""
        return {name: None if words is None else list(words) for name, words in self.words.items()}


def fit_static(names: Sequence[str], series: Sequence[Sequence[str]]) -> StaticColumns:
    """Find which columns hold numbers, and the words of the others; UsageError where a column has too many."""
    words: dict[str, Sequence[str] | None] = {}
    for name, cells in zip(names, zip(*series, strict=True), strict=True):
        words[name] = None if all(number(cell) is not None for cell in cells) else distinct(cells)
        if (count := len(words[name] or ())) > MOST_WORDS:
            told = (
                f"the static column '{name}' holds {count} different words, and more than {MOST_WORDS} are no kinds of series"
            )
            raise UsageError(f"{told}; leave it out, or write a number")
    return StaticColumns(words)


def read_static(cells: Cells, names: Sequence[str], series: str, rows: np.ndarray, missing: Sequence[str]) -> list[str]:
    """Return what the columns say of one series; UsageError tells the line where one changes or says nothing."""
    found, faults = [], Faults()
    of = f" of the series '{series}'" if series else ""
    for name in names:
        text = np.asarray(cells[name].take(rows).to_pylist())
        faults.add(cells, rows[np.isin(text, list(missing))], partial(say, f"'{name}'{of} has no value"))
        other = rows[text != text[0]]
        told = f"'{name}'{of} is not '{text[0]}' any more, and a static column never changes; name it in `known` or `inputs`"
        faults.add(cells, other, partial(say, told))
        found.append(str(text[0]))
    faults.check()
    return found


def _number(name: str, cell: str, place: str) -> np.ndarray:
    value = number(cell)
    if value is None:
        raise UsageError(f"{place}: '{cell}' in '{name}' is no number, as it was in the training file")
    return np.array([value])


def _word(name: str, words: Sequence[str], cell: str, place: str) -> np.ndarray:
    code = Vocabulary(words).code(cell)
    if code < 0:
        raise UsageError(f"{place}: '{cell}' in '{name}' is none of the words in the training file: {', '.join(words)}")
    return np.eye(len(words))[code]
