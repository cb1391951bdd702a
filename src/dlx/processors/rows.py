"""Rows of named cells: reading them from CSV files, and telling what is wrong with them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dlx.errors import UsageError
from dlx.processors.csv.text import Block, blocks

Cell = str | float
FAULTS_TOLD = 5  # how many faults of a file one message tells
CELL = csv.field_size_limit()  # characters of the longest cell
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_number = re.compile(NUMBER)


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


def check(faults: Sequence[Fault], count: int = 0) -> None:
    """Raise one UsageError that tells the first faults and counts the others, `count` in all."""
    if faults:
        ordered = sorted(faults, key=lambda fault: fault.row.line)
        lines = [f"{fault.row.place}: {fault.message}" for fault in ordered[:FAULTS_TOLD]]
        others = max(count, len(faults)) - len(lines)
        raise UsageError("\n".join(lines + ([f"and {others:,} more"] if others else [])))


def read_file(file: str, delimiter: str) -> Iterator[Row]:
    """Read the rows of a CSV file, plain or gzipped, of a pipe, or of standard input for `-`, as they come.

    Cells are stripped of surrounding blanks, and blank lines are no rows.
    Raises UsageError, with the line, where the file cannot be read.
    """
    return read_blocks(blocks(file, wait=False), "standard input" if file == "-" else file, delimiter)


def read_blocks(given: Iterable[Block], file: str, delimiter: str) -> Iterator[Row]:
    """Read rows from blocks of a file's lines."""
    pieces = iter(given)
    first = next(pieces, None)
    if first is not None:
        lines = (line.decode() for block in _again(first, pieces) for line in block.content.splitlines(keepends=True))
        yield from read_lines(lines, file, delimiter, first.line)


def _again(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others


def read_lines(lines: Iterable[str], file: str, delimiter: str, before: int = 0) -> Iterator[Row]:
    """Read rows from lines of CSV; `file` is what messages call them, `before` how many lines stand above."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            stripped = list(map(str.strip, cells))
            if len(stripped) > 1 or any(stripped):
                yield Row(stripped, file, before + reader.line_num)
    except csv.Error as error:
        reason = f"a cell is longer than {CELL:,} characters" if "field limit" in str(error) else f"is no CSV: {error}"
        raise UsageError(f"{file}:{before + reader.line_num}: {reason}") from None


def number(cell: Cell) -> float | None:
    """Read a finite number, or nothing; Python's own `1_000` is none."""
    text = str(cell)
    value = float(text) if _number.match(text) else math.inf
    return value if math.isfinite(value) else None
