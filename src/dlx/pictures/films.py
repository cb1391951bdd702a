"""Films as pictures that move: PNG files of several frames (APNG), which every browser shows. It imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

LAST = 1500  # milliseconds that the last frame stays, before the film begins anew


class MovingPicture:
    """Frames uint8 (H, W, 3) of one size, each seen for some milliseconds."""

    def __init__(self, frames: Sequence[np.ndarray], milliseconds: float) -> None:
        self.frames, self.milliseconds = frames, milliseconds

    def savefig(self, path: Any, /) -> None:
        """Write an APNG, into a file or a stream of bytes."""
        first, *others = (Image.fromarray(frame) for frame in self.frames)
        times = [self.milliseconds] * len(others) + [LAST]
        first.save(path, format="PNG", save_all=True, append_images=others, duration=times, loop=0)
