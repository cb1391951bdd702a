"""Where in a text a model looks for each piece of its answer, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlx.pictures.figures import looks, worded

CELL, LONGEST = 0.24, 20.0  # inches of a piece, and of the longest side of the cells
NAMED = 80  # pieces that are written beside their cells
BLANK = "␣"


def alignment(weights: np.ndarray, source: Sequence[str], output: Sequence[str]) -> Figure:
    """Draw how much each piece of an answer looks at each of its source: weights (T, S), the strongest darkest."""
    margin = 0.6 + 0.09 * max((len(worded(piece, 16)) for piece in (*source, *output)), default=0)
    width, height = (min(LONGEST, max(1.2, CELL * len(pieces))) for pieces in (source, output))
    figure = Figure(figsize=(width + margin + 1.0, height + margin), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Blues", vmin=0, aspect="auto", interpolation="nearest")
    figure.colorbar(image, ax=axes, label="weight", fraction=0.05, shrink=0.9)
    for axis, pieces in ((axes.xaxis, source), (axes.yaxis, output)):
        if len(pieces) > NAMED:
            axis.set_major_locator(MaxNLocator(integer=True))
            continue
        names = [BLANK if piece.isspace() else worded(piece, 16) for piece in pieces]
        turned = {"rotation": 90} if axis is axes.xaxis and max(map(len, names), default=0) > 1 else {}
        axis.set_ticks(range(len(names)), names, **looks(fontsize=9, **turned))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set(xlabel="source", ylabel="output")
    return figure
