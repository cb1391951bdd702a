"""Which images have which masks: in folders side by side, in lists of pairs, or in a CSV file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dlx.data.image.annotated import Fault
from dlx.data.image.listing import WHOLE
from dlx.data.image.names import Names, stamp, walk
from dlx.data.image.voc_boxes import FILE_BYTES
from dlx.data.image.yolo_boxes import beside, split_of
from dlx.data.splits import split_named
from dlx.errors import ComponentError
from dlx.processors.image.decoding import ENDINGS
from dlx.processors.rows import read_file
from dlx.storage import files

SPLITS = ("train", "val", "test")


class Pair(NamedTuple):
    """An image and its mask below a root, the split they lie in, and where that is written."""

    image: str
    mask: str
    split: str
    place: str


@dataclass
class MaskFiles:
    """Images and their masks, row by row, and the split each lies in; `faults` are those found until now."""

    images: Names
    masks: Names
    splits: list[str]
    faults: list[Fault] = field(default_factory=list)


def read(path: str, image_part: str, mask_part: str) -> MaskFiles:
    """Find images and their masks; raises ComponentError where there are none."""
    faults: list[Fault] = []
    if os.path.isfile(path):
        found = paired(os.path.dirname(path), lambda root: _table(path), faults)
    elif os.path.exists(os.path.join(path, "train.txt")):
        found = paired(path, _lists, faults)
    else:
        found = paired(path, lambda root: _folders(root, image_part, mask_part, faults), faults)
    if not found.splits:
        told = "".join(f"\n  {fault}" for fault in faults[:10])
        raise ComponentError(
            f"{path}: no image with a mask; it takes train.txt with lines `image mask`, or folders {image_part} and "
            f"{mask_part} side by side, or a CSV file{told}", ("path",)
        )  # fmt: skip
    return found


def paired(root: str, pairs: Callable[[str], Iterator[Pair]], faults: list[Fault]) -> MaskFiles:
    """Collect the pairs of which both files are below a root; the others are faults."""
    found = MaskFiles(Names(root), Names(root), [], faults)
    for pair in pairs(root):
        full = [os.path.join(root, name) for name in (pair.image, pair.mask)]
        if missing := [file for file in full if not os.path.isfile(file)]:
            faults.append(Fault(pair.place, "pair", "without a file", f"{missing[0]} is not there"))
            continue
        found.images.add(pair.image, stamp(os.stat(full[0])))
        found.masks.add(pair.mask, stamp(os.stat(full[1])))
        found.splits.append(pair.split)
    return found


def _lists(path: str) -> Iterator[Pair]:
    for split in SPLITS:
        file = os.path.join(path, f"{split}.txt")
        if not os.path.exists(file):
            continue
        try:
            lines = files.read(file, FILE_BYTES).decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ComponentError(f"{file}: cannot be read: {error}", ("path",)) from None
        for number, line in enumerate(lines, 1):
            words = line.split()
            if words and len(words) != 2:
                raise ComponentError(f"{file}:{number}: has {len(words)} words, not an image and its mask", ("path",))
            if words:
                yield Pair(words[0], words[1], split, f"{file}:{number}")


def _table(path: str) -> Iterator[Pair]:
    rows = read_file(path, ",")
    first = next(rows, None)
    header = [str(cell).lower() for cell in first.cells] if first else []
    if missing := [name for name in ("image", "mask") if name not in header]:
        told = f"has no column {missing[0]}; its first row names image, mask and, perhaps, split"
        raise ComponentError(f"{path}: {told}", ("path",))
    for row in rows:
        if len(row.cells) != len(header):
            raise ComponentError(f"{row.place}: has {len(row.cells)} cells, but the header has {len(header)}", ("path",))
        cells = dict(zip(header, map(str, row.cells), strict=True))
        split = split_named(cells["split"]) if "split" in cells else WHOLE
        if split is None:
            raise ComponentError(f"{row.place}: {cells['split']!r} is no split: train, val, test", ("path",))
        yield Pair(cells["image"], cells["mask"], split, row.place)


def _folders(path: str, image_part: str, mask_part: str, faults: list[Fault]) -> Iterator[Pair]:
    """Pair images with the masks of the same name in the other folder, whatever the endings."""
    there = walk(path, ENDINGS).names
    masks = {os.path.splitext(name)[0]: name for name in there if beside(name, mask_part, image_part)}
    for name in there:
        if other := beside(name, image_part, mask_part):
            mask = masks.pop(os.path.splitext(other)[0], None)
            place = os.path.join(path, name)
            if mask is None:
                faults.append(Fault(place, "image", "without a mask", f"nothing called {os.path.splitext(other)[0]} is there"))
            else:
                yield Pair(name, mask, split_of(name), place)
    faults += [Fault(os.path.join(path, name), "mask", "without an image") for name in masks.values()]
