"""Rows of named cells: reading them from CSV files, and telling what is wrong with them."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dlx.errors import UsageError

Cell = str | float
TOLD = 5  # how many faults of a file one message tells


class Row(NamedTuple):
    """The cells of one row and where they were written."""

    cells: Sequence[Cell]
    file: str = "row"
    line: int = 0

    @property
    def place(self) -> str:
        """Name the file and the line, counted from 1 as editors do; blank lines and the header count too."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Fault(NamedTuple):
    """What is wrong with one row."""

    row: Row
    message: str


def check(faults: Sequence[Fault]) -> None:
    """Raise one UsageError that tells the first faults and counts the others."""
    if faults:
        ordered = sorted(faults, key=lambda fault: fault.row.line)
        lines = [f"{fault.row.place}: {fault.message}" for fault in ordered[:TOLD]]
        more = [f"and {len(faults) - TOLD:,} more"] if len(faults) > TOLD else []
        raise UsageError("\n".join(lines + more))


def read_file(file: str, delimiter: str) -> Iterator[Row]:
    """Read the rows of a CSV file, plain or gzipped, or of standard input for `-`.

    Cells are stripped of surrounding blanks, and blank lines are no rows.
    Raises UsageError, with the line, where the file cannot be read.
    """
    if file == "-":
        return read_lines(sys.stdin, "standard input", delimiter)
    if not os.path.isfile(file):
        raise UsageError(f"{file}: is no file")
    return _read_file(file, delimiter)


def _read_file(file: str, delimiter: str) -> Iterator[Row]:
    try:
        with open(file, "rb") as binary:
            zipped = binary.read(2) == b"\x1f\x8b"
            binary.seek(0)
            content = gzip.GzipFile(fileobj=binary) if zipped else binary
            with io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as lines:  # type: ignore[arg-type]
                yield from read_lines(lines, file, delimiter)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: is no UTF-8 text ({error.reason} at byte {error.start:,})") from None
    except (EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from None


def read_lines(lines: Iterable[str], file: str, delimiter: str) -> Iterator[Row]:
    """Read rows from lines of CSV; `file` is what messages call them."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            stripped = list(map(str.strip, cells))
            if len(stripped) > 1 or any(stripped):
                yield Row(stripped, file, reader.line_num)
    except csv.Error as error:
        raise UsageError(f"{file}:{reader.line_num}: is no CSV: {error}") from None


def number(cell: Cell) -> float | None:
    """Read a finite number, or nothing; Python's own `1_000` is none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in str(cell) else None


def numbers(cells: Sequence[Cell], missing: frozenset[str]) -> tuple[np.ndarray, list[int]]:
    """Read cells as numbers `(N,)`, NaN for a missing one; also the positions of those that are neither."""
    try:  # the fast way, which reads 'inf' and '1_000' too
        values = np.array([math.nan if cell in missing else float(cell) for cell in cells], dtype=np.float64)
        strange = ~np.isfinite(values)
        if "_" not in "".join(map(str, cells)):
            return values, [i for i in np.flatnonzero(strange).tolist() if cells[i] not in missing]
    except ValueError:
        pass
    read = [math.nan if cell in missing else number(cell) for cell in cells]
    return np.array(read, dtype=np.float64), [i for i, value in enumerate(read) if value is None]
