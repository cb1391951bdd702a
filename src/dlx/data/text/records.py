"""Records of named texts from tables (CSV, TSV) and from JSON lines, each with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from dlx.errors import ComponentError, UsageError, unknown
from dlx.processors.rows import read_file
from dlx.processors.text.lines import read_lines

Record = tuple[Sequence[str], str]  # the texts asked for, in that order, and where they were written


def table_records(path: str, columns: Mapping[str, str | int], delimiter: str | None, header: bool) -> Iterator[Record]:
    """Read columns of a CSV file, or of one parted by tabs (.tsv); `columns` has the setting's name and the column.

    A column is named by its header or counted from 0. A file parted by tabs has no quotes. Raises ComponentError and UsageError.
    """
    mark = delimiter or ("\t" if ".tsv" in path else ",")
    rows = _tabbed(path) if mark == "\t" else ((list(map(str, row.cells)), row.place) for row in read_file(path, mark))
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{path}: is empty")
    width = len(first[0])
    places = [_place(first[0], name, key, header) for key, name in columns.items()]
    if not header:
        yield [first[0][place].strip() for place in places], first[1]
    for cells, place in rows:
        if len(cells) != width:
            raise UsageError(f"{place}: has {len(cells)} cells, and the first line {width}")
        yield [cells[column].strip() for column in places], place


def _tabbed(path: str) -> Iterator[tuple[list[str], str]]:
    return ((line.text.split("\t"), line.place) for line in read_lines(path))


def _place(first: list[str], name: str | int, key: str, header: bool) -> int:
    if isinstance(name, int):
        if name >= len(first):
            raise ComponentError(f"there is no column {name}: the first line has {len(first)}, counted from 0", (key,))
        return name
    if not header:
        raise ComponentError(f"'{name}': without a header, a column is a number, counted from 0", (key,))
    if name not in first:
        raise ComponentError(f"'{name}': {unknown('column', name, first)}", (key,))
    return first.index(name)


def json_records(path: str, keys: Sequence[str]) -> Iterator[Record]:
    """Read the values of keys from a file of one JSON object a line, plain or gzipped; raises UsageError with the line."""
    for line in read_lines(path):
        if not line.text:
            continue
        try:
            record = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{line.place}: is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise UsageError(f"{line.place}: is no JSON object")
        texts = list[str]()
        for key in keys:
            if key not in record:
                raise UsageError(f"{line.place}: {unknown('key', key, list(record))}")
            if not isinstance(record[key], (str, int)):
                raise UsageError(f"{line.place}: '{key}' is no text")
            texts.append(str(record[key]).strip())
        yield texts, line.place
