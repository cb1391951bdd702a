"""Classes of pixels, and boxes, drawn over images. It imports no torch."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from dlx.errors import one_line
from dlx.pictures.grids import Grid

OPACITY = 0.6
LEAST = 192  # pixels of the shorter side, below which an image is enlarged to have boxes drawn on it
Listed = Sequence[tuple[Sequence[Sequence[float]], Sequence[int]]]  # of each image its boxes and their classes
NOTHING = (40, 40, 40)  # pixels that count for nothing


def colours(count: int) -> np.ndarray:
    """Return a colour for each class: uint8 (count, 3), neighbours far apart."""
    wheel = [colorsys.hsv_to_rgb((0.618034 * n) % 1.0, 0.85 if n % 2 else 0.6, 0.95) for n in range(count)]
    return (np.array(wheel).reshape(count, 3) * 255).round().astype(np.uint8)


def painted(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lay the colours of classes (N, H, W), -1 for none, over images (N, H, W, 3) from 0 to 1: uint8 of the same shape."""
    wheel = np.concatenate([colours(max(int(labels.max(initial=0)), 0) + 1), [NOTHING]]).astype(float)
    return np.rint(OPACITY * wheel[labels] + (1 - OPACITY) * 255 * images).astype(np.uint8)


def beside(images: np.ndarray, truth: np.ndarray, answer: np.ndarray) -> Grid:
    """Draw images (N, H, W, 3) from 0 to 1 in rows: each as it is, under its truth, and under its answer (N, H, W)."""
    plain = np.rint(255 * images).astype(np.uint8)
    rows = np.stack((plain, painted(images, truth), painted(images, answer)), 1)
    return Grid(rows.reshape(-1, *images.shape[1:]).transpose(0, 3, 1, 2), 3)


def boxed(image: np.ndarray, boxes: Sequence[Sequence[float]], labels: Sequence[int], names: Sequence[str]) -> np.ndarray:
    """Draw boxes x1 y1 x2 y2 with their classes on an image (H, W, 3) from 0 to 1: uint8, enlarged by a whole number."""
    scale = -(-LEAST // min(image.shape[:2]))
    picture = Image.fromarray(np.rint(255 * image).astype(np.uint8).repeat(scale, 0).repeat(scale, 1))
    pen, wheel = ImageDraw.Draw(picture), colours(len(names))
    for box, label in zip(boxes, labels, strict=True):
        left, top, right, bottom = (scale * side for side in box)
        colour = tuple(int(part) for part in wheel[label])
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=colour, width=2)
        pen.text((left + 4, top + 2), one_line(names[label])[:24], fill=colour)
    return np.asarray(picture)


def boxes_beside(images: np.ndarray, truth: Listed, found: Listed, names: Sequence[str]) -> Grid:
    """Draw images (N, H, W, 3) from 0 to 1 in rows: each with its true boxes, and with those found."""
    rows = [
        boxed(image, *listed, names) for image, own, other in zip(images, truth, found, strict=True) for listed in (own, other)
    ]
    return Grid(np.stack(rows).transpose(0, 3, 1, 2), 2)
