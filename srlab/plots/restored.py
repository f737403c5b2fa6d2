"""Figures of images: in rows, and parts of them as networks restore them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.plots.style import DOUBLE, HOUSE, blank


@rc_context(HOUSE)
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]]) -> Figure:
    """Images in rows, each with its words beneath: "NAME: MORE", of many in a row on two lines."""
    columns = max(map(len, rows))
    if columns > 5:
        rows = [[(words.replace(": ", ":\n"), image) for words, image in row] for row in rows]
    side = DOUBLE / columns
    words_in = 0.25 if columns <= 5 else 0.4
    heights = [side * max(image.shape[0] / image.shape[1] for _, image in row) + words_in for row in rows]
    figure = blank(DOUBLE, sum(heights))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, rows, strict=True):
        for ax in axes[len(row) :]:
            ax.set_axis_off()
        for ax, (words, image) in zip(axes, row, strict=False):
            ax.imshow(image, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            ax.grid(visible=False)
            ax.set_anchor("N")
            ax.set_xlabel(words)
    return figure
