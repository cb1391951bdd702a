"""Figures drawn with matplotlib, without its global state; imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = {"train": "#8a8f98", "val": "#2f6fed", "test": "#d9480f"}


def curves(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw every number of metrics.jsonl over the epochs, or the steps, one panel a name; None without numbers."""
    names = list(dict.fromkeys(key for row in rows for key in row if "/" in key))
    panels = list(dict.fromkeys(name.partition("/")[2] for name in names))
    if not panels:
        return None
    axis_name = "epoch" if all("epoch" in row for row in rows) else "step"
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * lines), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        for name in names:
            phase, _, rest = name.partition("/")
            points = [(row[axis_name], row[name]) for row in rows if row.get(name) is not None]
            if rest == panel and points:
                mark = "." if len(points) < 3 else None
                axes.plot(*zip(*points, strict=True), label=phase, color=COLOURS.get(phase), marker=mark, linewidth=1.5)
        axes.set_title(panel, fontsize=10)
        axes.set_xlabel(axis_name)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure


def matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: shares of each true class as colour, counts as figures while they fit."""
    size = len(names)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(3.2 + 0.45 * size, 14)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if size <= 30:
        axes.set_xticks(
            range(size),
            names,
            rotation=45 if max(map(len, names)) > 3 else 0,
            ha="right" if max(map(len, names)) > 3 else "center",
        )
        axes.set_yticks(range(size), names)
        for row, column in np.argwhere(counts > 0):
            tone = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=tone, fontsize=8)
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
    return figure
