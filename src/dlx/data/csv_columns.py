"""What each column of a CSV file is for: target, numeric or categorical input, split, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dlx.errors import Misfit, Path, UsageError, unknown
from dlx.processors.rows import Cell, Fault, Row, check, number

CLASSES = 20  # whole numbers of no more different values than this are classes, where the config does not say
SPLITS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


@contextmanager
def blame(*path: str | int) -> Iterator[None]:
    """Turn a UsageError into a Misfit of the config's key at `path`."""
    try:
        yield
    except Misfit:
        raise
    except UsageError as error:
        raise Misfit(str(error), path) from None


def find_column(wanted: str | int, columns: Sequence[str], path: Path) -> str:
    """Find a column by name, or by position counted from 0, from the end where negative."""
    if isinstance(wanted, str):
        if wanted not in columns:
            raise Misfit(f"'{wanted}': {unknown('column', wanted, columns)}", path)
        return wanted
    if not -len(columns) <= wanted < len(columns):
        raise Misfit(f"there is no column {wanted}; there are {len(columns)}, counted from 0", path)
    return columns[wanted]


def find_inputs(columns: Sequence[str], target: str, split: str | None, lists: Mapping[str, Sequence[str]]) -> list[str]:
    """List the inputs in the file's order; `lists` are the config's keys that list columns: drop, numeric, categorical.

    Raises Misfit where a listed column is unknown or has another use, or where no input is left.
    """
    uses = {target: "target"}
    listed = [(split, ("split_column",))] if split is not None else []
    listed += [(name, (use, i)) for use, names in lists.items() for i, name in enumerate(names)]  # type: ignore[misc]
    for name, path in listed:
        find_column(name, columns, path)
        if name in uses:
            raise Misfit(f"column '{name}' is under {uses[name]} already", path)
        uses[name] = path[0]
    inputs = [name for name in columns if uses.get(name, "numeric") in ("numeric", "categorical")]
    if not inputs:
        raise Misfit("no column is left to be an input", ("train",))
    return inputs


def divide_by_column(rows: Sequence[Row], place: int, column: str) -> dict[str, list[Row]]:
    """Divide rows by what a column says: train, val (or validation), test."""
    faults = [row for row in rows if row.cells[place] not in SPLITS]
    check([Fault(row, f"column '{column}': {row.cells[place]!r} is none of {', '.join(SPLITS)}") for row in faults])
    parts: dict[str, list[Row]] = {"train": []}
    for row in rows:
        parts.setdefault(SPLITS[str(row.cells[place])], []).append(row)
    if not parts["train"]:
        raise UsageError(f"column '{column}' puts no row into the training split")
    return parts


def require_targets(rows: Sequence[Row], place: int, column: str, missing: frozenset[str]) -> None:
    """Raise UsageError that tells the rows without a target."""
    check([Fault(row, f"column '{column}': the target is missing") for row in rows if row.cells[place] in missing])


def are_numbers(cells: Sequence[Cell], missing: frozenset[str]) -> bool:
    """Say whether there are numbers, and nothing but numbers and missing values."""
    present = {cell for cell in cells if cell not in missing}
    return bool(present) and all(number(cell) is not None for cell in present)


def are_classes(cells: Sequence[Cell]) -> bool:
    """Guess what a target is: text is a class, and so are whole numbers of few different values."""
    values = {number(cell) for cell in set(cells)}
    return None in values or (len(values) <= CLASSES and all(value % 1 == 0 for value in values if value is not None))
