"""Pictures of forecasts: bands over what came to pass, error by horizon, residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dlx.pictures.figures import worded

PAST, TRUTH, FORECAST = "#8a8f98", "#2b8a3e", "#2f6fed"
SHOWN = 3  # horizons of the past that stand before a forecast, at most


class Panel(NamedTuple):
    """One forecast: history (L,), truth (H,), value (H,), and quantiles (H, Q), ascending, where there are some."""

    title: str
    history: np.ndarray
    truth: np.ndarray
    value: np.ndarray
    bands: np.ndarray | None


def forecasts(panels: Sequence[Panel]) -> Figure:
    """Draw forecasts with their bands over what came to pass, each behind the end of its history."""
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 2.4 * lines), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        horizon = len(panel.value)
        past = panel.history[-max(SHOWN * horizon, 24) :]
        ahead = np.arange(1, horizon + 1)
        mark = "." if horizon < 3 else None
        axes.plot(np.arange(1 - len(past), 1), past, color=PAST, linewidth=1, label="past")
        axes.plot(ahead, panel.truth, color=TRUTH, linewidth=1.2, marker=mark, label="truth")
        axes.plot(ahead, panel.value, color=FORECAST, linewidth=1.5, marker=mark, label="forecast")
        for inner in range(0 if panel.bands is None else panel.bands.shape[1] // 2):
            assert panel.bands is not None
            low, high = panel.bands[:, inner], panel.bands[:, -1 - inner]
            axes.fill_between(ahead, low, high, color=FORECAST, alpha=0.18, linewidth=0)
        axes.set_title(worded(panel.title), fontsize=9, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        if place == 1:
            axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def error_by_horizon(error: np.ndarray, naive: Mapping[str, np.ndarray]) -> Figure:
    """Draw the mean absolute error at each step ahead (H,), beside those of naive forecasts."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    ahead, mark = np.arange(1, len(error) + 1), "." if len(error) < 3 else None
    for name, values in naive.items():
        axes.plot(ahead, values, linewidth=1, linestyle="--", marker=mark, label=name.replace("_", " "))
    axes.plot(ahead, error, color=FORECAST, linewidth=2, marker=mark, label="model")
    axes.set(xlabel="steps ahead", ylabel="mean absolute error, in deviations", ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def residuals(edges: np.ndarray, counts: np.ndarray, mean: float, deviation: float) -> Figure:
    """Draw how errors are spread, by the counts within edges (N + 1), beside a normal distribution as wide."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    width = edges[1] - edges[0]
    density = counts / max(counts.sum(), 1) / width
    axes.bar(edges[:-1], density, width, align="edge", color=FORECAST, alpha=0.5, label="forecast less truth")
    if deviation > 0:
        normal = np.exp(-(((edges - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
        axes.plot(edges, normal, color=PAST, linewidth=1.2, label=f"normal, mean {mean:.3g}, deviation {deviation:.3g}")
    axes.set(xlabel="error, in deviations of the training part", ylabel="density")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
