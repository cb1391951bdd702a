"""What `dlx predict` is given for a table: files, standard input and rows written out, in the order of the inputs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, of_rows, read_cells
from dlx.processors.csv.header import sample, separator_hint
from dlx.processors.rows import Fault, Row, check, number, read_file, read_lines

log = logging.getLogger("dlx")


@dataclass(frozen=True)
class Layout:
    """The columns that a model reads, those of its training file in their order, and what parts them."""

    columns: Sequence[str]
    file_columns: Sequence[str]
    target: str
    delimiter: str

    @cached_property
    def known(self) -> frozenset[str]:
        """The names of the columns that are read."""
        return frozenset(self.columns)

    @cached_property
    def positions(self) -> list[int]:
        """Where the columns stand in a row of the training file."""
        places = {name: place for place, name in enumerate(self.file_columns)}
        return [places.get(name, -1) for name in self.columns]

    def is_header(self, row: Row) -> bool:
        """Return whether a file's first row names columns."""
        found = self.known.intersection(map(str, row.cells))
        return len(found) == len(self.known) or (bool(found) and all(number(cell) is None for cell in row.cells))

    def named(self, header: list[str], file: str) -> list[int]:
        """Find the columns by a header; UsageError tells those that are not there."""
        places = {name: place for place, name in reversed(list(enumerate(header)))}
        if lacking := [name for name in self.columns if name not in places]:
            raise UsageError(f"{file}: lacks the column{'s' * (len(lacking) > 1)} {quoted(lacking)}; it has {quoted(header)}")
        if len(places) < len(header) and (twice := [name for name in self.columns if header.count(name) > 1]):
            raise UsageError(f"{file}: has the column {quoted(twice)} more than once")
        if extra := [name for name in places if name not in self.known and name != self.target]:
            log.warning("%s: the model does not read the column%s %s", file, "s" * (len(extra) > 1), quoted(extra))
        return [places[name] for name in self.columns]

    def positional(self, width: int) -> list[int] | None:
        """Find the columns of a row without a header by its width; None where it is neither of those known."""
        if width == len(self.columns):
            return list(range(width))
        return self.positions if width == len(self.file_columns) else None

    def __str__(self) -> str:
        whole = len(self.file_columns)
        others = f", nor all {whole} of the training file" if whole > len(self.columns) else ""
        return f"the {len(self.columns)} of {quoted(self.columns)}{others}"


def read(layout: Layout, inputs: Iterable[str], examine: Callable[[Cells], None]) -> Iterator[Row]:
    """Read the rows of all inputs; `examine` looks at the whole of each that is no stream before the first row is given."""
    given = list(inputs)
    tables = {place: _table(layout, name, examine) for place, name in enumerate(given) if name != "-"}
    for place in range(len(given)):
        if place in tables:
            yield from tables.pop(place).rows()
        else:
            yield from _stream(layout)


def _table(layout: Layout, given: str, examine: Callable[[Cells], None]) -> Cells:
    if os.path.exists(given):
        found = _file(layout, given)
    elif layout.delimiter in given or len(layout.columns) == 1:
        row = next(read_lines([given], f"'{given}'", layout.delimiter), Row([], f"'{given}'"))
        row = row._replace(line=0)
        found = of_rows([_arranged(row, _positions(layout, row))], layout.columns)
    else:
        raise UsageError(f"'{given}' is neither a file nor a row of {layout}")
    examine(found)
    return found


def _file(layout: Layout, file: str) -> Cells:
    cells = read_cells(file, layout.delimiter)
    width, first = len(cells.columns), cells.first(1)[0]
    if layout.is_header(first):
        places, wanted = layout.named(list(map(str, first.cells)), cells.file), f"but the header has {width}"
        cells = cells.below(1)
    else:
        places, wanted = _positions(layout, first, separator_hint(sample(cells), layout.delimiter)), f"not {layout}"
    check([Fault(row, f"has {len(row.cells)} cells, {wanted}") for row in cells.ragged])
    return cells.select([str(place) for place in places]).named(layout.columns)


def _positions(layout: Layout, row: Row, hint: str = "") -> list[int]:
    places = layout.positional(len(row.cells))
    if places is None:
        raise UsageError(f"{row.place}: has {len(row.cells)} cells, not {layout}{hint}")
    return places


def _arranged(row: Row, places: list[int]) -> Row:
    return row._replace(cells=[row.cells[place] for place in places])


def _stream(layout: Layout) -> Iterator[Row]:
    rows = read_file("-", layout.delimiter)
    if (first := next(rows, None)) is None:
        raise UsageError("standard input: is empty")
    if not layout.is_header(first):
        yield _arranged(first, _positions(layout, first))
        yield from (_arranged(row, _positions(layout, row)) for row in rows)
        return
    places = layout.named(list(map(str, first.cells)), first.file)
    for row in rows:
        if len(row.cells) != len(first.cells):
            raise UsageError(f"{row.place}: has {len(row.cells)} cells, but the header has {len(first.cells)}")
        yield _arranged(row, places)


def quoted(names: Sequence[str], most: int = 8) -> str:
    """List names in quotes, the first of many."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
