"""Whose eyes images are compared with: a classifier that dlx trained, or the Inception of the published numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from dlx.errors import ComponentError
from dlx.metrics.generation import inception as published
from dlx.metrics.generation.comparison import Comparison, Training
from dlx.registry.types import SomePath

Trained = Callable[[str], Any]  # the fact `trained`


class FeatureComparison(Comparison):
    """A comparison of the features that a network sees in images; the number is named after any network but Inception."""

    label: str
    higher_is_better = False

    def __init__(
        self,
        channel_mean: list[float],
        channel_std: list[float],
        trained: Trained,
        training: Training | None = None,
        class_counts: list[int] | None = None,
        *,
        classifier: SomePath | None = None,
        inception: SomePath | None = None,
    ) -> None:
        if (classifier is None) == (inception is None):
            one = "says by whose features images are compared: classifier, a run of dlx, or inception, a file of weights"
            raise ComponentError(f"{one}; give " + ("one of them" if classifier is None else "only one of them"))
        self.network: Any = network(trained, classifier) if classifier is not None else _inception(inception)
        self.name = self.label if classifier is None else f"{self.label}_{self.network.name}"
        super().__init__(channel_mean, channel_std, training, class_counts)

    def features(self, images: Tensor) -> np.ndarray:
        """Compute float64 `(B, F)`."""
        return self.network.features(images).double().numpy()


def network(trained: Trained, path: str) -> Any:
    """Load the classifier that the choice `classifier` names."""
    try:
        return trained(path)
    except ComponentError as error:
        raise ComponentError(error.message, ("classifier",)) from None


def _inception(path: Any) -> Any:
    try:
        return published.load(path)
    except ComponentError as error:
        raise ComponentError(error.message, ("inception",)) from None
