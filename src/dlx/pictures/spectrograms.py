"""Pictures of sound: features over time, with what was heard when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dlx.pictures.figures import worded

WORD = "#e8590c"


class Heard(NamedTuple):
    """A recording: features (T, F), seconds a step, and words with the seconds that they were heard from and to."""

    title: str
    features: np.ndarray
    step: float
    words: Sequence[tuple[str, float, float]]


def spectrograms(panels: Sequence[Heard], columns: int = 1) -> Figure:
    """Draw features over time, the lowest frequency below, with the words where they were heard."""
    columns = max(1, min(columns, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(9 if columns == 1 else 3.2 * columns, 2.3 * lines), layout="constrained")
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, place)
        steps, size = panel.features.shape
        axes.imshow(
            panel.features.T, origin="lower", aspect="auto", extent=(0, steps * panel.step, 0, size), cmap="viridis",
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(worded(panel.title), fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
        if place > len(panels) - columns:
            axes.set_xlabel("seconds", fontsize=8)
        for number, (word, start, end) in enumerate(panel.words):
            height = size * (0.92 if number % 2 else 0.80)
            axes.plot((start, end), (height, height), color=WORD, linewidth=3, solid_capstyle="butt")
            axes.text(
                (start + end) / 2,
                height,
                worded(word, 16),
                color="white",
                fontsize=8,
                ha="center",
                va="bottom",
                parse_math=False,
            )
    return figure
