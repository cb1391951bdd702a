"""The end of a series, which a forecast goes on from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlx.processors.series.times import Times


@dataclass(frozen=True)
class Window:
    """The end of a series, from which a forecast goes on: values (L, V), known (L + H, K), L + H times, the H as they are written."""

    name: str
    values: np.ndarray
    known: np.ndarray
    times: Times
    ahead: list[str]
    file: str
