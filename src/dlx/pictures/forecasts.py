"""Pictures of forecasts: bands over what came to pass, error by horizon, residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlx.pictures.figures import looks, worded

PAST, TRUTH, FORECAST = "#8a8f98", "#2b8a3e", "#2f6fed"
SHOWN, FEWEST = 3, 24  # horizons of the past that stand before a forecast, and steps of it that are drawn at least


class Panel(NamedTuple):
    """One forecast: history (L,), value (H,), quantiles (H, Q) of ascending levels, truth (H,) and times (L + H,), if any."""

    title: str
    history: np.ndarray
    value: np.ndarray
    bands: np.ndarray | None = None
    levels: Sequence[float] = ()
    truth: np.ndarray | None = None
    times: np.ndarray | None = None


def forecasts(panels: Sequence[Panel], title: str = "") -> Figure:
    """Draw forecasts with their bands, and what came to pass where it is known, each behind the end of its history."""
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns + 2 * (columns == 1), 2.4 * lines + 0.8), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        _draw(axes, panel)
        axes.set_title(worded(panel.title), **looks(fontsize=9))
        axes.spines[["top", "right"]].set_visible(False)
    _legend(figure, title)
    return figure


def _legend(figure: Figure, title: str = "") -> None:
    """Say what is what above the panels: within one it would lie on a line sooner or later."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    small = {"frameon": False, "fontsize": 8, "title_fontsize": 9}
    figure.legend(handles, labels, title=title, ncols=len(labels), loc="outside upper center", **small)


def _draw(axes: Any, panel: Panel) -> None:
    horizon, length = len(panel.value), len(panel.history)
    shown = min(max(SHOWN * horizon, FEWEST), length)
    times = np.arange(1 - length, 1 + horizon) if panel.times is None else panel.times
    behind, ahead = times[length - shown : length], times[length:]
    mark = "." if horizon < 3 else None
    axes.plot(behind, panel.history[length - shown :], color=PAST, linewidth=1, label="past")
    if panel.truth is not None:
        axes.plot(ahead, panel.truth, color=TRUTH, linewidth=1.2, marker=mark, label="truth")
    axes.plot(ahead, panel.value, color=FORECAST, linewidth=1.5, marker=mark, label="forecast")
    for inner in range(0 if panel.bands is None else panel.bands.shape[1] // 2):
        assert panel.bands is not None
        low, high = panel.bands[:, inner], panel.bands[:, -1 - inner]
        label = f"quantiles {panel.levels[inner]:g} to {panel.levels[-1 - inner]:g}"
        if horizon > 1:
            axes.fill_between(ahead, low, high, color=FORECAST, alpha=0.18, linewidth=0, label=label)
        else:  # a band over one step would have no width
            axes.vlines(ahead, low, high, color=FORECAST, alpha=0.35, linewidth=4, label=label)
    if panel.times is not None:
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.tick_params(labelsize=8)


def error_by_horizon(error: np.ndarray, naive: Mapping[str, np.ndarray]) -> Figure:
    """Draw the mean absolute error at each step ahead (H,), beside those of naive forecasts."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    ahead, mark = np.arange(1, len(error) + 1), "." if len(error) < 3 else None
    for name, values in naive.items():
        axes.plot(ahead, values, linewidth=1, linestyle="--", marker=mark, label=name.replace("_", " "))
    axes.plot(ahead, error, color=FORECAST, linewidth=2, marker=mark, label="model")
    axes.set(xlabel="steps ahead", ylabel="mean absolute error, in deviations", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(figure)
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
    _legend(figure)
    return figure
