"""How much more alike images of one kind, generated or real, are than one of each, by a kernel of their features."""

from __future__ import annotations

import numpy as np

from dlx.metrics.generation.comparison import Rows
from dlx.metrics.generation.feature_comparison import FeatureComparison
from dlx.registry import metrics

BLOCK = 1024  # rows of the kernel's matrix at a time


@metrics("kid")
class KernelInceptionDistance(FeatureComparison):
    """Squared maximum mean discrepancy of generated and real images' features (KID, Binkowski et al. 2018); 0 is the best.

    The kernel is (x.y / F + 1)^3 of F features. The estimate is the unbiased one, so it may fall below 0, and it is over all
    pairs: published ones are means over random subsets of 1,000, which estimate the same with more noise. Unlike FID, it
    means the same for any number of images. Choices and names are those of `fid`: `kid` or `kid_MODEL`.
    """

    label = "kid"

    def empty(self) -> Rows:
        return Rows(self.features)

    def compare(self, found: Rows, real: Rows) -> dict[str, float]:
        if min(found.count, real.count) < 2:
            return {self.name: float("nan")}
        one, other = found.values(), real.values()
        within = _mean_within(one) + _mean_within(other)
        return {self.name: within - 2 * _sum(one, other) / (len(one) * len(other))}


def _sum(one: np.ndarray, other: np.ndarray) -> float:
    """Sum the kernel over all pairs of rows of `(N, F)` and `(M, F)`."""
    parts = (one[start : start + BLOCK] @ other.T for start in range(0, len(one), BLOCK))
    return float(sum(_kernel(part, one.shape[1]).sum() for part in parts))


def _mean_within(rows: np.ndarray) -> float:
    """Average the kernel over all pairs of different rows of `(N, F)`."""
    same = _kernel(np.square(rows).sum(1), rows.shape[1]).sum()
    return float((_sum(rows, rows) - same) / (len(rows) * (len(rows) - 1)))


def _kernel(products: np.ndarray, size: int) -> np.ndarray:
    shifted = products / size + 1
    return shifted * shifted * shifted  # a power is ten times as slow
