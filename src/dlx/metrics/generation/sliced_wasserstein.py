"""How far the pixels of generated images are from those of real ones, as distributions; no network is asked."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from dlx.metrics.generation.comparison import Comparison, Rows, Training
from dlx.registry import metrics


@metrics("sliced_wasserstein")
class SlicedWasserstein(Comparison):
    """Sliced Wasserstein distance between the pixels of generated and real images, from 0 to 1 (Bonneel et al. 2015).

    Images, as vectors of pixels from 0 to 1, are projected onto `directions` drawn evenly from the unit sphere by the
    experiment's seed. The number is the root mean square, over the directions, of the exact Wasserstein distance W1 between
    the two sets of projections (Rabin et al. 2011). All images brighter by c are about c away.
    """

    higher_is_better = False

    def __init__(
        self,
        input_shape: list[int],
        channel_mean: list[float],
        channel_std: list[float],
        seed: int,
        training: Training | None = None,
        class_counts: list[int] | None = None,
        *,
        directions: PositiveInt = 256,
    ) -> None:
        draw = torch.Generator().manual_seed(seed)
        shape = (int(np.prod(input_shape)), directions)
        self.directions = torch.nn.functional.normalize(torch.randn(shape, generator=draw, dtype=torch.float64), dim=0).numpy()
        super().__init__(channel_mean, channel_std, training, class_counts)

    def project(self, images: Tensor) -> np.ndarray:
        """Project images onto the directions: `(B, directions)`."""
        # In float64, so that the number is the same for any batch size.
        return images.cpu().flatten(1).double().numpy() / 255 @ self.directions

    def empty(self) -> Rows:
        return Rows(self.project)

    def compare(self, found: Rows, real: Rows) -> dict[str, float]:
        if not found.count or not real.count:
            return {"sliced_wasserstein": float("nan")}
        distances = wasserstein(found.values(), real.values())
        return {"sliced_wasserstein": float(np.sqrt(np.square(distances).mean()))}


def wasserstein(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute W1 between the columns of `(N, K)` and those of `(M, K)`: `(K,)`.

    It is the mean distance of the quantile functions, which are constant between the multiples of 1/N and 1/M.
    """
    n, m = len(one), len(other)
    edges = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)  # in parts of 1/NM
    widths, starts = np.diff(edges) / (n * m), edges[:-1]
    apart = np.sort(one, axis=0)[starts // m] - np.sort(other, axis=0)[starts // n]
    return widths @ np.abs(apart, out=apart)
