"""The distance between two normal distributions that have the moments of generated and of real images' features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from torch import Tensor

from dlx.metrics.generation.comparison import Kept
from dlx.metrics.generation.feature_comparison import FeatureComparison
from dlx.registry import metrics


class Moments(Kept):
    """Sums of features and of their products, in float64."""

    def __init__(self, features: Callable[[Tensor], np.ndarray]) -> None:
        self.features = features
        self.sums, self.products = np.zeros(1), np.zeros((1, 1))

    def add(self, images: Tensor) -> None:
        rows = self.features(images)
        self.sums, self.products = self.sums + rows.sum(0), self.products + rows.T @ rows
        self.count += len(rows)

    def merge(self, other: Self) -> None:
        self.sums, self.products = self.sums + other.sums, self.products + other.products
        self.count += other.count

    def mean(self) -> np.ndarray:
        """Compute the mean `(F,)`."""
        return self.sums / self.count

    def covariance(self) -> np.ndarray:
        """Compute the unbiased covariance `(F, F)`."""
        return (self.products - np.outer(self.sums, self.mean())) / (self.count - 1)


@metrics("fid")
class FrechetInceptionDistance(FeatureComparison):
    """Frechet distance between the features of generated and of real images (FID, Heusel et al. 2017); 0 is the best.

    Give `classifier`, a run or a checkpoint of dlx that classifies images: the number is `fid_MODEL`. Or give `inception`,
    torch-fidelity's file of weights: the number is `fid`, that of the literature. The fewer the images, the larger it is for
    the same model: compare numbers of one split only, and with the baseline.
    """

    label = "fid"

    def empty(self) -> Moments:
        return Moments(self.features)

    def compare(self, found: Moments, real: Moments) -> dict[str, float]:
        if min(found.count, real.count) < 2:
            return {self.name: float("nan")}
        return {self.name: frechet(found.mean(), found.covariance(), real.mean(), real.covariance())}


def frechet(mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray) -> float:
    """Compute |m - n|^2 + Tr(A + B - 2 (AB)^(1/2)) of two normal distributions (Dowson and Landau 1982).

    The trace of the root is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric: eigenvalues are real, and those that
    rounding made negative are 0. So it holds where there are fewer images than features, too.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(0)).sum()
    distance = np.square(mean - other_mean).sum() + np.trace(covariance) + np.trace(other_covariance) - 2 * common
    return max(float(distance), 0.0)
