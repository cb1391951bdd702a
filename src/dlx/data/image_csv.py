"""Images that a CSV file lists."""

from __future__ import annotations

import os
from collections import Counter

from pydantic import NonNegativeInt, PositiveInt

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Source
from dlx.data.image_assembly import Channels, MaxPixels, OnBad, Size, assemble, preparation
from dlx.data.image_cache import Cache
from dlx.data.image_listing import SPLITS, Listing, Names, counted, labelled, stamp
from dlx.data.splits import Fraction
from dlx.errors import Misfit, unknown
from dlx.processors.image_decoding import MAX_PIXELS, Resize
from dlx.processors.rows import read_file
from dlx.registry import sources
from dlx.signatures import DataPath


@sources("image_csv")
def image_csv(
    seed: int,
    *,
    path: DataPath,
    root: DataPath | None = None,
    file_column: str = "file",
    label_column: str = "label",
    split_column: str | None = None,
    image_size: Size,
    channels: Channels = 3,
    resize: Resize = "squash",
    cache_size: Size | None = None,
    augment: AugmentationList | None = None,
    val: Fraction | None = None,
    test: Fraction | None = None,
    split_seed: int = 0,
    on_bad: OnBad = "error",
    max_pixels: MaxPixels = MAX_PIXELS,
    cache: Cache | None = None,
    num_workers: NonNegativeInt | None = None,
    batch_size: PositiveInt = 32,
    drop_last: bool = False,
) -> Source:
    """Images listed in a CSV file with the columns file, label and, perhaps, split (train, val, test).

    Files are relative to `root`, or to the CSV's own folder. A column named split is read without being asked for. All else
    is as for image_folder.
    """
    wanted = preparation(image_size, cache_size, channels, resize, max_pixels, on_bad, cache, num_workers)
    listing = read_listing(path, root or os.path.dirname(path), file_column, label_column, split_column)
    return assemble(
        seed, listing, wanted, val=val, test=test, split_seed=split_seed,
        augment=augment, batch_size=batch_size, drop_last=drop_last,
    )  # fmt: skip


def read_listing(path: str, root: str, file_column: str, label_column: str, split_column: str | None) -> Listing:
    """Read the list; a file that is not there is found out when it is decoded. Raises Misfit and UsageError."""
    rows = read_file(path, ",")
    header = list(map(str, next(rows).cells)) if os.path.getsize(path) else []
    split_name = split_column or ("split" if "split" in header else None)
    places = [
        _place(header, name, key, path)
        for key, name in (("file_column", file_column), ("label_column", label_column), ("split_column", split_name))
        if name
    ]
    files, classes, splits = Names(root), [], []
    for row in rows:
        if len(row.cells) != len(header):
            raise Misfit(f"{row.place}: has {len(row.cells)} cells, but the header has {len(header)}", ("path",))
        name, kind, *split = (str(row.cells[place]) for place in places)
        if not kind or (split and split[0] not in SPLITS):
            raise Misfit(
                f"{row.place}: {'no label' if not kind else repr(split[0]) + ' is no split: ' + ', '.join(SPLITS)}", ("path",)
            )
        files.add(name, _stamp(os.path.join(root, name)))
        classes.append(kind)
        splits.append(SPLITS[split[0]] if split else "all")
    if not classes:
        raise Misfit(f"{path} lists no image", ("path",))
    if twice := [name for name, count in Counter(files.names).items() if count > 1]:
        raise Misfit(
            f"{path}: {counted(twice, 'file stands there more than once', 'files stand there more than once')}", ("path",)
        )
    return labelled(files, classes, splits, "path")


def _place(header: list[str], name: str, key: str, path: str) -> int:
    if name not in header:
        raise Misfit(f"{path}: '{name}': {unknown('column', name, header)}", (key,))
    return header.index(name)


def _stamp(file: str) -> tuple[int, int, int, int]:
    try:
        return stamp(os.stat(file))
    except OSError:
        return -1, -1, -1, -1
