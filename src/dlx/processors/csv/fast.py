"""CSV text to columns: by Arrow's reader where nothing can be meant otherwise, else by Python's, which tells the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from dlx.errors import UsageError
from dlx.processors.csv.text import UTF_8, Block, count_lines
from dlx.processors.rows import CELL, Row, read_blocks

LARGE = 2**31 - 2  # bytes that an array of Arrow's plain strings may hold
TOGETHER = 100_000  # cells that Python's reader gathers before they become columns
FEWEST = 8  # rows that it gathers at least, however wide they are
BLANKS = re.compile(rb"[ \t\x0b\x0c\x1c-\x1f\x80-\xff]")


class Columns:
    """Columns that grow by pieces; rows that are not as wide as the first one are kept apart."""

    def __init__(self) -> None:
        self.width = self.size = 0
        self.parts: list[list[pa.Array] | None] = []
        self.lines: list[np.ndarray] = []
        self.ragged: list[Row] = []

    def add(self, columns: Sequence[pa.Array], lines: np.ndarray) -> None:
        """Add rows that are as wide as all others."""
        self.width = self.width or len(columns)
        self.parts = self.parts or [[] for _ in columns]
        for part, column in zip(self.parts, columns, strict=True):
            assert part is not None
            part.append(column)
        self.lines.append(lines)
        self.size += sum(column.nbytes for column in columns)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Add rows of any width."""
        width = self.width or len(rows[0].cells)
        fitting = [row for row in rows if len(row.cells) == width]
        self.ragged += [row for row in rows if len(row.cells) != width]
        if fitting:
            columns = [text_array(cells) for cells in zip(*(row.cells for row in fitting), strict=True)]
            self.add(columns, np.array([row.line for row in fitting], np.int64))

    def take(self, place: int) -> list[pa.Array]:
        """Give a column's pieces away, so that their memory ends with their use."""
        part, self.parts[place] = self.parts[place], None
        assert part is not None
        return part


def text_array(cells: Sequence[str]) -> pa.Array:
    """Return text as an array; what no UTF-8 can say, such as a stray byte of a command line, is escaped."""
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        return pa.array([cell.encode("utf-8", "backslashreplace").decode() for cell in cells], pa.string())


def fill(columns: Columns, given: Iterator[Block], name: str, delimiter: str) -> None:
    """Read all rows of a file; raises UsageError with the line."""
    pieces = chain.from_iterable(map(_first_line_apart, given))
    for block in pieces:
        if not _quoted(block, delimiter):
            _plain(columns, block, name, delimiter)
        elif not _whole_line(columns, block, name, delimiter):  # a quoted cell may go on in the next block
            return _by_rows(columns, chain([block], pieces), name, delimiter)
    return None


def _first_line_apart(block: Block) -> list[Block]:
    """Part the first line of a file from the others: a header is quoted more often than what follows."""
    end = block.content.find(b"\n") + 1
    if block.line or not end or end == len(block.content):
        return [block]
    first = block.content[:end]
    return [Block(first, 0), Block(block.content[end:], count_lines(first))]


def _quoted(block: Block, delimiter: str) -> bool:
    return b'"' in block.content or delimiter == '"'


def _whole_line(columns: Columns, block: Block, name: str, delimiter: str) -> bool:
    """Read a file's first line where it is a row by itself; say whether it was."""
    if block.line or block.content.count(b"\n") != 1:
        return False
    try:
        rows = list(read_blocks([block], name, delimiter))
    except UsageError:
        return False
    if rows:
        columns.add_rows(rows)
    return True


def _by_rows(columns: Columns, given: Iterator[Block], name: str, delimiter: str) -> None:
    waiting: list[Row] = []
    count = 0
    for row in read_blocks(given, name, delimiter):
        waiting.append(row)
        count += len(row.cells)
        if count > TOGETHER and len(waiting) >= FEWEST:
            columns.add_rows(waiting)
            waiting, count = [], 0
    if waiting:
        columns.add_rows(waiting)


def _plain(columns: Columns, block: Block, name: str, delimiter: str) -> None:
    """Read a block without quotes, all of whose rows end in it."""
    # Arrow takes the mark that may begin a file for one at the beginning of any block.
    lines = None if block.content.startswith(UTF_8) else _lines(block, delimiter, columns.width)
    found = None if lines is None or not len(lines) else _by_arrow(block.content, delimiter, columns.width)
    if lines is None or found is None or (found and len(found[0]) != len(lines)):
        _by_rows(columns, iter([block]), name, delimiter)
    else:
        columns.add(found, lines)


def _lines(block: Block, delimiter: str, width: int) -> np.ndarray | None:
    """Number the lines that hold rows, where every line is a row of the width or empty; None where that is not so."""
    content = block.content
    if width < 2 or not delimiter.isascii() or delimiter in " \r\n" or content.count(b"\r") != content.count(b"\r\n"):
        return None
    letters = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    ends = ends if content.endswith(b"\n") else np.append(ends, len(content))
    counts = np.diff(np.searchsorted(np.flatnonzero(letters == ord(delimiter)), ends), prepend=0)
    lengths = np.diff(ends, prepend=-1) - 1
    empty = (counts == 0) & (lengths <= 1)  # at most a carriage return
    if not ((counts == width - 1) | empty).all() or any(
        content[end - 1 : end] != b"\r" for end in ends[empty & (lengths == 1)]
    ):
        return None
    return None if lengths.max() >= CELL else block.line + np.flatnonzero(~empty) + 1


def _by_arrow(content: bytes, delimiter: str, width: int) -> list[pa.Array] | None:
    names = list(map(str, range(width)))
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            arrow_csv.ReadOptions(column_names=names, block_size=len(content) + 1),
            arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False, escape_char=False),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException:
        return None
    columns = [column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks) for column in table.columns]
    return [pc.utf8_trim_whitespace(column) for column in columns] if BLANKS.search(content) else columns
