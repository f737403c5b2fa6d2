"""Figures of images: in rows, and a part of an image as networks restore it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from srlab.analysis.contrasts import Part
from srlab.plots.style import DOUBLE, HOUSE, bare, blank
from srlab.plots.text import SMALL, caption

#: The colour of the box on a whole image.
BOX = "#D50000"
MANY = 7  # parts that have room beside each other
LARGEST = 1.8  # inches a side of a part
CONTEXT = 1.45  # inches across, for the whole image
TITLE = 0.33  # inches: two lines above each part
LETTERS = 18  # in an inch of a title
#: Errors at which the colours of an error map may end, in levels of 255.
LEVELS = (4, 8, 16, 32, 64, 128)


@rc_context(HOUSE)
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]], title: str, note: str) -> Figure:
    """Draw images in rows, each with its words beneath: "NAME: MORE", on two lines in rows of many images."""
    columns = max(map(len, rows))
    if columns > 5:
        rows = [[(words.replace(": ", ":\n"), image) for words, image in row] for row in rows]
    side = DOUBLE / columns
    words_in = 0.25 if columns <= 5 else 0.4
    heights = [side * max(image.shape[0] / image.shape[1] for _, image in row) + words_in for row in rows]
    figure = blank(DOUBLE, sum(heights) + 0.7)
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
            ax.set_xlabel(words, fontsize=SMALL)
    caption(figure, title, note)
    return figure


@rc_context(HOUSE)
def crops(part: Part, title: str, note: str) -> Figure:
    """Draw a part of an image by several networks: its place in the image, HR, every SR, and each error below its SR.

    Red errors are too light, blue ones too dark.
    """
    lines = -(-(1 + len(part.made)) // MANY)
    columns = -(-(1 + len(part.made)) // lines)
    side = min((DOUBLE - CONTEXT) / columns, LARGEST)
    letters = int(LETTERS * side)
    shown = [("HR\n", part.hr, None)]
    shown += [(f"{fill(name, letters)}\n{made.psnr:.2f} dB", made.sr, made) for name, made in part.made.items()]
    figure = blank(DOUBLE, lines * (2 * side + TITLE) + 0.8)
    figure.get_layout_engine().set(h_pad=0.015, w_pad=0.015, hspace=0, wspace=0)
    left, right = figure.subfigures(1, 2, width_ratios=[CONTEXT, DOUBLE - CONTEXT])
    _place(left.subplots(), part)
    grid = right.subplots(2 * lines, columns, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    errors = np.abs([made.difference for made in part.made.values()])
    largest = next((level for level in LEVELS if np.percentile(errors, 99) <= level), LEVELS[-1])
    for number, (words, image, made) in enumerate(shown):
        line, column = divmod(number, columns)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        above.imshow(image, interpolation="nearest")
        above.set_title(words, fontsize=SMALL)
        if made is None:
            key = f"SR − HR:\nfull colour\nat ±{largest}\nof 255"
            below.text(0.5, 0.5, key, transform=below.transAxes, ha="center", va="center", fontsize=SMALL)
        else:
            below.imshow(made.difference, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
    caption(figure, title, note)
    return figure


def _place(ax: Axes, part: Part) -> None:
    """Draw the whole image with a box around the part."""
    bare(ax)
    ax.imshow(part.whole, interpolation="nearest")
    top, left, height, width = part.box
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=BOX, linewidth=1.5))
    ax.set_title(f"{part.name}\n", fontsize=SMALL)
    ax.set_anchor("N")
