"""Figures of attention maps, from views."""

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
from matplotlib.patches import Patch

from srlab.analysis.explore import Look
from srlab.analysis.views import Boxes, Groups, Values, View, Windows
from srlab.plots.images import LR_PIXELS, QUERY, WEIGHTS, frame, show
from srlab.plots.style import DOUBLE, HOUSE, bare
from srlab.plots.text import SMALL

#: Unseen, previous, own, next.
WINDOWS = np.array([to_rgba(colour) for colour in ("#00000000", "#56B4E9", "#000000", "#E69F00")])
OWN_GROUP = "#D55E00"
UNWEIGHED = ListedColormap(["#9ecae1"]).with_extremes(bad="#00000000")
DIFFERENCE = Normalize(-32, 32)  # levels of 255
TITLE = 0.46  # inches: two lines above each map, one below
DRAWN = 128  # tokens a side; larger maps are drawn with fewer, larger squares


def shrink_factor(shape: tuple[int, int]) -> int:
    """Return the number of tokens a side that are drawn as one square: 1 up to `DRAWN` tokens a side."""
    return -(-max(shape) // DRAWN)


def _means(values: Float[np.ndarray, "_h _w"]) -> Float[np.ndarray, "_a _b"]:
    """Average a map to at most `DRAWN` squares a side, without masked values and NaN."""
    factor = shrink_factor(values.shape)
    if factor == 1:
        return values
    margin = [(0, -side % factor) for side in values.shape]
    squares = np.pad(np.ma.filled(np.ma.asarray(values, float), np.nan), margin, constant_values=np.nan)
    squares = squares.reshape(squares.shape[0] // factor, factor, -1, factor)
    count = np.isfinite(squares).sum((1, 3))
    return np.ma.masked_where(count == 0, np.nansum(squares, (1, 3)) / np.maximum(count, 1))


def _samples(labels: Int[np.ndarray, "_h _w"]) -> Int[np.ndarray, "_a _b"]:
    """Sample a map of labels to at most `DRAWN` squares a side, each by the label in its middle."""
    factor = shrink_factor(labels.shape)
    return labels[factor // 2 :: factor, factor // 2 :: factor] if factor > 1 else labels


def _show(ax: Axes, image: np.ndarray, view: View, mark: bool = True) -> None:
    """Draw an image on the LR image's pixels, however few squares it has, with the query in a circle."""
    at = (view.row, view.col) if mark else None
    show(ax, image, at=at, size=view.picture.shape[:2], label=LR_PIXELS)


def _over(view: View, colours: np.ndarray, alpha: float = 0.85) -> np.ndarray:
    """Blend RGBA squares with the LR image in pale grey (drawing one picture is faster than two)."""
    grey = 0.5 + view.picture.mean(-1, keepdims=True) / 510
    factor = shrink_factor(grey.shape[:2])
    colours = colours.repeat(factor, 0).repeat(factor, 1)[: grey.shape[0], : grey.shape[1]]
    opacity = alpha * colours[..., 3:]
    return opacity * colours[..., :3] + (1 - opacity) * grey


def draw_image(ax: Axes, view: View) -> None:
    """Draw the LR image with the query in a circle."""
    _show(ax, view.picture, view)


def draw_weights(ax: Axes, view: View) -> None:
    """Draw the query's weights, in multiples of an even spread, over the image; unseen pixels are grey."""
    if view.weights is None:
        colours = UNWEIGHED(np.ma.masked_equal(_samples(view.seen), 0))
        away = 0.2 if view.row < view.seen.shape[0] / 2 else 0.8  # from the query
        ax.text(0.5, away, "no weights:\nno softmax", transform=ax.transAxes, ha="center", va="center")
    else:
        relative = np.ma.masked_where(view.seen == 0, view.weights * view.weights.size)
        colours = colormaps["viridis"](WEIGHTS(_means(relative)))
    _show(ax, _over(view, colours), view)


@singledispatch
def draw_panel(panel: object, ax: Axes, view: View) -> None:
    """Draw one of a mechanism's own panels (`srlab.analysis.views.Panel`)."""
    raise TypeError(f"no way to draw {type(panel).__name__}")


@draw_panel.register
def _(panel: Groups, ax: Axes, view: View) -> None:
    labels = _samples(panel.labels)
    colours = colormaps["cividis"](labels / max(1, labels.max()))
    colours[labels == panel.own] = to_rgba(OWN_GROUP)
    _show(ax, colours, view)


@draw_panel.register
def _(panel: Windows, ax: Axes, view: View) -> None:
    _show(ax, _over(view, WINDOWS[_samples(panel.labels)]), view)


@draw_panel.register
def _(panel: Boxes, ax: Axes, view: View) -> None:
    """Draw the query's window in red and the chosen windows in white, as in the papers' figures."""
    _show(ax, view.picture * 0.6 / 255, view, mark=False)
    for box in panel.keys:
        frame(ax, box, "white", 1.0)
    frame(ax, panel.query, QUERY, 1.8)
    ax.plot(view.col, view.row, ".", ms=4, color=QUERY)


@draw_panel.register
def _(panel: Values, ax: Axes, view: View) -> None:
    largest = np.nanmax(np.abs(panel.values)) or 1.0
    colours, norm, least = colormaps["magma"], Normalize(0, largest), "0"
    if panel.signed:
        colours, norm, least = colormaps["RdBu_r"], Normalize(-largest, largest), f"−{largest:.2g}"
    elif panel.logarithmic:
        norm, least = LogNorm(largest * 1e-4, largest, clip=True), f"{largest * 1e-4:.1g}"
    if panel.on_image:
        values = colours(norm(_means(np.ma.masked_invalid(panel.values))))
        _show(ax, _over(view, values, alpha=1.0), view)
    else:
        show(ax, panel.values, cmap=colours, norm=norm)
    ax.text(0.5, -0.02, f"{least} to {largest:.2g}", transform=ax.transAxes, ha="center", va="top", fontsize=SMALL)


@rc_context(HOUSE)
def attention(looks: Sequence[Look], figure: Figure | None = None) -> Figure:
    """Draw one pixel in several networks: the scene above, and below it a row a network.

    A row shows weights, the mechanism's own panels, SR around the query, and its difference from HR. `looks` are of
    one pixel of one scene. `figure` is filled if given; axes of the same layout are used again, which is faster.
    """
    first = looks[0]
    columns = 3 + max(1, *(len(look.view.panels) for look in looks))
    rows = 1 + len(looks)
    sorts = any(isinstance(panel, Windows) for look in looks for panel in look.view.panels)
    figure = figure or Figure((DOUBLE, (DOUBLE / columns + TITLE) * rows))
    letters = 104 // columns  # fit above a map
    axes = _places(figure, rows, columns, sorts)

    def place(row: int, column: int, words: str) -> Axes:
        ax = axes[row, column]
        ax.text(0.5, 1.03, words, transform=ax.transAxes, ha="center", va="bottom", fontsize=SMALL)
        return ax

    draw_image(place(0, 0, fill(f"LR, {first.image}", letters)), first.view)
    show(axes[0, columns - 2], first.restored.hr, title="HR around the query")
    for row, look in enumerate(looks, 1):
        draw_weights(place(row, 0, fill(f"{look.title}: {look.layer}", letters)), look.view)
        for column, panel in enumerate(look.view.panels, 1):
            draw_panel(panel, place(row, column, fill(panel.title, letters)), look.view)
        made = look.restored
        words = f"SR, {made.psnr:.2f} dB\n({made.psnr_here:.2f} dB here)"
        show(axes[row, columns - 2], made.sr, title=words)
        show(axes[row, columns - 1], made.difference, title="SR − HR", cmap="RdBu_r", norm=DIFFERENCE)
    return figure


def _places(figure: Figure, rows: int, columns: int, sorts: bool) -> dict[tuple[int, int], Axes]:
    """Lay out empty axes by row and column, and the keys of colours, or empty those of a figure with this layout."""
    layout = f"{rows} rows, {columns} columns" + ", sorted" * sorts
    if figure.get_label() == layout:
        axes = dict(zip(np.ndindex(rows, columns), figure.axes, strict=False))
        for ax in axes.values():
            ax.set_label("")
            for artist in (*ax.images, *ax.lines, *ax.patches, *ax.texts):
                artist.remove()
        return axes
    figure.clear()
    figure.set_label(layout)
    title = TITLE / figure.get_figheight()

    def rectangle(row: int, column: int) -> tuple[float, float, float, float]:
        left, bottom = 0.01 + 0.98 * column / columns, (rows - 1 - row) / rows + 0.36 * title
        return left, bottom, 0.94 / columns, 1 / rows - title

    def key(column: int, rise: float, wide: float, colours: str, title: str, ends: tuple, **ticks: list) -> None:
        left, bottom, width, height = rectangle(0, column)
        bar = figure.add_axes((left + 0.1 * width, bottom + rise * height, wide * width, 0.06 * height))
        bar.imshow([np.linspace(0, 1, 256)], cmap=colours, aspect="auto", extent=(*ends, 0, 1))
        bar.set(yticks=[], **ticks)
        bar.set_title(title, fontsize=SMALL)
        bar.grid(visible=False)

    axes = {(row, column): figure.add_axes(rectangle(row, column)) for row, column in np.ndindex(rows, columns)}
    for ax in axes.values():
        bare(ax)
    ticks = {"xticks": [-1, 0, 1, 2, 3], "xticklabels": ["0.1", "1", "10", "100", "1000"]}
    key(1, 0.92, 1.5, "viridis", "weight ÷ even weight\n(pale grey: unseen)", (-1, 3), **ticks)
    ends = (DIFFERENCE.vmin, DIFFERENCE.vmax)
    key(columns - 1, 0.3, 0.8, "RdBu_r", "difference of Y\n(levels of 255)", ends, xticks=[ends[0], 0, ends[1]])
    if sorts:
        names = ("query's cluster or bucket", "previous window", "query's own window", "next window")
        handles = [
            Patch(color=colour, label=name) for colour, name in zip((OWN_GROUP, *WINDOWS[1:]), names, strict=True)
        ]
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=rectangle(0, 1)[:2], fontsize=SMALL)
    return axes
