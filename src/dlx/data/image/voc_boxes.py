"""Boxes as Pascal VOC keeps them: an XML file an image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

from dlx.core import Source
from dlx.data.image.annotated import NO_AREA, NO_NUMBERS, Annotation, Box, BoxFiles, Fault, VisionFacts
from dlx.data.image.box_assembly import assemble_boxes
from dlx.data.image.listing import WHOLE
from dlx.data.image.names import Names, walk
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.options import Batching
from dlx.errors import ComponentError
from dlx.processors.image.boxes import BoxProcessor
from dlx.processors.image.decoding import ENDINGS
from dlx.registry import sources
from dlx.registry.types import DataPath
from dlx.storage import files

FILE_BYTES = 2**24  # of one annotation, or of a list of names
Missing = Literal["report", "empty"]


@sources("voc_boxes")
def voc_boxes(
    seed: int,
    kept: VisionFacts,
    *,
    path: DataPath,
    class_names: list[str] | None = None,
    counted_from: Literal[0, 1] = 1,
    difficult: bool = True,
    missing: Missing = "report",
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
) -> Source:
    """Boxes as Pascal VOC keeps them: JPEGImages/NAME.jpg, Annotations/NAME.xml, ImageSets/Main/train.txt with names.

    Without lists of names (train, val, test; trainval where there is no train), splits are drawn from all images. Corners
    are pixels `counted_from` 1, as VOC does, both within the box. Classes are those of the training images unless
    `class_names` lists them. `difficult: false` leaves out boxes marked so. Faults are told together, and under on_bad: skip
    the boxes and images that have them are left out; `missing: empty` takes images without an annotation as such of no box.
    All else is as for image_folder. XML is read by defusedxml, of the extra `detection`.
    """
    kept.refuse_other("boxes")
    wanted = preparation(kept, images, BoxProcessor)
    found = read(path, counted_from, difficult, missing)
    found.class_names = class_names
    return assemble_boxes(seed, found, wanted, drawn, batching)


def read(path: str, counted_from: int, difficult: bool, missing: Missing) -> BoxFiles:
    """Read the annotations of all images that the lists name; raises ComponentError where a folder is missing."""
    folder, root = (os.path.join(path, name) for name in ("Annotations", "JPEGImages"))
    if absent := [place for place in (folder, root) if not os.path.isdir(place)]:
        raise ComponentError(
            f"{absent[0]}: no such folder; VOC keeps Annotations, JPEGImages and ImageSets side by side", ("path",)
        )
    there = walk(root, ENDINGS)
    rows = {os.path.splitext(name)[0]: row for row, name in enumerate(there.names)}
    annotated = {name[: -len(".xml")] for name in os.listdir(folder) if name.lower().endswith(".xml")}
    found = BoxFiles(Names(root), [], [])
    found.files.links, found.files.special = there.links, there.special
    for name, split, place in _listed(path) or _all(rows, annotated, root, folder):
        file = os.path.join(folder, f"{name}.xml")
        if name not in rows:
            found.faults.append(Fault(place, "annotation" if name in annotated else "name", "without an image", name))
        elif name not in annotated and missing == "report":
            found.faults.append(Fault(there.names[rows[name]], "image", "without an annotation", f"{file} is not there"))
        else:
            row = rows[name]
            found.files.add(there.names[row], there.stamps[4 * row : 4 * row + 4])
            read = _annotation(file, counted_from, difficult, found.faults) if name in annotated else Annotation()
            found.annotations.append(read)
            found.splits.append(split)
    return found


def _listed(path: str) -> list[tuple[str, str, str]]:
    """List names, splits and places from the lists of VOC's main task."""
    folder = os.path.join(path, "ImageSets", "Main")
    lists = {split: os.path.join(folder, f"{split}.txt") for split in ("train", "val", "test")}
    if not os.path.exists(lists["train"]) and os.path.exists(both := os.path.join(folder, "trainval.txt")):
        lists = {"train": both, "test": lists["test"]}
    if not os.path.exists(lists["train"]):
        return []
    return [(name, split, place) for split, file in lists.items() if os.path.exists(file) for name, place in names_of(file)]


def names_of(file: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a list, each with its place; raises ComponentError."""
    try:
        lines = files.read(file, FILE_BYTES).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError(f"{file}: cannot be read: {error}", ("path",)) from None
    for number, line in enumerate(lines, 1):
        if words := line.split():
            yield words[0], f"{file}:{number}"


def _all(rows: dict[str, int], annotated: set[str], root: str, folder: str) -> list[tuple[str, str, str]]:
    return [(name, WHOLE, os.path.join(folder, f"{name}.xml")) for name in sorted(rows.keys() | annotated)]


def _annotation(file: str, counted_from: int, difficult: bool, faults: list[Fault]) -> Annotation:
    """Read one file of XML; what cannot be read is noted, and has no boxes."""
    parse = parser()
    try:
        content = files.read(file, FILE_BYTES)
        top = parse(content)
    except Exception as error:  # what expat and its defences raise has no common base
        reason = error.strerror if isinstance(error, OSError) else str(error) or type(error).__name__
        faults.append(Fault(file, "annotation", "unreadable", str(reason)))
        return Annotation(place=file)
    size = tuple(_whole(top.findtext(f"size/{side}")) for side in ("width", "height"))
    found = Annotation(size=(size[0], size[1]), place=_at(file, content, rb"<size\b", 0))
    for number, thing in enumerate(top.findall("object")):
        place = _at(file, content, rb"<object\b", number)
        if not difficult and (thing.findtext("difficult") or "0").strip() == "1":
            continue
        try:
            corners = [float(thing.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError:
            faults.append(Fault(place, "box", NO_NUMBERS))
            continue
        if corners[0] >= corners[2] or corners[1] >= corners[3]:  # before counting from 0, which makes them a pixel wide
            faults.append(Fault(place, "box", NO_AREA, ", ".join(f"{value:g}" for value in corners)))
            continue
        left, top_edge = (value - counted_from for value in corners[:2])
        right, bottom = (value + 1 - counted_from for value in corners[2:])
        found.boxes.append(Box((left, top_edge, right, bottom), (thing.findtext("name") or "").strip(), place))
    return found


def parser() -> Callable[[bytes], Any]:
    """Import what reads XML of others; raises ComponentError where it is not installed."""
    try:
        from defusedxml.ElementTree import fromstring
    except ImportError:
        raise ComponentError("needs the extra 'detection': pip install 'dlx[detection]'") from None
    return fromstring


def _whole(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"\s*\d{1,9}\s*", text) else 0


def _at(file: str, content: bytes, mark: bytes, number: int) -> str:
    """Name a file and the line of one of its marks."""
    for count, match in enumerate(re.finditer(mark, content)):
        if count == number:
            line = content.count(b"\n", 0, match.start()) + 1
            return f"{file}:{line}"
    return file
