"""Pictures made of images: a grid, and the film of its growth. It imports no torch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlx.storage import files

TILE = 56  # pixels: smaller images are enlarged by a whole number, so that they can be seen
BORDER = 2
FILM_MILLISECONDS = 200  # a frame; the last one stays longer
MOST_FRAME = 64 * 2**20  # bytes of a frame's file


class Grid:
    """Images uint8 (N, C, H, W) laid side by side, row by row."""

    def __init__(self, images: np.ndarray, columns: int) -> None:
        self.images, self.columns = np.asarray(images), min(columns, len(images))

    def array(self) -> np.ndarray:
        """Lay the images out: uint8 (height, width, 3)."""
        scale = max(1, TILE // self.images.shape[2])
        tiles = [_tile(image, scale) for image in self.images]
        height, width = tiles[0].shape[0] + BORDER, tiles[0].shape[1] + BORDER
        rows = -(-len(tiles) // self.columns)
        page = np.full((rows * height + BORDER, self.columns * width + BORDER, 3), 255, np.uint8)
        for number, tile in enumerate(tiles):
            top, left = (number // self.columns) * height + BORDER, (number % self.columns) * width + BORDER
            page[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        return page

    def savefig(self, path: Any, /) -> None:
        """Write a PNG, into a file or a stream of bytes."""
        Image.fromarray(self.array()).save(path, format="PNG")


def _tile(image: np.ndarray, scale: int) -> np.ndarray:
    colours = np.broadcast_to(image, (3, *image.shape[1:])) if len(image) == 1 else image
    return colours.transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)


def save(image: np.ndarray, path: Any) -> None:
    """Write one image uint8 (C, H, W) as it is, as PNG, to a file by its path or open."""
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(path, format="PNG")


def film(frames: Sequence[Path], path: Path) -> None:
    """Join PNG pictures of one size into a GIF that repeats; raises OSError."""
    images = [_frame(frame) for frame in frames]
    times = [FILM_MILLISECONDS] * (len(images) - 1) + [10 * FILM_MILLISECONDS]
    content = io.BytesIO()
    images[0].save(content, format="GIF", save_all=True, append_images=images[1:], duration=times, loop=0)
    files.write(path, content.getvalue())


def _frame(file: Path) -> Image.Image:
    with Image.open(io.BytesIO(files.read(file, MOST_FRAME)), formats=("PNG",)) as image:
        return image.convert("RGB")


def films(folder: Path) -> list[Path]:
    """Join what each folder within `folder` holds, in the order of the names, into a film beside it; give the films."""
    made = []
    for series in sorted(place for place in folder.glob("*") if place.is_dir() and not place.is_symlink()):
        frames = sorted(series.glob("step-*.png"))
        if len(frames) > 1:
            film(frames, series.with_suffix(".gif"))
            made.append(series.with_suffix(".gif"))
    return made
