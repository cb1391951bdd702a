"""What each column of a CSV file is for: target, numeric or categorical input, split, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc

from dlx.data.splits import SPLIT_WORDS, split_named
from dlx.errors import ComponentError, Path, UsageError, unknown
from dlx.processors.csv.cells import Cells, Faults
from dlx.processors.labels import distinct, unique
from dlx.processors.numbers import each, is_in
from dlx.processors.rows import number

CLASSES = 20  # whole numbers of no more different values than this are classes, where neither config nor task says
MANY = 1000  # columns beyond which a misspelt one is not looked for
WITH_COMMA = r"^[+-]?(?:[0-9]+,[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?)$"


@contextmanager
def blame(*path: str | int) -> Iterator[None]:
    """Turn a UsageError into a ComponentError of the config's key at `path`."""
    try:
        yield
    except ComponentError:
        raise
    except UsageError as error:
        raise ComponentError(str(error), path) from None


def find_column(wanted: str | int, columns: Sequence[str], path: Path) -> str:
    """Find a column by name, or by position counted from 0, from the end where negative."""
    if isinstance(wanted, str):
        if wanted not in columns:
            told = unknown("column", wanted, columns) if len(columns) <= MANY else f"none of {len(columns):,} columns"
            raise ComponentError(f"'{wanted}': {told}", path)
        return wanted
    if not -len(columns) <= wanted < len(columns):
        raise ComponentError(f"there is no column {wanted}; there are {len(columns)}, counted from 0", path)
    return columns[wanted]


def find_inputs(columns: Sequence[str], target: str, split: str | None, lists: Mapping[str, Sequence[str]]) -> list[str]:
    """List the inputs in the file's order; `lists` are the config's keys that list columns: drop, numeric, categorical.

    Raises ComponentError where a listed column is unknown or has another use, or where no input is left.
    """
    uses, known = {target: "target"}, set(columns)
    listed: list[tuple[str, Path]] = [(split, ("split_column",))] if split is not None else []
    listed += [(name, (use, i)) for use, names in lists.items() for i, name in enumerate(names)]
    for name, path in listed:
        if name not in known:
            find_column(name, columns, path)
        if name in uses:
            raise ComponentError(f"column '{name}' is under {uses[name]} already", path)
        uses[name] = str(path[0])
    inputs = [name for name in columns if uses.get(name, "numeric") in ("numeric", "categorical")]
    if not inputs:
        raise ComponentError("no column is left to be an input", ("train",))
    return inputs


def divide_by_column(cells: Cells, column: str) -> dict[str, np.ndarray]:
    """Divide rows by what a column says, in one of the words for train, val and test: the numbers of each split's rows."""
    words, indices = unique(cells[column])
    splits, faults = np.array([split_named(word) or "" for word in words])[indices], Faults()
    told = ", ".join(SPLIT_WORDS)
    faults.add(cells, np.flatnonzero(splits == ""), lambda i: f"column '{column}': {words[indices[i]]!r} is none of {told}")
    faults.check()
    parts = {split: np.flatnonzero(splits == split) for split in ("train", "val", "test")}
    if not len(parts["train"]):
        raise UsageError(f"column '{column}' puts no row into the training split")
    return {split: rows for split, rows in parts.items() if len(rows)}


def require_targets(cells: Cells, column: str, missing: frozenset[str]) -> None:
    """Raise UsageError that tells the rows without a target."""
    faults = Faults()
    faults.add(cells, np.flatnonzero(is_in(cells[column], missing)), lambda _: f"column '{column}': the target is missing")
    faults.check()


def numeric_columns(tables: Mapping[str, Cells], names: Sequence[str], missing: frozenset[str]) -> list[str]:
    """Find the columns that hold numbers in all files that are read; `tables` are the files by the config's keys.

    Raises ComponentError, with the rows, where most values of a column are numbers and others are not: nobody can know what it is.
    """
    counts = {split: _count([cells[name] for name in names], missing) for split, cells in tables.items()}
    totals = np.sum(list(counts.values()), axis=0).reshape(-1, 2)
    for place in np.flatnonzero((totals[:, 0] >= totals[:, 1]) & (totals[:, 1] > 0))[:1]:
        for split, cells in tables.items():
            with blame(split):
                _refuse_mixed(cells, names[place], missing, *totals[place].tolist())
    found = [name for name, (numbers, strange) in zip(names, totals, strict=True) if numbers and not strange]
    numeric = set(found)
    _refuse_commas(tables, [name for name in names if name not in numeric], missing)
    return found


def _count(columns: Sequence, missing: frozenset[str]) -> np.ndarray:
    """Count each column's numbers and the cells that are neither numbers nor missing `(F, 2)`."""
    found = [(~part.strange & ~part.missing, part.strange) for part in each(columns, missing)]
    return np.array([[good.sum(), bad.sum()] for good, bad in found], np.int64).reshape(-1, 2)


def _refuse_mixed(cells: Cells, name: str, missing: frozenset[str], numbers: int, strange: int) -> None:
    (found,), faults = each([cells[name]], missing), Faults()
    how = "add it to missing_values, mend it, or list the column under numeric, categorical or drop"
    told = f"is no number, but {numbers:,} of {numbers + strange:,} values are; {how}"
    faults.add(cells, np.flatnonzero(found.strange), lambda i: f"column '{name}': {cells[name][i].as_py()!r} {told}")
    faults.check()


def _comma(name: str, column: Any, row: int) -> str:
    how = "has a comma where a number has a point or nothing; write it so, or list the column under categorical"
    return f"column '{name}': {column[row].as_py()!r} {how}"


def _refuse_commas(tables: Mapping[str, Cells], names: Sequence[str], missing: frozenset[str]) -> None:
    for split, cells in tables.items():
        for name in names:
            column, faults = cells[name], Faults()
            commas = pc.match_substring_regex(column, WITH_COMMA).to_numpy(zero_copy_only=False)
            if 2 * commas.sum() > (~is_in(column, missing)).sum():
                faults.add(cells, np.flatnonzero(commas), partial(_comma, name, column))
                with blame(split):
                    faults.check()


def are_classes(labels: Sequence[str]) -> bool:
    """Guess what a target is: text is a class, and so are whole numbers of few different values."""
    values = [number(label) for label in distinct(labels)]
    return None in values or (len(values) <= CLASSES and all(value % 1 == 0 for value in values if value is not None))


def are_measures(labels: Sequence[str]) -> bool:
    """Return whether labels are many numbers that are not all whole, which nobody takes for classes."""
    values = [number(label) for label in distinct(labels)]
    return None not in values and len(values) > CLASSES and not all(value % 1 == 0 for value in values if value is not None)
