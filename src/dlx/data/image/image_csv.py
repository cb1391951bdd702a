"""Images that a CSV file lists."""

from __future__ import annotations

import os
from collections import Counter

from dlx.core import Source
from dlx.data.image.listing import WHOLE, Known, Listing, labelled
from dlx.data.image.names import Names, counted, stamp
from dlx.data.image.preparation import DrawnSplits, ImageOptions, assemble, preparation
from dlx.data.options import Batching, Checkpoint
from dlx.data.splits import split_named
from dlx.errors import ComponentError, unknown
from dlx.processors.rows import read_file
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("image_csv")
def image_csv(
    seed: int,
    kept: Checkpoint,
    *,
    path: DataPath,
    root: DataPath | None = None,
    file_column: str = "file",
    label_column: str = "label",
    split_column: str | None = None,
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
) -> Source:
    """Images listed in a CSV file with the columns file, label and, perhaps, split (train, val, test).

    Files are relative to `root`, or to the CSV's own folder. A column named split is read without being asked for. All else
    is as for image_folder.
    """
    wanted = preparation(kept, images)
    columns = file_column, label_column, split_column
    listing = read_listing(path, root or os.path.dirname(path), columns, wanted.known)
    return assemble(seed, listing, wanted, drawn, batching)


def read_listing(path: str, root: str, columns: tuple[str, str, str | None], known: Known | None = None) -> Listing:
    """Read the list; a file that is not there is found out when it is decoded. Raises ComponentError and UsageError.

    `columns` name those of the file, the label and the split; `known` tells of a model trained before.
    """
    rows = read_file(path, ",")
    first = next(rows, None)
    if first is None:
        raise ComponentError(f"{path}: is blank: its first row names the columns, such as {columns[0]},{columns[1]}", ("path",))
    header = list(map(str, first.cells))
    places = _places(header, columns, path)
    files, classes, splits = Names(root), [], []
    for row in rows:
        if len(row.cells) != len(header):
            raise ComponentError(f"{row.place}: has {len(row.cells)} cells, but the header has {len(header)}", ("path",))
        name, kind, *split = (str(row.cells[place]) for place in places)
        for cell, what in ((name, "file"), (kind, "label")):
            if not cell:
                raise ComponentError(f"{row.place}: no {what}", ("path",))
        files.add(name, _stamp(os.path.join(root, name)))
        classes.append(kind)
        splits.append(_split(split[0], row.place) if split else WHOLE)
    if not classes:
        raise ComponentError(f"{path} lists no image", ("path",))
    if twice := [name for name, count in Counter(files.names).items() if count > 1]:
        raise ComponentError(
            f"{path}: {counted(twice, 'file stands there more than once', 'files stand there more than once')}", ("path",)
        )
    return labelled(files, classes, splits, "path", known)


def _places(header: list[str], columns: tuple[str, str, str | None], path: str) -> list[int]:
    found = [_place(header, name, key, path) for name, key in zip(columns[:2], ("file_column", "label_column"), strict=True)]
    if columns[2]:
        return [*found, _place(header, columns[2], "split_column", path)]
    named = [place for place, name in enumerate(header) if name.lower() == "split" and place not in found]
    if len(named) > 1:
        raise ComponentError(f"{path}: more than one column is named split; say which by split_column", ("split_column",))
    return found + named


def _split(word: str, place: str) -> str:
    split = split_named(word)
    if split is None:
        raise ComponentError(f"{place}: {word!r} is no split: train, val, test", ("path",))
    return split


def _place(header: list[str], name: str, key: str, path: str) -> int:
    if name not in header:
        raise ComponentError(f"{path}: '{name}': {unknown('column', name, header)}", (key,))
    return header.index(name)


def _stamp(file: str) -> tuple[int, int, int, int]:
    try:
        return stamp(os.stat(file))
    except OSError:
        return -1, -1, -1, -1
