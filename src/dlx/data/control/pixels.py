"""Images that an environment gives: channels first, grey and smaller where that is asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

LEAST = 8  # pixels a side from which an array of bytes is taken for an image
CHANNELS = (1, 3, 4)
LUMINANCE = np.array([299, 587, 114], np.uint32)  # of red, green and blue, in thousandths (ITU-R BT.601)


def is_image(shape: tuple[int, ...], kind: np.dtype) -> bool:
    """Return whether observations of a shape and type are images."""
    if kind != np.uint8 or len(shape) not in (2, 3):
        return False
    sides = shape if len(shape) == 2 else shape[:2] if shape[-1] in CHANNELS else shape[1:]
    return min(sides) >= LEAST


class Pixels:
    """How images (H, W), (H, W, C) or (C, H, W) are seen: uint8 (C, H, W)."""

    def __init__(self, shape: tuple[int, ...], grey: bool, resize: int | list[int] | None) -> None:
        self.last = len(shape) == 3 and shape[-1] in CHANNELS
        channels = shape[-1] if self.last else shape[0] if len(shape) == 3 else 1
        height, width = shape if len(shape) == 2 else shape[:2] if self.last else shape[1:]
        self.grey = grey and channels == 3
        self.size = None if resize is None else (resize, resize) if isinstance(resize, int) else (resize[0], resize[1])
        self.shape = (1 if self.grey else channels, *(self.size or (height, width)))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return an image as it is seen."""
        seen = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0) if self.last else image
        if self.grey:
            seen = ((np.tensordot(LUMINANCE, seen.astype(np.uint32), 1) + 500) // 1000).astype(np.uint8)[None]
        if self.size:
            pixels = torch.from_numpy(np.ascontiguousarray(seen))[None]
            return interpolate(pixels, self.size, mode="bilinear", antialias=True)[0].numpy()
        return np.array(seen)  # a copy: some environments write into what they gave
