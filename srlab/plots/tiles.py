"""Small parts of an image and of its weights, in the image's own pixel coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import FigureBase
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from srlab.plots.maps import QUERY
from srlab.plots.style import bare

#: Multiples of an even weight.
MULTIPLES = LogNorm(0.1, 100)
#: The colours of boxes, in order (Paul Tol's high contrast).
BOXES = ("#DDAA33", "#BB5566", "#004488")


def tile(
    ax: Axes,
    pixels: Num[np.ndarray, "h w *colours"],
    corner: tuple[int, int],
    at: tuple[int, int],
    boxes: Sequence[tuple[int, int, int]] = (),
) -> None:
    """Draw a part of an image, or multiples of an even weight in colours, with a circled pixel.

    Parameters
    ----------
    pixels : Num[np.ndarray, "h w *colours"]
        RGB of 0 to 255, or multiples without a colour axis.
    corner, at : (int, int)
        Row and column of the first pixel, and of the circled one.
    boxes : sequence of (int, int, int)
        Row, column and side of square frames.
    """
    (top, left), (height, width) = corner, pixels.shape[:2]
    extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    style = {} if pixels.ndim == 3 else {"cmap": "viridis", "norm": MULTIPLES}
    ax.imshow(
        pixels if pixels.ndim == 3 else pixels.clip(MULTIPLES.vmin), interpolation="nearest", extent=extent, **style
    )
    for (row, column, side), colour in zip(boxes, BOXES, strict=False):
        frame = Rectangle((column - 0.5, row - 0.5), side, side, fill=False, edgecolor=colour, linewidth=1.2)
        ax.add_patch(frame)
    for colour, line in (("white", 2.2), (QUERY, 1.0)):
        ax.plot(at[1], at[0], "o", ms=6, mfc="none", mec=colour, mew=line)
    bare(ax)


def multiples_key(figure: FigureBase, grid: np.ndarray) -> None:
    """Draw the key of `MULTIPLES` below a grid of axes."""
    colours = ScalarMappable(MULTIPLES, "viridis")
    bar = figure.colorbar(colours, ax=grid, orientation="horizontal", extend="both", aspect=50, shrink=0.7)
    bar.set_ticks([0.1, 1, 10, 100], labels=["0.1", "1", "10", "100"])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label("weight ÷ weight of a key if all of the window weighed the same")
    bar.ax.grid(visible=False)
