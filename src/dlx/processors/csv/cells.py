"""A table held column by column: text in Arrow's arrays, which take little more memory than the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import pyarrow as pa

from dlx.errors import UsageError
from dlx.processors.csv.fast import LARGE, Columns, fill, text_array
from dlx.processors.csv.text import below_comments, blocks
from dlx.processors.rows import FAULTS_TOLD, Fault, Row, check

JOINED = 10  # parts of a table's columns after which memory goes back to the system
TAKEN = 1000  # rows made at a time where rows are asked for


@dataclass(frozen=True)
class Cells:
    """Columns of text of one length, and the file and the lines they come from.

    `lines` `(N,)` are counted from 1; rows that were made by hand stand in `origin` instead. `ragged` are rows of another
    width than the first one has, which are in no column.
    """

    columns: Sequence[pa.Array]
    file: str
    lines: np.ndarray
    names: Sequence[str] = ()
    origin: Sequence[Row] = ()
    ragged: Sequence[Row] = ()
    places: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {name: place for place, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> pa.Array:
        return self.columns[self.places[name]]

    def named(self, names: Sequence[str]) -> Cells:
        """Return the same cells under other names, a name a column."""
        return replace(self, names=list(names))

    def select(self, names: Sequence[str]) -> Cells:
        """Return the named columns in the order of the names."""
        return replace(self, columns=[self[name] for name in names], names=list(names))

    def below(self, count: int) -> Cells:
        """Return the rows below the first `count`."""
        return replace(self, columns=[column[count:] for column in self.columns], lines=self.lines[count:])

    def taken(self, rows: np.ndarray) -> Cells:
        """Return the rows of some numbers."""
        if len(rows) == len(self):
            return self
        wanted = pa.array(rows)
        return replace(self, columns=[column.take(wanted) for column in self.columns], lines=self.lines[rows], ragged=())

    def first(self, count: int) -> list[Row]:
        """Return the first rows."""
        return list(islice(self.rows(), count))

    def rows(self) -> Iterator[Row]:
        """Yield every row."""
        if self.origin:
            yield from self.origin
            return
        for start in range(0, len(self), TAKEN):
            cells = zip(*(column[start : start + TAKEN].to_pylist() for column in self.columns), strict=True)
            for line, row in zip(self.lines[start : start + TAKEN].tolist(), cells, strict=True):
                yield Row(list(row), self.file, line)

    def row(self, number: int) -> Row:
        """Tell where a row was written."""
        return self.origin[number] if self.origin else Row([], self.file, int(self.lines[number]))

    def digest(self, rows: np.ndarray | None = None) -> str:
        """Compute the sha256 of the cells of some rows, in their order; of all where none are named."""
        made = hashlib.sha256(str(len(self) if rows is None else len(rows)).encode())
        wanted = None if rows is None else pa.array(rows)
        for name, column in zip(self.names, self.columns, strict=True):
            taken = column if wanted is None else column.take(wanted)
            made.update(f"{len(name)} {name}".encode("utf-8", "surrogatepass"))
            made.update(_content(taken))
        return made.hexdigest()


def _content(column: pa.Array) -> bytes:
    """Write a column as bytes that no other column has: the lengths of its cells, then the cells."""
    _, offsets, text = column.buffers()
    kind = np.int64 if pa.types.is_large_string(column.type) else np.int32
    ends = np.frombuffer(offsets, kind)[column.offset : column.offset + len(column) + 1]
    content = memoryview(text)[ends[0] : ends[-1]] if text is not None and len(ends) else b""
    return hashlib.sha256(np.diff(ends).astype("<i8").tobytes()).digest() + hashlib.sha256(content).digest()


def of_rows(rows: Sequence[Row], names: Sequence[str]) -> Cells:
    """Return rows, all as long as `names`, as columns."""
    columns = list(zip(*(row.cells for row in rows), strict=True)) if rows else [()] * len(names)
    text = [text_array([str(cell) for cell in column]) for column in columns]
    return Cells(text, "row", np.zeros(len(rows), np.int64), list(names), rows)


def read_cells(file: str, delimiter: str, comment: str = "") -> Cells:
    """Read a whole CSV file as columns named by their numbers, the header, if any, as the first row.

    Cells are stripped of surrounding blanks, and blank lines are no rows, nor are those on top that begin with `comment`.
    Raises UsageError, with the line, where the file cannot be read or is empty.
    """
    name = "standard input" if file == "-" else file
    found = Columns()
    fill(found, below_comments(blocks(file), comment), name, delimiter)
    if not found.width:
        raise UsageError(f"{name}: is empty")
    columns = _join(found)
    names = list(map(str, range(found.width)))
    return Cells(columns, name, np.concatenate(found.lines), names, ragged=found.ragged)


def _join(found: Columns) -> list[pa.Array]:
    columns, pool = [], pa.default_memory_pool()
    for place in range(found.width):
        if place % max(found.width // JOINED, 1) == 0:
            pool.release_unused()  # else the pieces of a large file would take as much memory again as the columns
        columns.append(_joined(found.take(place), found.size))
    pool.release_unused()
    return columns


def _joined(parts: list[pa.Array], size: int) -> pa.Array:
    if size > LARGE:
        parts = [part.cast(pa.large_string()) for part in parts]
    return pa.concat_arrays(parts) if len(parts) > 1 else parts[0]


class Faults:
    """Collects what is wrong with cells: the first of each kind, and how many there are."""

    def __init__(self) -> None:
        self.told: list[Fault] = []
        self.count = 0

    def add(self, cells: Cells, rows: np.ndarray, message: Callable[[int], str]) -> None:
        """Take in the numbers of faulty rows; `message` says what is wrong with one."""
        self.count += len(rows)
        self.told += [Fault(cells.row(row), message(row)) for row in rows[:FAULTS_TOLD].tolist()]

    def check(self) -> None:
        """Raise one UsageError that tells the first and counts the others."""
        check(self.told, self.count)
