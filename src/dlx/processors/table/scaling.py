"""Scalings of numeric columns: fitted once, kept as JSON, applied column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

PIECE = 500_000  # numbers looked at in one call: NumPy copies what it looks at where values may be missing
Scaling = Literal["standard", "quantile", "min_max", "none"]


class Affine:
    """Subtracts an offset and divides, a column at a time; values `(N, F)`, both lists of F."""

    def __init__(self, offset: Any, divisor: Any) -> None:
        self.offset, self.divisor = np.asarray(offset, np.float64), np.asarray(divisor, np.float64)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (values - self.offset) / self.divisor

    def statistics(self) -> list[float]:
        """Tell the numbers of every column that overflow first."""
        return (self.offset + self.divisor).tolist()

    def state_dict(self) -> dict[str, Any]:
        """Tell both lists."""
        return {"kind": "affine", "offset": self.offset.tolist(), "divisor": self.divisor.tolist()}


class Quantile:
    """Maps each column to the normal distribution by its quantiles (scikit-learn's QuantileTransformer)."""

    def __init__(self, quantiles: Any, references: Any) -> None:
        from sklearn.preprocessing import QuantileTransformer

        self.transformer = QuantileTransformer(output_distribution="normal")
        self.transformer.quantiles_ = np.asarray(quantiles, np.float64)
        self.transformer.references_ = np.asarray(references, np.float64)
        self.transformer.n_quantiles_ = len(references)
        self.transformer.n_features_in_ = self.transformer.quantiles_.shape[1]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.transformer.transform(values)

    def statistics(self) -> list[float]:
        """Tell nothing: quantiles are values of the column itself."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """Tell the quantiles and the ranks they stand for."""
        fitted = self.transformer
        return {"kind": "quantile", "quantiles": fitted.quantiles_.tolist(), "references": fitted.references_.tolist()}


Scaler = Affine | Quantile


def columnwise(statistic: Callable[..., np.ndarray], values: np.ndarray) -> np.ndarray:
    """Compute a statistic of every column of `(N, F)`, as many columns at a time as make a piece."""
    step = max(PIECE // max(len(values), 1), 1)
    pieces = [statistic(values[:, start : start + step], axis=0) for start in range(0, values.shape[1], step)]
    return np.concatenate(pieces) if pieces else np.zeros(0)


def fit_scaler(scaling: Scaling, values: np.ndarray) -> Scaler:
    """Fit a scaling to the training split's values `(N, F)`; NaN stands for a missing one and does not count.

    A constant column becomes 0.
    """
    width = values.shape[1]
    if scaling == "none" or not width:
        return Affine([0.0] * width, [1.0] * width)
    if scaling == "quantile":
        return _fit_quantile(values)
    if scaling == "min_max":
        low = columnwise(np.nanmin, values)
        return Affine(low, _nonzero(columnwise(np.nanmax, values) - low, low))
    mean = columnwise(np.nanmean, values)
    return Affine(mean, _nonzero(columnwise(np.nanstd, values), mean))


def _nonzero(spread: np.ndarray, level: np.ndarray) -> np.ndarray:
    # A constant column's spread may be rounding noise rather than 0, and dividing by it would blow the noise up.
    return np.where(spread <= 10 * np.finfo(np.float64).eps * np.abs(level), 1.0, spread)


def _fit_quantile(values: np.ndarray) -> Quantile:
    from sklearn.preprocessing import QuantileTransformer

    # As many quantiles as Gorishniy et al. 2021 (Revisiting Deep Learning Models for Tabular Data): 30 rows each.
    count = min(max(len(values) // 30, 10), 1000, len(values))
    fitted = QuantileTransformer(n_quantiles=count, output_distribution="normal", subsample=None).fit(values)
    return Quantile(fitted.quantiles_, fitted.references_)


def restore_scaler(state: Mapping[str, Any]) -> Scaler:
    """Make a scaling again from its state."""
    kinds: dict[str, Any] = {"affine": Affine, "quantile": Quantile}
    return kinds[state["kind"]](**{key: value for key, value in state.items() if key != "kind"})
