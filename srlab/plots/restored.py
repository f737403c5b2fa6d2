"""Figures of images: in rows, and parts of them as networks restore them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from srlab.looking.images import Part
from srlab.plots.labels import SMALL, tell
from srlab.plots.maps import DIFFERENCE
from srlab.plots.style import DOUBLE, HOUSE, bare, blank

#: Of the box on a whole image.
BOX = "#D50000"
COLUMNS = 7  # parts beside each other
CONTEXT = 1.45  # inches across, for the whole image
TITLE = 0.33  # inches: two lines above each part


@rc_context(HOUSE)
def pictures(
    rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]], message: str, note: str
) -> Figure:
    """Images in rows, each with its words beneath: "NAME: MORE", of many in a row on two lines.

    Parameters
    ----------
    rows : sequence of sequence of (str, array)
    message, note : str
        What stands above and below; see `srlab.plots.labels.tell`.
    """
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
    tell(figure, message, note)
    return figure


@rc_context(HOUSE)
def crops(most: Part, least: Part, scale: int) -> Figure:
    """Two parts of images in every network, with their place in the whole, and the error of each network below.

    Parameters
    ----------
    most, least : Part
        As of `srlab.looking.contrasts`.
    scale : int
    """
    lines = -(-(1 + len(most.made)) // COLUMNS)
    side = (DOUBLE - CONTEXT) / COLUMNS
    tall = lines * (2 * side + TITLE)
    figure = blank(DOUBLE, 2 * tall + 1.1)
    for band, part in zip(figure.subfigures(2, 1), (most, least), strict=True):
        _part(band, part, lines)
    span, least_span = (_span(part) for part in (most, least))
    best = max((name for name in most.made if name != "bicubic"), key=lambda name: most.made[name].psnr)
    tell(
        figure,
        f"Where networks differ most, their PSNR spans {span:.2f} dB, {best} the best; where least, {least_span:.2f} dB",
        f"×{scale}, networks of the first seed; parts of {most.box[2] // scale}×{most.box[3] // scale} LR px (box), above where "
        "networks differ most, by the standard deviation of Y over them; below where least, among parts as detailed as half "
        "of all. PSNR: Y of what is shown. Under each part SR − HR of Y: red too light, blue too dark, "
        f"at full colour by {DIFFERENCE.vmax:g} levels of 255.",
    )
    return figure


def _span(part: Part) -> float:
    """From the worst to the best network, bicubic left out, dB."""
    psnr = [made.psnr for name, made in part.made.items() if name != "bicubic"]
    return max(psnr) - min(psnr)


def _part(band: SubFigure, part: Part, lines: int) -> None:
    """The whole image with a box, then HR and every network, and the error of each below it."""
    left, right = band.subfigures(1, 2, width_ratios=[CONTEXT, DOUBLE - CONTEXT])
    ax = left.subplots()
    bare(ax)
    ax.imshow(part.whole, interpolation="nearest")
    top, start, height, width = part.box
    ax.add_patch(Rectangle((start - 0.5, top - 0.5), width, height, fill=False, edgecolor=BOX, linewidth=1.5))
    ax.set_title(part.name, fontsize=SMALL)
    ax.set_anchor("N")
    grid = right.subplots(2 * lines, COLUMNS, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    shown = [("HR", part.hr, None), *((f"{name}\n{made.psnr:.2f} dB", made.sr, made) for name, made in part.made.items())]
    for number, (words, image, made) in enumerate(shown):
        line, column = divmod(number, COLUMNS)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        above.imshow(image, interpolation="nearest")
        above.set_title(words, fontsize=SMALL)
        if made is not None:
            below.imshow(made.difference, cmap="RdBu_r", norm=DIFFERENCE, interpolation="nearest")
