"""Images with boxes as files tell of them, and what is wrong with any: all faults are told at once, before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dlx.data.image.instances import Shape, shape_of
from dlx.data.image.listing import WHOLE, Known, Listing, needed
from dlx.data.image.names import Names, counted
from dlx.data.options import Checkpoint
from dlx.errors import ComponentError

TASKS = {"boxes": "detection", "masks": "semantic_segmentation", "instances": "instance_segmentation"}
NO_AREA, NO_NUMBERS = "of no area", "that is no numbers"
OTHER_SIZE = "of another size"
EDGE = 1.0  # pixels that a box may reach over the edge of its image: it is rounded, or counted from 1, and is cut off


@dataclass(frozen=True)
class VisionFacts(Checkpoint):
    """What a checkpoint keeps, and what the task answers with."""

    task_target: str = ""

    def refuse_other(self, gives: str) -> None:
        """Raise ComponentError where the task wants one class or number an image."""
        if self.task_target in ("class", "number"):
            what = f"the task answers with one {self.task_target} an image, but the data gives {gives}"
            raise ComponentError(f"{what}; its task is {TASKS[gives]}")


class Fault(NamedTuple):
    """What is wrong: the place with file and line, with what and in what way, and what more there is to say."""

    place: str
    what: str
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what} {self.kind}{f': {self.detail}' if self.detail else ''}"


class Box(NamedTuple):
    """One box as a file has it: x1, y1, x2, y2 in pixels of the upright image, or in parts of its sides; and its place."""

    corners: tuple[float, float, float, float]
    kind: str
    place: str
    crowd: bool = False
    written: Any = None  # its shape, as COCO writes it


@dataclass
class Annotation:
    """What a file tells of one image: its boxes, and its width and height where they are told."""

    boxes: list[Box] = field(default_factory=list)
    size: tuple[int, int] | None = None
    place: str = ""


@dataclass
class BoxFiles:
    """Images, each with its annotation, and the split each lies in; `faults` are those found until now.

    `relative` says that boxes are in parts of the image's sides. `class_names` are None where the training images tell them.
    """

    files: Names
    annotations: list[Annotation]
    splits: list[str]
    class_names: Sequence[str] | None = None
    relative: bool = False
    faults: list[Fault] = field(default_factory=list)
    shapes: dict[int, list[Shape]] | None = None  # of each image those of its good boxes, where masks are wanted

    def listing(self, known: Known | None) -> Listing:
        """Settle the classes and the rows of each split; raises ComponentError where there are no images or no boxes."""
        if not self.files.names:
            told = "\n".join(f"  {fault}" for fault in self.faults[:10])
            raise ComponentError(f"{self.files.root}: no image with an annotation{chr(10) * bool(told)}{told}", ("path",))
        trained = WHOLE if WHOLE in self.splits else "train"
        pairs = zip(self.annotations, self.splits, strict=True)
        found = sorted({box.kind for annotation, split in pairs if split == trained for box in annotation.boxes} - {""})
        names = list(known.class_names) if known else list(self.class_names or found)
        if not names:
            raise ComponentError(f"{self.files.root}: the training images have no boxes", ("path",))
        if len(set(names)) < len(names):
            raise ComponentError("names a class twice", ("class_names",))
        return listing_of(self.files, names, self.splits)

    def checked(self, row: int, size: Sequence[int], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the good boxes of an image `(m, 4)` in its pixels, their classes `(m,)` and crowds `(m,)`; notes the others."""
        annotation, good, kept = self.annotations[row], [], []
        if annotation.size not in (None, (0, 0), tuple(size)):
            told = f"{annotation.size[0]}x{annotation.size[1]}" if annotation.size else ""
            detail = f"it says {told}, but {self.files.names[row]} has {size[0]}x{size[1]} once it is upright"
            self.faults.append(Fault(annotation.place, "image", OTHER_SIZE, detail))
        for box in annotation.boxes:
            corners = np.array(box.corners) * (np.tile(size, 2) if self.relative else 1)
            fault, shape = _wrong(box, corners, size, names), None
            if fault is None and self.shapes is not None:
                fault, shape = _shape(box, size)
            if fault:
                self.faults.append(fault)
            else:
                good.append((np.clip(corners, 0, np.tile(size, 2)), names.index(box.kind), box.crowd))
                kept.append(shape)
        if self.shapes is not None:
            self.shapes[row] = [shape for shape in kept if shape]
        corners = np.array([one for one, _, _ in good], np.float32).reshape(-1, 4)
        return corners, np.array([code for _, code, _ in good], np.int64), np.array([crowd for _, _, crowd in good], bool)


def _shape(box: Box, size: Sequence[int]) -> tuple[Fault | None, Shape | None]:
    try:
        return None, shape_of(box.written, size[1], size[0])
    except ValueError as error:
        return Fault(box.place, "segmentation", "that cannot be used", str(error)), None


def _wrong(box: Box, corners: np.ndarray, size: Sequence[int], names: Sequence[str]) -> Fault | None:
    told = ", ".join(f"{value:g}" for value in corners)
    if not box.kind:
        return Fault(box.place, "box", "of no class")
    if box.kind not in names:
        return Fault(
            box.place,
            "box",
            "of unknown class",
            f"'{box.kind}' is none of {', '.join(names[:10])}{', ...' * (len(names) > 10)}",
        )
    if not np.isfinite(corners).all():
        return Fault(box.place, "box", NO_NUMBERS, told)
    if corners[0] >= corners[2] or corners[1] >= corners[3]:
        return Fault(box.place, "box", NO_AREA, told)
    if corners.min() < -EDGE or corners[2] > size[0] + EDGE or corners[3] > size[1] + EDGE:
        return Fault(box.place, "box", "outside its image", f"{told} in {size[0]}x{size[1]}")
    return None


def listing_of(files: Names, class_names: Sequence[str], splits: Sequence[str]) -> Listing:
    """Give images of no class of their own as a listing."""
    if twice := [name for name, count in Counter(files.names).items() if count > 1]:
        told = counted(twice, "image stands there more than once", "images stand there more than once")
        raise ComponentError(f"{files.root}: {told}", ("path",))
    rows = np.array(splits)
    parts = {split: np.flatnonzero(rows == split) for split in dict.fromkeys(splits)}
    return Listing(files, list(class_names), np.zeros(len(files.names), np.int64), parts, labelled=False)


def parts_of(listing: Listing, known: Known | None) -> list[str]:
    """List the parts that the needed splits come from."""
    return sorted(needed(listing.splits, listing.pool, known.wanted if known else None))


def kinds_of(faults: Sequence[Fault]) -> Counter[str]:
    """Count the faults of each kind."""
    return Counter(fault.kind for fault in faults)
