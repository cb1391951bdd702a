"""Records of named texts from tables (CSV, TSV), from JSON lines and from parallel files, each with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlx.data.splits import split_named
from dlx.errors import ComponentError, UsageError, unknown
from dlx.processors.rows import read_file
from dlx.processors.text.lines import is_text, read_lines

Column = str | int
Record = tuple[Sequence[str], str]  # the texts asked for, in that order, and where they were written


def table_records(
    path: str, columns: Mapping[str, Column], delimiter: str | None, header: bool = True, others: Sequence[Column] = ()
) -> Iterator[Record]:
    """Read columns of a CSV file, or of one parted by tabs (.tsv); `columns` has the setting's name and the column.

    A column is named by its header or counted from 0. A file parted by tabs has no quotes. Of `others`, which come last, a file
    may lack some: their texts are "". Raises ComponentError and UsageError.
    """
    mark = delimiter or ("\t" if ".tsv" in path else ",")
    rows = _tabbed(path) if mark == "\t" else ((list(map(str, row.cells)), row.place) for row in read_file(path, mark))
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{path}: is empty")
    width = len(first[0])
    places = [
        *(_place(first[0], name, key, header) for key, name in columns.items()),
        *(_found(first[0], name) for name in others),
    ]
    if not header:
        yield _texts(first[0], places), first[1]
    for cells, place in rows:
        if len(cells) != width:
            raise UsageError(f"{place}: has {len(cells)} cells, and the {'header' if header else 'first line'} {width}")
        yield _texts(cells, places), place


def _tabbed(path: str) -> Iterator[tuple[list[str], str]]:
    """Part lines by tabs, an outer one too: what stands before the first is the first cell, though it be empty."""
    return (([cell.strip() for cell in line.text.split("\t")], line.place) for line in read_lines(path, strip=False))


def _texts(cells: Sequence[str], places: Sequence[int | None]) -> list[str]:
    return ["" if place is None else cells[place] for place in places]


def _place(first: list[str], name: Column, key: str, header: bool) -> int:
    if isinstance(name, int):
        if name >= len(first):
            raise ComponentError(f"there is no column {name}: the first line has {len(first)}, counted from 0", (key,))
        return name
    if not header:
        raise ComponentError(f"'{name}': without a header, a column is a number, counted from 0", (key,))
    if name not in first:
        raise ComponentError(f"'{name}': {unknown('column', name, first)}", (key,))
    return first.index(name)


def _found(first: list[str], name: Column) -> int | None:
    if isinstance(name, int):
        return name if name < len(first) else None
    return first.index(name) if name in first else None


def json_records(path: str, keys: Sequence[str], others: Sequence[str] = ()) -> Iterator[Record]:
    """Read the values of keys from a file of one JSON object a line, plain or gzipped; raises UsageError with the line.

    Of `others`, which come last, an object may lack some, or have null: their texts are "".
    """
    for line in read_lines(path):
        if not line.text:
            continue
        try:
            record = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{line.place}: is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise UsageError(f"{line.place}: is no JSON object")
        for key in keys:
            if key not in record:
                raise UsageError(f"{line.place}: {unknown('key', key, list(record))}")
        record |= {key: "" for key in others if record.get(key) is None}
        yield [_text(record[key], key, line.place) for key in (*keys, *others)], line.place


def _text(value: Any, key: str, place: str) -> str:
    if not isinstance(value, (str, int)):
        raise UsageError(f"{place}: '{key}' is no text")
    text = str(value).strip()
    if not is_text(text):
        raise UsageError(f"{place}: '{key}' has half of a pair of surrogates (\\ud800 to \\udfff), which is no character")
    return text


def parallel_records(files: Sequence[str]) -> Iterator[Record]:
    """Read files whose lines belong together; raises UsageError where one has more lines than another."""
    sides = [list(read_lines(file)) for file in files]
    for file, lines in zip(files, sides, strict=True):
        if len(lines) != len(sides[0]):
            raise UsageError(f"{files[0]} has {len(sides[0]):,} lines, but {file} {len(lines):,}")
    for together in zip(*sides, strict=True):
        yield [line.text for line in together], together[0].place


def split_of(word: str, place: str) -> str:
    """Return the split that a record says it is in; raises UsageError where that is none."""
    if (split := split_named(word)) is None:
        raise UsageError(f"{place}: {word!r} is no split: train, val or test")
    return split
