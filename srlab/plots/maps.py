"""Figures of where layers look, from views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from srlab.inspection import View
from srlab.plots.style import DOUBLE, HOUSE, bare, blank

#: Weights are drawn as multiples of an even spread over all tokens, on one scale everywhere.
WEIGHTS = LogNorm(0.1, 1000)
WINDOWS = ListedColormap(["#56B4E9", "#000000", "#E69F00"])  # previous, own, next
OWN_CLUSTER = "#D55E00"


def _background(ax: Axes, view: View) -> None:
    """The LR image in pale grey, and the query on it."""
    ax.imshow(128 + view.picture.mean(-1) / 2, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _mark(ax, view)
    bare(ax)


def _mark(ax: Axes, view: View) -> None:
    ax.plot(
        view.col,
        view.row,
        "o",
        markersize=7,
        markerfacecolor="none",
        markeredgecolor="white",
        markeredgewidth=2.5,
    )
    ax.plot(
        view.col,
        view.row,
        "o",
        markersize=7,
        markerfacecolor="none",
        markeredgecolor="#D50000",
        markeredgewidth=1.2,
    )


def draw_image(ax: Axes, view: View) -> None:
    """The LR image with the query in a circle."""
    ax.imshow(view.picture, interpolation="nearest")
    _mark(ax, view)
    bare(ax)


def draw_weights(ax: Axes, view: View) -> AxesImage:
    """The query's attention weights, in multiples of an even spread, over the image; grey is unseen."""
    _background(ax, view)
    relative = np.ma.masked_where(view.seen == 0, view.weights * view.weights.size)
    return ax.imshow(relative, cmap="viridis", norm=WEIGHTS, alpha=0.85, interpolation="nearest")


def draw_clusters(ax: Axes, view: View) -> None:
    """The clusters in colours by their number, the query's own outlined in it; bare where there are none."""
    _background(ax, view)
    if view.clusters is None:
        return
    own = view.clusters == view.clusters[view.row, view.col]
    ax.imshow(view.clusters, cmap="cividis", interpolation="nearest")
    ax.imshow(np.ma.masked_equal(own, False), cmap=ListedColormap([OWN_CLUSTER]), interpolation="nearest")
    _mark(ax, view)


def draw_windows(ax: Axes, view: View) -> None:
    """The query's own window and the one before and after it; bare where there are none."""
    _background(ax, view)
    if view.windows is not None:
        labels = np.ma.masked_equal(view.windows, 0)
        ax.imshow(labels, cmap=WINDOWS, vmin=1, vmax=3, alpha=0.85, interpolation="nearest")
        _mark(ax, view)


@rc_context(HOUSE)
def attention(rows: Sequence[dict[str, View]]) -> Figure:
    """Where queries look: a row a query, first the LR image, then a column a layer by its title."""
    columns = 1 + len(rows[0])
    figure = blank(DOUBLE, DOUBLE / columns * len(rows) + 0.7)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, views in zip(grid, rows, strict=True):
        draw_image(axes[0], next(iter(views.values())))
        for ax, view in zip(axes[1:], views.values(), strict=True):
            weights = draw_weights(ax, view)
    for ax, title in zip(grid[0], ("LR, query", *rows[0]), strict=True):
        ax.set_title(title)
    _weight_scale(figure, weights, grid)
    return figure


def _weight_scale(figure: Figure, weights: AxesImage, axes: np.ndarray) -> None:
    bar = figure.colorbar(weights, ax=axes, orientation="horizontal", extend="both", aspect=50, shrink=0.7)
    bar.set_label("attention weight ÷ weight of an even spread over all tokens (grey: unseen)")
    bar.ax.grid(visible=False)


@rc_context(HOUSE)
def clustering(rows: Sequence[dict[str, View]]) -> Figure:
    """Clusters and windows: a row a query, first the LR image, then two columns a layer by its title."""
    columns = 1 + 2 * len(rows[0])
    figure = blank(DOUBLE, DOUBLE / columns * len(rows) + 0.8)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, views in zip(grid, rows, strict=True):
        draw_image(axes[0], next(iter(views.values())))
        for i, view in enumerate(views.values()):
            draw_clusters(axes[1 + 2 * i], view)
            draw_windows(axes[2 + 2 * i], view)
    titles = [f"{title}:\n{what}" for title in rows[0] for what in ("clusters", "windows")]
    for ax, title in zip(grid[0], ("LR, query", *titles), strict=True):
        ax.set_title(title)
    figure.legend(handles=_window_key(), loc="outside lower center", ncols=4)
    return figure


def _window_key() -> list[Patch]:
    names = ("previous window", "query's own window", "next window")
    windows = [Patch(color=colour, label=name) for colour, name in zip(WINDOWS.colors, names, strict=True)]
    return [Patch(color=OWN_CLUSTER, label="query's cluster"), *windows]


@rc_context(HOUSE)
def draw_view(figure: Figure, view: View) -> None:
    """Fill a figure with one query: image, weights, clusters, windows; laid out by hand, for that is fast."""
    figure.clear()
    places = {"left": 0.01, "right": 0.9, "bottom": 0.06, "top": 0.96, "wspace": 0.03, "hspace": 0.1}
    image, weights, clusters, windows = figure.subplots(2, 2, gridspec_kw=places).flat
    draw_image(image, view)
    scale = draw_weights(weights, view)
    draw_clusters(clusters, view)
    draw_windows(windows, view)
    image.set_title(f"LR image: click to ask (row {view.row}, column {view.col})")
    weights.set_title(f"attention weights: {view.layer}")
    none = "" if view.clusters is not None else ": this mechanism sorts nothing"
    clusters.set_title(f"clusters{none}")
    windows.set_title(f"windows{none}")
    bar = figure.colorbar(scale, cax=figure.add_axes((0.915, 0.25, 0.02, 0.5)), extend="both")
    bar.set_label("weight ÷ even weight (grey: unseen)")
    if view.clusters is not None:
        figure.legend(handles=_window_key(), loc="lower center", ncols=4)
