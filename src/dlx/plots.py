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
    names = list(dict.fromkeys(key for row in rows for key in row if "/" in key and key != "train/waiting"))
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


def reliability(counts: np.ndarray, right: np.ndarray, confidence: np.ndarray) -> Figure:
    """Draw accuracy over confidence; of each bin its samples, those right, and the sum of their confidences."""
    bins, used = len(counts), counts > 0
    accuracy, sure = right[used] / counts[used], confidence[used] / counts[used]
    left = np.arange(bins)[used] / bins
    figure = Figure(figsize=(4.6, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(left, accuracy, 1 / bins, align="edge", color="#2f6fed", edgecolor="white", label="share right")
    gap = {"facecolor": "#d9480f", "edgecolor": "#d9480f", "alpha": 0.3}
    upper.bar(left, sure - accuracy, 1 / bins, bottom=accuracy, align="edge", label="gap to the confidence", **gap)
    upper.plot([0, 1], [0, 1], color="#8a8f98", linewidth=1, linestyle="--", label="calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    error = np.abs(right - confidence).sum() / counts.sum()
    upper.set_title(f"calibration error {error:.4f}", fontsize=10)
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    lower.bar(left, counts[used] / counts.sum(), 1 / bins, align="edge", color="#8a8f98", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="share of samples")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def pixels(images: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Undo the standardisation of images (B, C, H, W): (B, H, W, 3), from 0 to 1."""
    spread, centre = (np.asarray(values).reshape(-1, 1, 1) for values in (std, mean))
    colours = np.clip(images * spread + centre, 0, 1).transpose(0, 2, 3, 1)
    return colours if colours.shape[-1] == 3 else colours[..., :1].repeat(3, -1)


def gallery(images: np.ndarray, titles: Sequence[tuple[str, str]], columns: int = 6) -> Figure:
    """Draw images (N, H, W, 3) side by side, each below what it is and what it was taken for."""
    columns = min(columns, len(images))
    lines = -(-len(images) // columns)
    height = 1.8 * images.shape[1] / images.shape[2]
    figure = Figure(figsize=(1.9 * columns, (height + 0.52) * lines), layout="constrained")
    for place, (image, (true, taken)) in enumerate(zip(images, titles, strict=True), 1):
        axes = figure.add_subplot(lines, columns, place)
        axes.imshow(image)
        axes.set_axis_off()
        looks: dict[str, Any] = {"fontsize": 8, "parse_math": False}
        axes.set_title(true, loc="left", pad=14, color="#2b8a3e", **looks)
        axes.annotate(taken, (0, 1), (0, 3), "axes fraction", "offset points", color="#c92a2a", **looks)
    return figure


def short(text: str, most: int) -> str:
    """Cut a text that is too long for its place."""
    return text if len(text) <= most else text[: most - 3] + "..."


def explained(image: np.ndarray, heat: np.ndarray, title: str) -> Figure:
    """Draw an image (H, W, 3) and, beside it, the same under the heat map (H, W) of what it was taken for."""
    width = 3.6
    figure = Figure(figsize=(2 * width, width * image.shape[0] / image.shape[1] + 0.28), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(image)
    right.imshow(image.mean(-1), cmap="gray", vmin=0, vmax=1)
    right.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.5 * heat)
    right.set_title(short(title, 40), fontsize=10, parse_math=False)
    for axes in (left, right):
        axes.set_axis_off()
    return figure


def neighbours(images: np.ndarray, distances: np.ndarray) -> Figure:
    """Draw rows of images (N, 1 + K, H, W, C), uint8: one that was generated, and its nearest with their distances (N, K)."""
    lines, columns = images.shape[:2]
    height = 1.1 * images.shape[2] / images.shape[3]
    figure = Figure(figsize=(1.15 * columns, (height + 0.2) * lines + 0.2), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for line, row in enumerate(axes):
        for place, cell in enumerate(row):
            image = images[line, place]
            cell.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
            cell.set_axis_off()
            title = f"{distances[line, place - 1]:.3f}" if place else "generated" if line == 0 else ""
            cell.set_title(title, fontsize=8, pad=3, color="#2b8a3e" if place else "#c92a2a")
    return figure
