"""Figures of images: in rows, and parts of them as networks restore them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from srlab.analysis.images import Part
from srlab.plots.style import DOUBLE, HOUSE, bare, blank
from srlab.plots.text import SMALL, caption

#: Of the box on a whole image.
BOX = "#D50000"
MANY = 7  # parts that have room beside each other
LARGEST = 1.3  # inches a side of a part
CONTEXT = 1.45  # inches across, for the whole image
TITLE = 0.33  # inches: two lines above each part
#: Errors at which the colours of an error map may end, in levels of 255.
LEVELS = (4, 8, 16, 32, 64, 128)
BICUBIC = "bicubic"


@rc_context(HOUSE)
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]], message: str, note: str) -> Figure:
    """Images in rows, each with its words beneath: "NAME: MORE", of many in a row on two lines.

    Parameters
    ----------
    rows : sequence of sequence of (str, array)
    message, note : str
        What stands above and below; see `srlab.plots.text.tell`.
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
    caption(figure, message, note)
    return figure


@rc_context(HOUSE)
def crops(most: Part, least: Part, scale: int) -> Figure:
    """Two parts of images in every network, with their place in the whole, and the error of each network below.

    Parameters
    ----------
    most, least : Part
        As of `srlab.analysis.contrasts`.
    scale : int
    """
    lines = -(-(1 + len(most.made)) // MANY)
    columns = -(-(1 + len(most.made)) // lines)
    side = min((DOUBLE - CONTEXT) / columns, LARGEST)
    figure = blank(DOUBLE, 2 * lines * (2 * side + TITLE) + 1.0)
    figure.get_layout_engine().set(h_pad=0.015, w_pad=0.015, hspace=0, wspace=0)
    for band, part in zip(figure.subfigures(2, 1), (most, least), strict=True):
        _part(band, part, lines, columns)
    caption(
        figure,
        f"Networks are {most.spread:.2g} of 255 levels apart where they differ most, and gain {_gained(most)} over bicubic; "
        f"where least, {least.spread:.2g}",
        f"×{scale}, networks of the first seed; parts of {most.box[2] // scale}×{most.box[3] // scale} LR px (box): "
        "above where networks differ most, by the standard deviation of Y over them, below where least, among parts "
        "as detailed as half of all. PSNR: Y of what is shown. Below each part SR − HR of Y: red too light, blue too "
        "dark.",
    )
    return figure


def _gained(part: Part) -> str:
    """What networks gain over bicubic, from the worst to the best."""
    gains = {name: made.psnr - part.made[BICUBIC].psnr for name, made in part.made.items() if name != BICUBIC}
    least, most = min(gains, key=gains.get), max(gains, key=gains.get)
    if least == most:
        return f"{gains[most]:+.2f} dB ({most})"
    return f"{gains[least]:+.2f} ({least}) to {gains[most]:+.2f} dB ({most})"


def _part(band: SubFigure, part: Part, lines: int, columns: int) -> None:
    """The whole image with a box, then HR and every network, and the error of each below it."""
    left, right = band.subfigures(1, 2, width_ratios=[CONTEXT, DOUBLE - CONTEXT])
    ax = left.subplots()
    bare(ax)
    ax.imshow(part.whole, interpolation="nearest")
    top, start, height, width = part.box
    ax.add_patch(Rectangle((start - 0.5, top - 0.5), width, height, fill=False, edgecolor=BOX, linewidth=1.5))
    ax.set_title(f"{part.name}\n", fontsize=SMALL)
    ax.set_anchor("N")
    grid = right.subplots(2 * lines, columns, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    errors = np.abs([made.difference for made in part.made.values()])
    largest = next((level for level in LEVELS if np.percentile(errors, 99) <= level), LEVELS[-1])
    shown = [("HR\n", part.hr, None)]
    shown += [(f"{name}\n{made.psnr:.2f} dB", made.sr, made) for name, made in part.made.items()]
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
