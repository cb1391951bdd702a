"""Boxes as COCO keeps them: one JSON file a split."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.core import Source
from dlx.data.image.annotated import NO_NUMBERS, Annotation, Box, BoxFiles, Fault, VisionFacts
from dlx.data.image.box_assembly import assemble_boxes
from dlx.data.image.instances import polygon_reader
from dlx.data.image.listing import WHOLE
from dlx.data.image.names import Names, stamp
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.options import Batching
from dlx.errors import ComponentError
from dlx.processors.image.boxes import BoxProcessor
from dlx.registry import sources
from dlx.registry.types import DataPath
from dlx.storage import files

FILE_BYTES = 2**31  # of one file of JSON; COCO's own have 0.5 GB
NOT_THERE = (-1, -1, -1, -1)


@sources("coco_boxes")
def coco_boxes(
    seed: int,
    kept: VisionFacts,
    *,
    train: DataPath,
    val_file: DataPath | None = None,
    test_file: DataPath | None = None,
    root: DataPath | None = None,
    class_names: list[str] | None = None,
    masks: bool = False,
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
) -> Source:
    """Boxes as COCO keeps them: a JSON file a split, with images, annotations and categories.

    Files of images are looked for below `root`, or else beside the JSON, and there also in a folder that is named as the end
    of the JSON's name (train2017 for instances_train2017.json). Splits without a file are drawn from the training images.
    Classes are the categories of the training file in the order of their ids, unless `class_names` lists them. Boxes marked
    `iscrowd` come with the word `crowd`; with `masks: true` each box has the mask that its polygons or run lengths stand for
    (extra: detection). Faults are told together, and under on_bad: skip the boxes and images that have them
    are left out. All else is as for image_folder.
    """
    kept.refuse_other("instances" if masks else "boxes")
    wanted = preparation(kept, images, BoxProcessor)
    named = {"train": train, "val": val_file, "test": test_file}
    given = {split: file for split, file in named.items() if file is not None}
    if len(given) == 1:
        given = {WHOLE: train}
    found = read(given, root)
    found.class_names, found.shapes = class_names or found.class_names, {} if masks else None
    if masks:
        polygon_reader()
    return assemble_boxes(seed, found, wanted, drawn, batching)


def read(given: Mapping[str, str], root: str | None) -> BoxFiles:
    """Read the files of splits; raises ComponentError where one is no COCO JSON."""
    found = BoxFiles(Names(root or os.path.dirname(next(iter(given.values())))), [], [])
    for split, file in given.items():
        content = _content(file)
        categories = {one["id"]: one["name"] for one in content["categories"]}
        if found.class_names is None:
            found.class_names = [categories[code] for code in sorted(categories)]
        by_image: dict[Any, list[dict[str, Any]]] = {}
        for one in content["annotations"]:
            by_image.setdefault(_key(one.get("image_id")), []).append(one)
        _refuse_twice(content["images"], file)
        for image in content["images"]:
            name = _file(image, file, found, split)
            boxes = by_image.pop(_key(image.get("id")), [])
            if name is not None:
                place = f"{file}: image {image.get('id')}"
                annotation = Annotation([], (_whole(image.get("width")), _whole(image.get("height"))), place)
                annotation.boxes = [box for one in boxes if (box := _box(one, file, categories, found.faults))]
                found.annotations.append(annotation)
        lonely = ((one.get("id"), code) for code, some in by_image.items() for one in some)
        found.faults += [Fault(f"{file}: annotation {own}", "box", "without an image", f"image {code}") for own, code in lonely]
    return found


def _content(file: str) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(files.read(file, FILE_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ComponentError(f"{file}: cannot be read: {error}", ("train",)) from None
    for key in ("images", "annotations", "categories"):
        part = content.get(key) if isinstance(content, dict) else None
        if not isinstance(part, list) or not all(isinstance(one, dict) for one in part):
            raise ComponentError(f"{file}: has no list of {key}, so it is no COCO JSON", ("train",))
    known = [(one.get("id"), one.get("name")) for one in content["categories"]]
    if not all(type(code) is int and isinstance(name, str) and name for code, name in known):
        raise ComponentError(f"{file}: a category has no id that is a number, or no name", ("train",))
    for place, what in ((0, "id"), (1, "name")):
        if len({one[place] for one in known}) < len(known):
            raise ComponentError(f"{file}: two categories have the same {what}", ("train",))
    return content


def _refuse_twice(images: Sequence[Mapping[str, Any]], file: str) -> None:
    if twice := [code for code, count in Counter(_key(image.get("id")) for image in images).items() if count > 1]:
        raise ComponentError(f"{file}: two images have the id {twice[0]}", ("train",))


def _key(value: Any) -> int | str:
    """Give an id as it is, and whatever else stands in its place as text."""
    return value if type(value) in (int, str) else repr(value)[:80]


def _file(image: Mapping[str, Any], file: str, found: BoxFiles, split: str) -> str | None:
    """Enter an image file, whose name must lead nowhere else; None where it cannot be."""
    name, place = image.get("file_name"), f"{file}: image {image.get('id')}"
    if not isinstance(name, str) or not name or os.path.isabs(name) or ".." in name.split("/") or "\0" in name:
        found.faults.append(Fault(place, "image", "of no file name that is used", repr(name)[:80]))
        return None
    ending = os.path.splitext(os.path.basename(file))[0].rpartition("_")[2]
    beside = os.path.dirname(file)
    tried = [
        found.files.root,
        *(os.path.join(top, ending) for top in (found.files.root, beside, os.path.dirname(beside))),
        beside,
    ]
    full = next((one for top in tried if os.path.isfile(one := os.path.join(top, name))), os.path.join(tried[0], name))
    known = os.path.relpath(full, found.files.root)
    found.files.add(known, stamp(os.stat(full)) if os.path.exists(full) else NOT_THERE)
    found.splits.append(split)
    return known


def _box(one: Mapping[str, Any], file: str, categories: Mapping[Any, str], faults: list[Fault]) -> Box | None:
    place, given = f"{file}: annotation {one.get('id')}", one.get("bbox")
    if not isinstance(given, list) or len(given) != 4 or not all(type(value) in (int, float) for value in given):
        faults.append(Fault(place, "box", NO_NUMBERS, repr(given)[:80]))
        return None
    code = one.get("category_id")
    kind = categories.get(code, f"category {code}") if type(code) is int else "no category"
    try:
        left, top, width, height = map(float, given)
    except OverflowError:
        left = top = width = height = math.inf
    return Box((left, top, left + width, top + height), kind, place, one.get("iscrowd") == 1, one.get("segmentation"))


def _whole(value: Any) -> int:
    return value if type(value) is int else 0
