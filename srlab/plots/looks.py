"""One place of an image: where several mechanisms look from it, and what each of them writes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.images import worded
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import LETTERS, caption

#: Colours of pixels that are seen, and of those with the most weight.
SEEN, MOST = np.array([75, 135, 215]), np.array([255, 150, 0])
#: Square points of a disc on a pixel with all weight, and the share from which a pixel has a disc.
DISC, LEAST = 64, 0.05
#: Marks around a tile and its copy, which differ in shape for those who see no red and green.
MARKS = (("o", "#ff3b30"), ("s", "#22c04a"))


class Panel(NamedTuple):
    """A picture, with the query's weights if there are some, and below it a cut, each with words."""

    title: str
    picture: UInt8[np.ndarray, "h w 3"]
    weights: Float[np.ndarray, "h w"] | None
    words: str
    cut: UInt8[np.ndarray, "_a _b 3"]
    result: str


def lit(picture: UInt8[np.ndarray, "h w 3"], weights: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Colour a pale grey picture: blue where a pixel is seen (weight above 0), orange by the root of its weight."""
    pale = (150 + 0.35 * picture @ np.array([0.3, 0.6, 0.1]))[..., None]
    seen, share = (weights > 0)[..., None], weights[..., None] / max(16 / weights.size, weights.max())
    blue = 0.55 * pale + 0.45 * SEEN
    return np.where(seen, blue + (MOST - blue) * np.sqrt(share), pale).round().astype(np.uint8)


def mark(ax: Axes, at: tuple[int, int], copy: tuple[int, int], weights: Float[np.ndarray, "h w"] | None = None) -> None:
    """Draw a ring around a 2×2 tile, a square around its copy (row, column of their first pixels), discs on weights.

    A disc has the area of its pixel's weight, from `LEAST` on.
    """
    if weights is not None:
        rows, cols = np.nonzero(weights > LEAST)
        disc = {"color": MOST / 255, "edgecolors": "black", "linewidths": 0.7}
        ax.scatter(cols, rows, s=DISC * weights[rows, cols], zorder=3, **disc)
    for (row, col), (shape, colour) in zip((at, copy), MARKS, strict=True):
        for ink, line in (("white", 3.0), (colour, 1.6)):
            ax.plot(col + 0.5, row + 0.5, shape, ms=11, mfc="none", mec=ink, mew=line, zorder=4)


@rc_context(HOUSE)
def place(
    panels: Sequence[Panel],
    at: tuple[int, int],
    copy: tuple[int, int],
    columns: int,
    width: float,
    words: Sequence[str],
) -> Figure:
    """Draw panels in rows of so many columns, in a figure of this width (inches); `words` are its title and note.

    :func:`mark` marks a 2×2 tile and its copy (row, column) in every map, and an arrow joins them in the first.
    """
    bands, side = -(-len(panels) // columns), width / columns
    lines = 1 + max(panel.result.count("\n") for panel in panels)
    said = sum(len(each) / (LETTERS[kind] * width / DOUBLE) for kind, each in zip(LETTERS, words, strict=True))
    figure = blank(width, bands * (1.4 * side + 0.65 + 0.14 * lines) + 0.16 * said + 0.4)
    grid = figure.subplots(2 * bands, columns, squeeze=False, height_ratios=[1, 0.4] * bands)
    cells = [(grid[2 * band, column], grid[2 * band + 1, column]) for band in range(bands) for column in range(columns)]
    for (above, below), panel in zip(cells, panels, strict=False):
        if panel.weights is None:
            worded(above, panel.picture, panel.words)
        else:
            worded(above, lit(panel.picture, panel.weights), panel.words)
        above.set_title(panel.title, fontweight="bold")
        mark(above, at, copy, panel.weights)
        worded(below, panel.cut, panel.result)
        below.xaxis.label.set_fontweight("bold")
    for pair in cells[len(panels) :]:
        for ax in pair:
            ax.set_axis_off()
    arrow = {"arrowstyle": "->", "color": "white", "linestyle": "--", "shrinkA": 5, "shrinkB": 5}
    start, end = ((col + 0.5, row + 0.5) for row, col in (at, copy))
    cells[0][0].annotate("", end, start, arrowprops=arrow)
    caption(figure, *words)
    return figure
