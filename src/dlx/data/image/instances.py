"""Masks of single things, drawn when they are asked for: polygons and run lengths as COCO has them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dlx.errors import ComponentError
from dlx.processors.image import run_lengths
from dlx.processors.image.decoding import RESIZE, Decoding

FARTHEST = 1e6  # pixels that a corner of a polygon may lie away


class Shape(Protocol):
    """The shape of one thing in its original image."""

    def draw(self) -> np.ndarray:
        """Draw it in its original image: bool `(h, w)`."""


class Drawn:
    """A shape that is there as a mask."""

    def __init__(self, mask: np.ndarray) -> None:
        self.counts, self.size = run_lengths.encode(mask), mask.shape

    def draw(self) -> np.ndarray:
        """Draw it in its original image: bool `(h, w)`."""
        return run_lengths.decode(self.counts, *self.size)


class Polygons:
    """A shape of polygons, each x1, y1, x2, y2, ...; drawn as COCO's own tools draw it."""

    def __init__(self, polygons: Sequence[Sequence[float]], height: int, width: int) -> None:
        self.polygons, self.size = polygons, (height, width)

    def draw(self) -> np.ndarray:
        """Draw it in its original image: bool `(h, w)`."""
        mask = polygon_reader()
        return mask.decode(mask.merge(mask.frPyObjects([list(map(float, one)) for one in self.polygons], *self.size))) > 0


def shape_of(written: Any, height: int, width: int) -> Shape:
    """Make the shape that a segmentation stands for; raises ValueError where it is none of an image of that size."""
    if isinstance(written, Mapping):
        if written.get("size") != [height, width]:
            raise ValueError(f"its size is {written.get('size')}, not that of the image, [{height}, {width}]")
        counts = written.get("counts")
        counts = run_lengths.unpacked(counts) if isinstance(counts, str) else counts
        if not isinstance(counts, list):
            raise ValueError("it has no run lengths")
        return Drawn(run_lengths.decode(counts, height, width))
    if not isinstance(written, list) or not written:
        raise ValueError("it is neither polygons nor run lengths")
    for polygon in written:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon has no three corners")
        if not all(type(value) in (int, float) and math.isfinite(value) and abs(value) < FARTHEST for value in polygon):
            raise ValueError("a polygon's corner is no numbers")
    return Polygons(written, height, width)


def polygon_reader() -> Any:
    """Import what draws polygons; raises ComponentError where it is not installed."""
    try:
        from faster_coco_eval.core import mask
    except ImportError:
        raise ComponentError("needs the extra 'detection': pip install 'dlx[detection]'") from None
    return mask


class Instances:
    """The shapes on each image of a split, drawn at the stored size as bool `(n, M, h, w)`; indexed as a tensor is.

    `M` is that of the fullest of the images asked for.
    """

    def __init__(self, shapes: Sequence[Sequence[Shape]], decoding: Decoding) -> None:
        self.shapes, self.decoding = shapes, decoding
        self.nbytes = sys.maxsize  # never small enough for a copy of all

    def __len__(self) -> int:
        return len(self.shapes)

    def index_select(self, axis: int, index: Tensor) -> Tensor:
        """Draw the shapes of images by their numbers."""
        return self._draw(index.tolist())

    def __getitem__(self, part: slice) -> Tensor:
        return self._draw(range(len(self))[part])

    def _draw(self, rows: Sequence[int]) -> Tensor:
        most = max((len(self.shapes[row]) for row in rows), default=0)
        masks = np.zeros((len(rows), most, *self.decoding.shape[1:]), bool)
        for masks_of, row in zip(masks, rows, strict=True):
            for mask, shape in zip(masks_of, self.shapes[row], strict=False):
                mask[:] = self._stored(shape.draw())
        return torch.from_numpy(masks)

    def _stored(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask to the stored size by the nearest pixel."""
        height, width = self.decoding.shape[1:]
        if mask.shape == (height, width):
            return mask
        picture = Image.fromarray(mask.astype(np.uint8))
        return np.asarray(RESIZE[self.decoding.resize](picture, width, height, Image.Resampling.NEAREST, 0)) > 0
