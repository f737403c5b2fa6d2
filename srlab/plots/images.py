"""Arrays as pixels: one array with its marks, images in rows, and a part of an image as networks restore it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from jaxtyping import Num, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from srlab.analysis.contrasts import Part
from srlab.plots.style import DOUBLE, HOUSE, bare, blank
from srlab.plots.text import SMALL, caption

#: Weights are drawn as multiples of an even spread over all tokens, on one scale everywhere.
WEIGHTS = LogNorm(0.1, 1000, clip=True)
#: The colour of a query, and of the box on a whole image.
QUERY = "#D50000"
#: The colours of frames, in order (Paul Tol's high contrast).
FRAMES = ("#DDAA33", "#BB5566", "#004488")
LR_PIXELS = "LR pixels"  #: label of axes in LR pixels, where explorers take a click for the pixel
MANY = 7  # parts that have room beside each other
LARGEST = 1.8  # inches a side of a part
CONTEXT = 1.45  # inches across, for the whole image
LETTERS = 18  # in an inch of a title
#: Errors at which the colours of an error map may end, in levels of 255.
LEVELS = (4, 8, 16, 32, 64, 128)


def show(
    ax: Axes,
    image: Num[np.ndarray, "_h _w *colours"],
    corner: tuple[int, int] = (0, 0),
    at: tuple[int, int] | None = None,
    *,
    size: tuple[int, int] | None = None,
    title: str = "",
    label: str = "",
    **style: object,
) -> None:
    """Draw an array in pixel coordinates, a square a value, without ticks.

    The image is RGB, or multiples of an even weight without a colour axis (in other colours by `style`, as for imshow).
    `corner` and `at` are row and column of the first pixel, and of one in a circle; `size` is height and width in
    pixels, if squares are larger than a pixel. The title is plain text: one of the axes takes three times as long. The
    label is `LR_PIXELS` for explorers.
    """
    (top, left), (height, width) = corner, size or image.shape[:2]
    if image.ndim == 2:
        style = {"cmap": "viridis", "norm": WEIGHTS} | style
    ax.set_label(label)
    extent = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    ax.imshow(image, interpolation="nearest", extent=extent, **style)
    for colour, line in (("white", 2.2), (QUERY, 1.0)) if at else ():
        ax.plot(at[1], at[0], "o", ms=6, mfc="none", mec=colour, mew=line)
    bare(ax)
    ax.text(0.5, 1.03, title, transform=ax.transAxes, ha="center", va="bottom", fontsize=SMALL)


def frame(ax: Axes, box: tuple[int, int, int, int], colour: str, line: float = 1.2) -> None:
    """Frame a box of pixels (top, left, height, width)."""
    top, left, height, width = box
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=colour, linewidth=line))


def key(figure: FigureBase, grid: np.ndarray, words: str) -> None:
    """Draw the key of `WEIGHTS` below a grid of axes."""
    style = {"orientation": "horizontal", "extend": "both", "aspect": 50, "shrink": 0.7}
    bar = figure.colorbar(ScalarMappable(WEIGHTS, "viridis"), ax=grid, **style)
    bar.set_ticks([0.1, 1, 10, 100, 1000], labels=["0.1", "1", "10", "100", "1,000"])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label(words)
    bar.ax.grid(visible=False)


def worded(ax: Axes, image: UInt8[np.ndarray, "_h _w 3"], words: str) -> None:
    """Draw an image with its words beneath."""
    ax.imshow(image, interpolation="nearest")
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.set_xlabel(words, fontsize=SMALL)


@rc_context(HOUSE)
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]], title: str, note: str) -> Figure:
    """Draw images in rows, each with its words beneath: "NAME: MORE", on two lines in rows of many images."""
    columns = max(map(len, rows))
    if columns > 5:
        rows = [[(words.replace(": ", ":\n"), image) for words, image in row] for row in rows]
    side, words_in = DOUBLE / columns, 0.25 if columns <= 5 else 0.4
    heights = [side * max(image.shape[0] / image.shape[1] for _, image in row) + words_in for row in rows]
    figure = blank(DOUBLE, sum(heights) + 0.7)
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, rows, strict=True):
        for ax in axes[len(row) :]:
            ax.set_axis_off()
        for ax, (words, image) in zip(axes, row, strict=False):
            worded(ax, image, words)
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
    figure = blank(DOUBLE, lines * (2 * side + 0.33) + 0.8)  # two lines of words above each part
    figure.get_layout_engine().set(h_pad=0.015, w_pad=0.015, hspace=0, wspace=0)
    left, right = figure.subfigures(1, 2, width_ratios=[CONTEXT, DOUBLE - CONTEXT])
    whole = left.subplots()
    show(whole, part.whole)
    frame(whole, part.box, QUERY, 1.5)
    whole.set_title(f"{part.name}\n", fontsize=SMALL)
    whole.set_anchor("N")
    grid = right.subplots(2 * lines, columns, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    errors = np.abs([made.difference for made in part.made.values()])
    largest = next((level for level in LEVELS if np.percentile(errors, 99) <= level), LEVELS[-1])
    show(grid[0, 0], part.hr)
    grid[0, 0].set_title("HR\n", fontsize=SMALL)
    words = f"SR − HR:\nfull colour\nat ±{largest}\nof 255"
    grid[1, 0].text(0.5, 0.5, words, transform=grid[1, 0].transAxes, ha="center", va="center", fontsize=SMALL)
    for number, (name, made) in enumerate(part.made.items(), 1):
        line, column = divmod(number, columns)
        above, below = grid[2 * line, column], grid[2 * line + 1, column]
        show(above, made.sr)
        above.set_title(f"{fill(name, letters)}\n{made.psnr:.2f} dB", fontsize=SMALL)
        show(below, made.difference, cmap="RdBu_r", norm=None, vmin=-largest, vmax=largest)
    caption(figure, title, note)
    return figure
