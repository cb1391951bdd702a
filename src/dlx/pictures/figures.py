"""Figures drawn with matplotlib, without its global state; imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlx.errors import one_line

COLOURS = {"train": "#8a8f98", "val": "#2f6fed", "test": "#d9480f"}


# Fonts that have what matplotlib's own lacks; those that are installed are asked in this order.
FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans", "Arial Unicode MS", "PingFang SC",
    "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Zen Hei", "Noto Sans Arabic", "Noto Sans Devanagari",
    "Noto Emoji", "Segoe UI Symbol",
)  # fmt: skip
BEST = "#2b8a3e"
AXES = ("frames", "epoch", "step")  # what curves are drawn over: the first that every line of the log has
NO_CURVES = ("seconds", "train/waiting", *AXES)


@cache
def _fonts() -> tuple[list[str], frozenset[int]]:
    """List the families that names are drawn with, and the characters they have between them."""
    installed = {font.name: font.fname for font in font_manager.fontManager.ttflist if font.style == "normal"}
    families = [name for name in ("DejaVu Sans", *FALLBACKS) if name in installed]
    return families, frozenset(c for name in families for c in font_manager.get_font(installed[name]).get_charmap())


def worded(text: str, most: int = 40) -> str:
    """Make a name of the user's fit to be drawn: on one line, cut where it is long, and escaped where no font has a glyph."""
    drawn = _fonts()[1]
    whole = (c if ord(c) in drawn else c.encode("unicode_escape").decode() for c in one_line(text[: most + 1]))
    return short("".join(whole), most)


def looks(**more: Any) -> dict[str, Any]:
    """Give the properties of a text that holds a name of the user's: `$` is no mathematics."""
    return {"parse_math": False, "fontfamily": _fonts()[0], **more}


def curves(rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None = None) -> Figure | None:
    """Draw every number of metrics.jsonl over frames of an environment, epochs or steps, one panel a name; None without numbers.

    What the data tell of themselves, such as the returns of training's episodes, is drawn beside the evaluations' of that name.
    `best` is the best evaluation, {"step", "name", "value"}, whose place is marked.
    """
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in NO_CURVES]
    panels = list(dict.fromkeys(_phase_and_panel(name)[1] for name in names))
    if not panels:
        return None
    axis_name = next(name for name in AXES if all(name in row for row in rows))
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * lines), layout="constrained")
    at = [row[axis_name] for row in rows if best and row["step"] == best["step"]]
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        for phase, name in ((_phase_and_panel(name)[0], name) for name in names if _phase_and_panel(name)[1] == panel):
            _curve(axes, phase, [(row[axis_name], row[name]) for row in rows if row.get(name) is not None])
        if best and at:
            _mark(axes, at[0], best["value"] if best["name"] == panel else None)
        axes.set_title(worded(panel), **looks(fontsize=10))
        axes.set_xlabel(axis_name)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _phase_and_panel(name: str) -> tuple[str, str]:
    """Part a number's name; what the data tell belongs to training."""
    phase, _, panel = name.partition("/")
    return (phase, panel) if panel else ("train", name)


def _curve(axes: Any, phase: str, points: Sequence[tuple[float, float]]) -> None:
    if points:
        mark = "." if len(points) < 3 else None
        axes.plot(*zip(*points, strict=True), label=phase, color=COLOURS.get(phase), marker=mark, linewidth=1.5)


def _mark(axes: Any, place: float, value: float | None) -> None:
    """Mark the best evaluation by a line, and by a point where its number chose it."""
    axes.axvline(place, color=BEST, linewidth=1, linestyle=":", label="best")
    if value is not None:
        axes.plot([place], [value], color=BEST, marker="o", markersize=5, linestyle="none")


def matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix: shares of each true class as colour, counts as figures while they fit."""
    size = len(names)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [worded(name, 24) for name in names]
    longest = max(map(len, labels))
    side = min(3.2 + 0.45 * size, 14) + 0.07 * (longest if size <= 30 else 0)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if size <= 30:
        turned = {"rotation": 45, "ha": "right"} if longest > 3 else {"rotation": 0, "ha": "center"}
        axes.set_xticks(range(size), labels, **looks(**turned))
        axes.set_yticks(range(size), labels, **looks())
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


def precision_recall(recall: np.ndarray, curves: Mapping[str, np.ndarray]) -> Figure:
    """Draw the precision of each class over recall (R,), the surest boxes first; -1 where there is none."""
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, precision in curves.items():
        axes.plot(recall, precision.clip(min=0), linewidth=1.5, label=f"{worded(name, 24)}  {precision.clip(min=0).mean():.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("average precision at IoU 0.5", fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) <= 20:
        axes.legend(frameon=False, prop={"family": _fonts()[0], "size": 8}, loc="lower left")
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
        small = looks(fontsize=8)
        axes.set_title(worded(true, 26), loc="left", pad=14, color="#2b8a3e", **small)
        axes.annotate(worded(taken, 26), (0, 1), (0, 3), "axes fraction", "offset points", color="#c92a2a", **small)
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
    right.set_title(worded(title), **looks(fontsize=10))
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
