"""CSV files as tables: header, names, and the same columns in every file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.errors import Fault as ConfigFault
from dlx.errors import Path, UsageError
from dlx.processors.rows import Cell, Fault, Row, check, number, read_file
from dlx.signatures import ExistingPath

LOOKED_AT = 100  # rows that tell whether the first one is a header


class _FileOrFraction(ExistingPath):
    def check(self, value: Any, path: Path) -> tuple[Any, list[ConfigFault]]:
        if isinstance(value, str):
            return super().check(value, path)
        return value, [] if 0 <= value < 1 else [
            ConfigFault(path, f"wants a file, or a fraction from 0 to below 1, not {value}")
        ]

    def describe(self) -> str:
        return "a file or a fraction"


FileOrFraction = Annotated[str | float, _FileOrFraction()]
Character = Annotated[str, Field(min_length=1, max_length=1)]


@dataclass(frozen=True)
class CsvTable:
    """The rows of a file, all of the width of `columns`."""

    file: str
    columns: list[str]
    has_header: bool
    rows: list[Row]


def read_table(file: str, delimiter: str, header: bool | Literal["auto"], names: list[str] | None) -> CsvTable:
    """Read a whole file; UsageError tells the rows that are too short or too long.

    `header` "auto" finds one by words above numbers. `names` name the columns of a file without a header,
    or stand in for the header's.
    """
    rows = list(read_file(file, delimiter))
    if not rows:
        raise UsageError(f"{file}: is empty")
    has_header = header if isinstance(header, bool) else _finds_header(rows, names)
    first = [str(cell) for cell in rows[0].cells]
    columns = names or (first if has_header else [f"column_{i}" for i in range(len(first))])
    if not (rows := rows[has_header:]):
        raise UsageError(f"{file}: has a header but no rows")
    width, wanted = len(columns), "`columns` names" if names else "the header has" if has_header else "the first row has"
    check([Fault(row, f"has {len(row.cells)} cells, but {wanted} {width}") for row in rows if len(row.cells) != width])
    _check_names(columns, file)
    return CsvTable(file, columns, has_header, rows)


def _finds_header(rows: Sequence[Row], names: list[str] | None) -> bool:
    first, others = rows[0].cells, rows[1:LOOKED_AT]
    if names:
        return first == names
    has_number = any(number(cell) is not None for cell in first)
    has_name = any(_names_numbers(str(cell), [r.cells[i] for r in others if i < len(r.cells)]) for i, cell in enumerate(first))
    if has_number == has_name:  # neither is there, or both: 'id' above 17 beside 2019 above 3.5
        raise UsageError(f"{rows[0].file}: it is not clear whether the first row is a header; set `header` to true or false")
    return has_name


def _names_numbers(cell: str, below: Sequence[Cell]) -> bool:
    return any(map(str.isalpha, cell)) and 2 * sum(number(value) is not None for value in below) > len(below)


def _check_names(columns: Sequence[str], file: str) -> None:
    for name in columns:
        if not name:
            raise UsageError(f"{file}: the header leaves a column without a name; name all with `columns`")
        if (times := columns.count(name)) > 1:
            raise UsageError(f"{file}: {times} columns have the name '{name}'; name all with `columns`")


def rows_like(table: CsvTable, train: CsvTable) -> list[Row]:
    """Put the cells of another file into the order of the training file's columns."""
    if table.columns == train.columns:
        return table.rows
    lacking = [f"lacks the column '{name}'" for name in train.columns if name not in table.columns]
    extra = [f"has a column '{name}' of its own" for name in table.columns if name not in train.columns]
    if lacking or extra:
        raise UsageError(f"{table.file}: {', '.join(lacking + extra)}; the training file has {', '.join(train.columns)}")
    places = [table.columns.index(name) for name in train.columns]
    return [row._replace(cells=[row.cells[place] for place in places]) for row in table.rows]
