"""Figures of where layers look, from views."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from textwrap import fill

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from srlab.analysis.explore import Look
from srlab.analysis.views import Boxes, Groups, Values, View, Windows
from srlab.plots.text import SMALL
from srlab.plots.style import DOUBLE, HOUSE, bare

Rectangle4 = tuple[float, float, float, float]  # left, bottom, width, height, as shares of a figure's

#: Weights are drawn as multiples of an even spread over all tokens, on one scale everywhere.
WEIGHTS = LogNorm(0.1, 1000)
#: Unseen, previous, own, next.
WINDOWS = np.array([to_rgba(colour) for colour in ("#00000000", "#56B4E9", "#000000", "#E69F00")])
OWN_GROUP = "#D55E00"
UNWEIGHED = ListedColormap(["#9ecae1"]).with_extremes(bad="#00000000")
QUERY = "#D50000"
DIFFERENCE = Normalize(-32, 32)  # levels of 255
LR_PIXELS = "LR pixels"  #: label of axes whose coordinates are these
TITLE = 0.4  # inches: two lines above each map, one below
DRAWN = 128  # tokens a side; larger maps are drawn with fewer, larger squares


def shrink_factor(shape: tuple[int, int]) -> int:
    """How many tokens a side are drawn as one square: 1 for maps of up to `DRAWN` tokens a side."""
    return -(-max(shape) // DRAWN)


def _means(values: Float[np.ndarray, "_h _w"]) -> Float[np.ndarray, "_a _b"]:
    """A map of at most `DRAWN` squares a side: means of what is not masked or NaN."""
    factor = shrink_factor(values.shape)
    if factor == 1:
        return values
    filled = np.ma.filled(np.ma.asarray(values, float), np.nan)
    margin = [(0, -side % factor) for side in values.shape]
    squares = np.pad(filled, margin, constant_values=np.nan)
    squares = squares.reshape(squares.shape[0] // factor, factor, -1, factor)
    count = np.isfinite(squares).sum((1, 3))
    return np.ma.masked_where(count == 0, np.nansum(squares, (1, 3)) / np.maximum(count, 1))


def _samples(labels: Int[np.ndarray, "_h _w"]) -> Int[np.ndarray, "_a _b"]:
    """A map of labels with at most `DRAWN` squares a side: the label in the middle of each."""
    factor = shrink_factor(labels.shape)
    return labels[factor // 2 :: factor, factor // 2 :: factor] if factor > 1 else labels


def _show(ax: Axes, image: np.ndarray, view: View, **style: object) -> AxesImage:
    """An image on the LR image's pixels, however few squares it has."""
    height, width = view.picture.shape[:2]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.set_label(LR_PIXELS)
    return ax.imshow(image, interpolation="nearest", extent=extent, **style)


def _over(view: View, colours: np.ndarray, alpha: float = 0.85) -> np.ndarray:
    """RGBA squares over the LR image in pale grey, as one picture, for that is drawn faster than two."""
    grey = 0.5 + view.picture.mean(-1, keepdims=True) / 510
    factor = shrink_factor(grey.shape[:2])
    colours = colours.repeat(factor, 0).repeat(factor, 1)[: grey.shape[0], : grey.shape[1]]
    opacity = alpha * colours[..., 3:]
    return opacity * colours[..., :3] + (1 - opacity) * grey


def _mark(ax: Axes, view: View) -> None:
    """The query, in a circle."""
    for colour, width in (("white", 2.2), (QUERY, 1.0)):
        ax.plot(view.col, view.row, "o", ms=6, mfc="none", mec=colour, mew=width)


def draw_image(ax: Axes, view: View) -> None:
    """The LR image with the query in a circle."""
    _show(ax, view.picture, view)
    _mark(ax, view)
    bare(ax)


def draw_weights(ax: Axes, view: View) -> None:
    """The query's weights, in multiples of an even spread, over the image; grey is unseen."""
    bare(ax)
    if view.weights is None:
        colours = UNWEIGHED(np.ma.masked_equal(_samples(view.seen), 0))
        away = 0.2 if view.row < view.seen.shape[0] / 2 else 0.8  # from the query
        ax.text(0.5, away, "no weights:\nno softmax", transform=ax.transAxes, ha="center", va="center")
    else:
        relative = np.ma.masked_where(view.seen == 0, view.weights * view.weights.size)
        colours = colormaps["viridis"](WEIGHTS(_means(relative)))
    _show(ax, _over(view, colours), view)
    _mark(ax, view)


@singledispatch
def draw_panel(panel: object, ax: Axes, view: View) -> None:
    """What is particular to a mechanism: one of `srlab.analysis.views.Panel`, and its title."""
    raise TypeError(f"no way to draw {type(panel).__name__}")


@draw_panel.register
def _(panel: Groups, ax: Axes, view: View) -> None:
    """Groups in colours by their number, the query's own in orange."""
    bare(ax)
    labels = _samples(panel.labels)
    colours = colormaps["cividis"](labels / max(1, labels.max()))
    colours[labels == panel.own] = to_rgba(OWN_GROUP)
    _show(ax, colours, view)
    _mark(ax, view)


@draw_panel.register
def _(panel: Windows, ax: Axes, view: View) -> None:
    bare(ax)
    labels = _samples(panel.labels)
    _show(ax, _over(view, WINDOWS[labels]), view)
    _mark(ax, view)


@draw_panel.register
def _(panel: Boxes, ax: Axes, view: View) -> None:
    """The query's window in red, those it chose in white, as in the papers' figures."""
    _show(ax, view.picture * 0.6 / 255, view)
    bare(ax)
    for box in panel.keys:
        _frame(ax, box, "white", 1.0)
    _frame(ax, panel.query, QUERY, 1.8)
    ax.plot(view.col, view.row, ".", ms=4, color=QUERY)


def _frame(ax: Axes, box: tuple[int, int, int, int], colour: str, width: float) -> None:
    top, left, height, across = box
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), across, height, fill=False, ec=colour, lw=width))


@draw_panel.register
def _(panel: Values, ax: Axes, view: View) -> None:
    bare(ax)
    largest = np.nanmax(np.abs(panel.values)) or 1.0
    if panel.signed:
        style = {"cmap": "RdBu_r", "norm": Normalize(-largest, largest)}
    elif panel.logarithmic:
        style = {"cmap": "magma", "norm": LogNorm(largest * 1e-4, largest, clip=True)}
    else:
        style = {"cmap": "magma", "norm": Normalize(0, largest)}
    if panel.on_image:
        values = _means(np.ma.masked_invalid(panel.values))
        colours = colormaps[style["cmap"]](style["norm"](values))
        _show(ax, _over(view, colours, alpha=1.0), view)
        _mark(ax, view)
    else:
        ax.imshow(panel.values, interpolation="nearest", **style)
    least = f"−{largest:.2g}" if panel.signed else f"{largest * 1e-4:.1g}" if panel.logarithmic else "0"
    ax.text(0.5, -0.02, f"{least} to {largest:.2g}", transform=ax.transAxes, ha="center", va="top", fontsize=SMALL)


@rc_context(HOUSE)
def attention(looks: Sequence[Look], figure: Figure | None = None) -> Figure:
    """One pixel in several networks: a row a network, the scene above.

    Its columns: weights, what is particular to the mechanism, SR around the query, its difference from HR.

    Parameters
    ----------
    looks : sequence of Look
        `srlab.analysis.explore.look` at one pixel of one scene.
    figure : Figure, optional
        To fill in place of a new one. Everything is laid out by hand, and axes that are there already are
        kept, for that is fast.
    """
    first = looks[0]
    columns = 3 + max(1, *(len(look.view.panels) for look in looks))
    rows = 1 + len(looks)
    sorts = any(isinstance(panel, Windows) for look in looks for panel in look.view.panels)
    figure = figure or Figure((DOUBLE, (DOUBLE / columns + TITLE) * rows))
    letters = 120 // columns  # fit above a map
    axes = _places(figure, rows, columns, sorts)

    def place(row: int, column: int, words: str) -> Axes:
        ax = axes[row, column]
        ax.text(0.5, 1.03, words, transform=ax.transAxes, ha="center", va="bottom", fontsize=SMALL)
        return ax

    def crop(row: int, column: int, words: str, image: np.ndarray, **style: object) -> None:
        place(row, column, words).imshow(image, interpolation="nearest", **style)

    draw_image(place(0, 0, fill(f"LR, {first.image}", letters)), first.view)
    crop(0, columns - 2, "HR around the query", first.restored.hr)
    for row, look in enumerate(looks, 1):
        draw_weights(place(row, 0, fill(f"{look.title}: {look.layer}", letters)), look.view)
        for column, panel in enumerate(look.view.panels, 1):
            draw_panel(panel, place(row, column, fill(panel.title, letters)), look.view)
        made = look.restored
        crop(row, columns - 2, f"SR, {made.psnr:.2f} dB\n({made.psnr_here:.2f} dB here)", made.sr)
        crop(row, columns - 1, "SR − HR", made.difference, cmap="RdBu_r", norm=DIFFERENCE)
    return figure


def _places(figure: Figure, rows: int, columns: int, sorts: bool) -> dict[tuple[int, int], Axes]:
    """Empty axes by row and column, and the keys of colours; those of the figure, if it is laid out so."""
    layout = f"{rows} rows, {columns} columns" + ", sorted" * sorts
    if figure.get_label() == layout:
        axes = dict(zip(np.ndindex(rows, columns), figure.axes, strict=False))
        for ax in axes.values():
            for artist in (*ax.images, *ax.lines, *ax.patches, *ax.texts):
                artist.remove()
            ax.set_label("")
        return axes

    figure.clear()
    figure.set_label(layout)
    title = TITLE / figure.get_figheight()

    def rectangle(row: int, column: int) -> Rectangle4:
        left, bottom = 0.01 + 0.98 * column / columns, (rows - 1 - row) / rows + 0.36 * title
        return left, bottom, 0.94 / columns, 1 / rows - title

    axes = {(row, column): figure.add_axes(rectangle(row, column)) for row, column in np.ndindex(rows, columns)}
    for ax in axes.values():
        bare(ax)
    _weight_key(figure, rectangle(0, 1))
    _difference_key(figure, rectangle(0, columns - 1))
    if sorts:
        figure.legend(handles=window_key(), loc="lower left", bbox_to_anchor=rectangle(0, 1)[:2], fontsize=SMALL)
    return axes


def _weight_key(figure: Figure, rectangle: Rectangle4) -> None:
    left, bottom, width, height = rectangle
    bar = figure.add_axes((left + 0.1 * width, bottom + 0.75 * height, 1.5 * width, 0.06 * height))
    bar.imshow([np.linspace(0, 1, 256)], cmap="viridis", aspect="auto", extent=(-1, 3, 0, 1))
    bar.set(yticks=[], xticks=[-1, 0, 1, 2, 3], xticklabels=["0.1", "1", "10", "100", "1000"])
    bar.set_title("weight ÷ even weight (pale grey: unseen)", fontsize=SMALL)
    bar.grid(visible=False)


def _difference_key(figure: Figure, rectangle: Rectangle4) -> None:
    left, bottom, width, height = rectangle
    bar = figure.add_axes((left + 0.1 * width, bottom + 0.3 * height, 0.8 * width, 0.06 * height))
    limits = (DIFFERENCE.vmin, DIFFERENCE.vmax)
    bar.imshow([np.linspace(0, 1, 256)], cmap="RdBu_r", aspect="auto", extent=(*limits, 0, 1))
    bar.set(yticks=[], xticks=[limits[0], 0, limits[1]])
    bar.set_title("difference of Y\n(levels of 255)", fontsize=SMALL)
    bar.grid(visible=False)


def window_key() -> list[Patch]:
    """Colours of the query's group and of the windows of the sorted sequence."""
    names = ("previous window", "query's own window", "next window")
    windows = [Patch(color=colour, label=name) for colour, name in zip(WINDOWS[1:], names, strict=True)]
    return [Patch(color=OWN_GROUP, label="query's cluster or bucket"), *windows]
