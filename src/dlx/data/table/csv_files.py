"""CSV files as tables: header, names, and the same columns in every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.errors import Fault as ConfigFault
from dlx.errors import Marker, Path, UsageError
from dlx.processors.csv.cells import Cells, read_cells
from dlx.processors.csv.header import finds_header, sample, separator_hint
from dlx.processors.rows import Fault, Row, check
from dlx.processors.table.inputs import quoted
from dlx.registry.types import ExistingPath, OptionGroup


class _FileOrFraction(ExistingPath):
    def check(self, value: Any, path: Path) -> tuple[Any, list[ConfigFault]]:
        if isinstance(value, str):
            return super().check(value, path)
        return value, [] if 0 <= value < 1 else [
            ConfigFault(path, f"wants a file, or a fraction from 0 to below 1, not {value}")
        ]

    def describe(self) -> str:
        return "a file or a fraction"


class _Delimiter(Marker):
    def check(self, value: str, path: Path) -> tuple[str, list[ConfigFault]]:
        told = f"wants a character that parts cells, not {value!r}"
        return value, [ConfigFault(path, told)] if value in '"\r\n\0' else []

    def describe(self) -> str:
        return "a character"


FileOrFraction = Annotated[str | float, _FileOrFraction()]
Delimiter = Annotated[str, Field(min_length=1, max_length=1), _Delimiter()]


@dataclass(frozen=True)
class Format(OptionGroup):
    """How the files of an experiment are written: what parts cells, whether there are headers, and names in their stead."""

    delimiter: Delimiter = ","
    header: bool | Literal["auto"] = "auto"
    columns: list[str] | None = None


@dataclass(frozen=True)
class CsvTable:
    """The cells of a file under the names of its columns."""

    cells: Cells
    has_header: bool

    @property
    def columns(self) -> Sequence[str]:
        """The names."""
        return self.cells.names


def read_table(file: str, written: Format, like: CsvTable | None = None, known: Sequence[str] | None = None) -> CsvTable:
    """Read a whole file; UsageError tells the rows that are too short or too long.

    `header` "auto" finds one by words above numbers. `names` name the columns of a file without a header, or stand in for
    the header's. `like` is the training file and `known` names its columns, for a file that is read beside it.
    """
    cells = read_cells(file, written.delimiter)
    rows = sample(cells)
    known = written.columns or known
    has_header = _has_header(cells, rows, written, like, known)
    first = list(map(str, rows[0].cells)) if not cells.ragged else list(map(str, cells.first(1)[0].cells))
    unnamed = known if known and not has_header and len(known) == len(first) else [f"column_{i}" for i in range(len(first))]
    columns = written.columns or (first if has_header else unnamed)
    wanted = "`columns` names" if written.columns else "the header has" if has_header else "the first row has"
    _check_widths(cells, len(columns), has_header, wanted, _hint(rows, written))
    if not len(cells := cells.below(int(has_header))):
        raise UsageError(f"{file}: has a header but no rows")
    _check_names(columns, cells.file)
    return CsvTable(cells.named(columns), has_header)


def _has_header(cells: Cells, rows: Sequence[Row], written: Format, like: CsvTable | None, known: Sequence[str] | None) -> bool:
    if written.header != "auto":
        return written.header
    found = finds_header(rows, known)
    if found is None and like is not None:
        return like.has_header
    if found is None:
        hint = _hint(rows, written) or "; set `header` to true or false"
        raise UsageError(f"{cells.file}: it is not clear whether the first row is a header{hint}")
    return found


def _hint(rows: Sequence[Row], written: Format) -> str:
    hint = separator_hint(rows, written.delimiter)
    return hint and f"{hint} (set `delimiter`)"


def _check_widths(cells: Cells, width: int, has_header: bool, wanted: str, hint: str) -> None:
    """Raise UsageError that tells the rows of another width; nearly always they are few, and in `ragged`."""
    rows = list(cells.ragged)
    if len(cells.columns) != width:
        narrow = range(int(has_header), len(cells))
        rows = [Row([""] * len(cells.columns), cells.file, int(cells.lines[i])) for i in narrow[:LISTED]] + [
            row for row in rows if len(row.cells) != width
        ]
        count = len(narrow) + len(rows) - len(narrow[:LISTED])
    else:
        count = len(rows)
    check([Fault(row, f"has {len(row.cells)} cells, but {wanted} {width}{hint}") for row in rows], count)
    if len(cells.columns) == 1 and hint:
        raise UsageError(f"{cells.file}: has one column only{hint}")


LISTED = 100  # rows of a wrong width that are looked at; one message tells the first few of them


def _check_names(columns: Sequence[str], file: str) -> None:
    for name, times in Counter(columns).items():
        if not name:
            raise UsageError(f"{file}: the header leaves a column without a name; name all with `columns`")
        if times > 1:
            raise UsageError(f"{file}: {times} columns have the name '{name}'; name all with `columns`")


def arranged(table: CsvTable, columns: Sequence[str]) -> CsvTable:
    """Put the columns of another file into the order of the training file's."""
    if list(table.columns) == list(columns):
        return table
    here, there = set(table.columns), set(columns)
    lacking = [f"lacks the column '{name}'" for name in columns if name not in here]
    extra = [f"has a column '{name}' of its own" for name in table.columns if name not in there]
    if faults := lacking + extra:
        more = f", and {len(faults) - 5} more like it" if len(faults) > 5 else ""
        raise UsageError(f"{table.cells.file}: {', '.join(faults[:5])}{more}; the training file has {quoted(list(columns))}")
    return CsvTable(table.cells.select(columns), table.has_header)
