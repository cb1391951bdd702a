"""What the first rows of a CSV file say: whether the very first one is a header, and what parts the cells."""

from __future__ import annotations

from collections.abc import Sequence

from dlx.processors.csv.cells import Cells
from dlx.processors.rows import Cell, Row, number

LOOKED_AT = 100  # rows that tell whether the first one is a header
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'", ",": "','"}


def sample(cells: Cells) -> list[Row]:
    """Return the first rows of a file as they were written, those of another width too."""
    rows = [*cells.first(LOOKED_AT), *cells.ragged[:LOOKED_AT]]
    return sorted(rows, key=lambda row: row.line)[:LOOKED_AT]


def separator_hint(rows: Sequence[Row], delimiter: str) -> str:
    """Say what the rows look separated by, where it is something else than `delimiter`; "" where there is no sign of it."""
    lines = [delimiter.join(map(str, row.cells)) for row in rows]
    for other, name in SEPARATORS.items():
        counts = {line.count(other) for line in lines}
        if other != delimiter and len(counts) == 1 and counts != {0}:
            return f"; its cells look separated by {name}"
    return ""


def finds_header(rows: Sequence[Row], known: Sequence[str] | None = None) -> bool | None:
    """Tell whether the first row is a header, by words above numbers and by names that are `known`; None: not clear."""
    first, others = [str(cell) for cell in rows[0].cells], rows[1:]
    if known and _repeats(first, known):
        return True
    columns = list(zip(*(row.cells for row in others if len(row.cells) == len(first)), strict=True))
    above = list(zip(first, columns, strict=True)) if columns else []
    if first and not first[0] and above and _numbers(above[0][1]):  # pandas leaves the index without a name
        return True
    has_number = any(number(cell) is not None for cell in first)
    has_name = any(any(map(str.isalpha, cell)) and _numbers(below) for cell, below in above)
    if has_number == has_name:  # neither is there, or both: 'id' above 17 beside 2019 above 3.5
        return False if known and not has_name else None
    return has_name


def _repeats(first: Sequence[str], known: Sequence[str]) -> bool:
    """Return whether most cells are the names of columns."""
    names = {name.strip().lower() for name in known}
    return 2 * sum(cell.lower() in names for cell in first if cell) > len(first)


def _numbers(below: Sequence[Cell]) -> bool:
    return 2 * sum(number(value) is not None for value in below) > len(below)
