"""Whether generated images differ among themselves as the data's do."""

from __future__ import annotations

from typing import Self

import numpy as np
from torch import Tensor

from dlx.metrics.generation.comparison import Comparison, Kept
from dlx.registry import metrics


class PixelSums(Kept):
    """Sums of pixels, and of their squares, in whole numbers: exact in any order."""

    def __init__(self) -> None:
        self.sums, self.squares = np.zeros(1, np.int64), 0

    def add(self, images: Tensor) -> None:
        pixels = images.cpu().flatten(1).numpy()
        self.sums = self.sums + pixels.sum(0, dtype=np.int64)
        self.squares += int(np.square(pixels, dtype=np.int32).sum(dtype=np.int64))
        self.count += len(pixels)

    def merge(self, other: Self) -> None:
        self.sums, self.squares = self.sums + other.sums, self.squares + other.squares
        self.count += other.count

    def spread(self) -> float:
        """Compute the mean squared distance between two different images of the set; 0 where there are not two."""
        # The sum over all pairs of |x - y|^2 is n sum |x|^2 - |sum x|^2, whose whole numbers may need more than 64 bits.
        apart = self.count * self.squares - sum(int(value) ** 2 for value in self.sums)
        return 2 * apart / max(self.count * (self.count - 1), 1)


@metrics("diversity")
class Diversity(Comparison):
    """Mean squared pixel distance between two generated images over that between two real ones.

    1: as varied as the data. Near 0: collapse, all images are alike. Noise varies too: it says nothing of how they look.
    """

    def empty(self) -> PixelSums:
        return PixelSums()

    def compare(self, found: PixelSums, real: PixelSums) -> dict[str, float]:
        of_real = real.spread()
        return {"diversity": found.spread() / of_real if of_real else float("nan")}
