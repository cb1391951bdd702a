"""Boxes as YOLO keeps them: a text file an image, a line a box."""

from __future__ import annotations

import os
from collections.abc import Sequence

import yaml

from dlx.core import Source
from dlx.data.image.annotated import NO_NUMBERS, Annotation, Box, BoxFiles, Fault, VisionFacts
from dlx.data.image.box_assembly import assemble_boxes
from dlx.data.image.listing import WHOLE
from dlx.data.image.names import Names, walk
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.image.voc_boxes import FILE_BYTES, Missing
from dlx.data.options import Batching
from dlx.data.splits import split_named
from dlx.errors import ComponentError
from dlx.processors.image.boxes import BoxProcessor
from dlx.processors.image.decoding import ENDINGS
from dlx.registry import sources
from dlx.registry.types import DataPath
from dlx.storage import files

IMAGES, LABELS = "images", "labels"
LISTS = ("data.yaml", "dataset.yaml", "data.yml", "classes.txt", "obj.names", os.path.join(LABELS, "classes.txt"))
PARTS = 5  # of a line: class, middle x and y, width and height


@sources("yolo_boxes")
def yolo_boxes(
    seed: int,
    kept: VisionFacts,
    *,
    path: DataPath,
    class_names: list[str] | None = None,
    missing: Missing = "report",
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
) -> Source:
    """Boxes as YOLO keeps them: images/train/NAME.jpg and labels/train/NAME.txt, or train/images and train/labels.

    A line is a box: the number of its class, counted from 0, and its middle, width and height in parts of the image's sides.
    Where no folder is named after a split, splits are drawn. Names of the classes come from `class_names`, or from data.yaml
    or classes.txt in the folder. Faults are told together, and under on_bad: skip the boxes and images that have them are left
    out; `missing: empty` takes images without a text file as such of no box. All else is as for image_folder.
    """
    kept.refuse_other("boxes")
    wanted = preparation(kept, images, BoxProcessor)
    found = read(path, class_names or class_list(path), missing)
    return assemble_boxes(seed, found, wanted, drawn, batching)


def class_list(path: str) -> list[str]:
    """Read the names of the classes from the file that is there; raises ComponentError."""
    for name in LISTS:
        file = os.path.join(path, name)
        if os.path.exists(file):
            names = _class_list(file)
            if names and len(set(names)) == len(names):
                return names
            raise ComponentError(f"{file}: has no list of different class names; give class_names", ("class_names",))
    raise ComponentError(
        f"{path}: has none of {', '.join(LISTS)}; give class_names, in the order of their numbers", ("class_names",)
    )


def _class_list(file: str) -> list[str]:
    try:
        text = files.read(file, FILE_BYTES).decode()
        if file.endswith(".txt") or file.endswith(".names"):
            return [line.strip() for line in text.splitlines() if line.strip()]
        names = (yaml.safe_load(text) or {}).get("names")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, RecursionError) as error:
        raise ComponentError(f"{file}: cannot be read: {error}", ("path",)) from None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[code] for code in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        return []  # what is no text may, written out, be longer than any memory
    return list(map(str, names))


def read(path: str, class_names: Sequence[str], missing: Missing) -> BoxFiles:
    """Read the boxes of all images below a folder, and tell of text files without an image."""
    there = walk(path, ENDINGS)
    found = BoxFiles(Names(path), [], [], class_names, relative=True)
    found.files.links, found.files.special = there.links, there.special
    used = set()
    for row, name in enumerate(there.names):
        label = beside(name, IMAGES, LABELS)
        if label is None:
            continue
        file = os.path.join(path, os.path.splitext(label)[0] + ".txt")
        used.add(file)
        is_there = os.path.exists(file)
        if not is_there and missing == "report":
            found.faults.append(Fault(os.path.join(path, name), "image", "without an annotation", f"{file} is not there"))
            continue
        found.files.add(name, there.stamps[4 * row : 4 * row + 4])
        found.annotations.append(_annotation(file, class_names, found.faults) if is_there else Annotation(place=file))
        found.splits.append(split_of(name))
    labels = (name for name in walk(path, [".txt"]).names if beside(name, LABELS, IMAGES) and not name.endswith("classes.txt"))
    lonely = (os.path.join(path, name) for name in labels if os.path.join(path, name) not in used)
    found.faults += [Fault(file, "annotation", "without an image") for file in lonely]
    return found


def beside(name: str, here: str, there: str) -> str | None:
    """Name what lies at the same place in another folder; None where the file is in none of that kind."""
    parts = name.split("/")
    if here not in parts[:-1]:
        return None
    last = len(parts) - 2 - parts[-2::-1].index(here)
    return "/".join([*parts[:last], there, *parts[last + 1 :]])


def split_of(name: str) -> str:
    """Tell the split whose name one of the folders has that a file lies in."""
    return next((split for part in name.split("/")[:-1] if (split := split_named(part))), WHOLE)


def _annotation(file: str, names: Sequence[str], faults: list[Fault]) -> Annotation:
    try:
        lines = files.read(file, FILE_BYTES).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(file, "annotation", "unreadable", str(error)))
        return Annotation(place=file)
    found = Annotation(place=file)
    for number, line in enumerate(lines, 1):
        if line.strip():
            box = _box(line, f"{file}:{number}", names)
            if isinstance(box, Box):
                found.boxes.append(box)
            else:
                faults.append(box)
    return found


def _box(line: str, place: str, names: Sequence[str]) -> Box | Fault:
    words = line.split()
    if len(words) != PARTS:
        return Fault(place, "box", NO_NUMBERS, f"it has {len(words)} parts, not class, middle x and y, width and height")
    try:
        code, (x, y, width, height) = int(words[0]), map(float, words[1:])
    except ValueError:
        return Fault(place, "box", NO_NUMBERS, line.strip()[:80])
    if not 0 <= code < len(names):
        return Fault(place, "box", "of unknown class", f"{code}, but the {len(names)} classes are counted from 0")
    return Box((x - width / 2, y - height / 2, x + width / 2, y + height / 2), names[code], place)
