"""Figures of many views: the attention of queries in several layers, networks and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.analysis.explore import Look
from srlab.analysis.sorting import OWN, UNSEEN
from srlab.analysis.views import Groups, View, Windows
from srlab.plots.images import QUERY, key, show
from srlab.plots.maps import OWN_GROUP, WINDOWS, draw_image, draw_panel, draw_weights
from srlab.plots.style import DOUBLE, HOUSE, bare, blank
from srlab.plots.text import SMALL, caption

SCALE = "weight ÷ weight of an even spread over all pixels (pale grey: not visible)"
COLUMNS = 6
#: Letters of a title above a map of `COLUMNS` in a row.
LETTERS = 19


@rc_context(HOUSE)
def weight_maps(rows: Sequence[Mapping[str, View]], title: str, note: str) -> Figure:
    """Draw weights: a row a query, its LR image and its views by layer; all rows have the same layers."""
    columns = 1 + len(rows[0])
    figure = blank(DOUBLE, DOUBLE / columns * len(rows) + 1.5)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, views in zip(grid, rows, strict=True):
        draw_image(axes[0], next(iter(views.values())))
        for ax, view in zip(axes[1:], views.values(), strict=True):
            draw_weights(ax, view)
    for ax, name in zip(grid[0], ("LR, query", *rows[0]), strict=True):
        ax.set_title(fill(name, LETTERS), fontsize=SMALL)
    key(figure, grid, SCALE)
    caption(figure, title, note)
    return figure


@rc_context(HOUSE)
def gallery(looks: Sequence[Look], title: str, note: str) -> Figure:
    """Draw looks at one pixel of one scene, in several networks or layers: weights, and below them the SR around it."""
    bands = -(-(1 + len(looks)) // COLUMNS)
    figure = blank(DOUBLE, bands * (2 * DOUBLE / COLUMNS + 0.75) + 1.1)
    grid = figure.subplots(2 * bands, COLUMNS, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    draw_image(grid[0, 0], looks[0].view)
    grid[0, 0].set_title(fill(f"LR, {looks[0].image}", LETTERS), fontsize=SMALL)
    show(grid[1, 0], looks[0].restored.hr, title="HR around the query")
    for number, look in enumerate(looks, 1):
        above, below = (grid[2 * (number // COLUMNS) + row, number % COLUMNS] for row in (0, 1))
        draw_weights(above, look.view)
        above.set_title(f"{fill(look.title, LETTERS)}\n{fill(look.layer, LETTERS)}", fontsize=SMALL)
        show(below, look.restored.sr, title=f"SR, {look.restored.psnr_here:.2f} dB")
    key(figure, grid, SCALE)
    caption(figure, title, note)
    return figure


@rc_context(HOUSE)
def sorted_maps(rows: Sequence[Mapping[str, View]], title: str, note: str) -> Figure:
    """Draw clusters and windows of layers that sort tokens, in rows as `weight_maps`; below, the sorted sequence."""
    columns = 1 + sum(len(view.panels) for view in rows[0].values())
    strips = [(number, name, view) for number, views in enumerate(rows, 1) for name, view in views.items()]
    height, below = DOUBLE / columns * len(rows) + 0.4, 0.42 * len(strips) + 0.4
    figure = blank(DOUBLE, height + below + 0.8)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, below])
    grid = upper.subplots(len(rows), columns, squeeze=False)
    for number, (axes, views) in enumerate(zip(grid, rows, strict=True), 1):
        draw_image(axes[0], next(iter(views.values())))
        axes[0].set_title(f"LR, query {number}")
        drawn = [(name, view, panel) for name, view in views.items() for panel in view.panels]
        for ax, (name, view, panel) in zip(axes[1:], drawn, strict=True):
            draw_panel(panel, ax, view)
            if number == 1:
                ax.set_title(f"{name}:\n{fill(panel.title, 22)}")
    for axes, (number, name, view) in zip(lower.subplots(len(strips), 2, squeeze=False), strips, strict=True):
        _strip(*axes, view)
        axes[0].set_ylabel(f"query {number},\n{name}", rotation=0, ha="right", va="center", fontsize=SMALL)
    lower.axes[0].set_title("all pixels, sorted by cluster")
    lower.axes[1].set_title("the sequence around the query's windows")
    caption(figure, title, note)
    return figure


def _strip(whole: Axes, near: Axes, view: View) -> None:
    """Draw the sorted sequence as a strip, and the part of it around the query."""
    groups = next(panel for panel in view.panels if isinstance(panel, Groups))
    windows = next(panel for panel in view.panels if isinstance(panel, Windows)).labels.ravel()
    order = groups.labels.ravel().argsort(kind="stable")
    labels, seen = groups.labels.ravel()[order], windows[order]
    query = int(np.flatnonzero(order == view.row * view.picture.shape[1] + view.col)[0])
    alternate = np.cumsum(np.diff(labels, prepend=labels[0]) != 0) % 2
    colours = np.where(alternate[:, None], (0.93, 0.93, 0.93, 1.0), (0.76, 0.76, 0.76, 1.0))
    colours[seen != UNSEEN] = WINDOWS[seen[seen != UNSEEN]]
    own, own_group = np.flatnonzero(seen == OWN), np.flatnonzero(labels == groups.own)
    long = len(own)
    for ax in (whole, near):
        ax.imshow(colours[None], aspect="auto", interpolation="nearest", extent=(0, len(order), 0, 1))
        ax.axvline(query + 0.5, color=QUERY, linewidth=1.2)
        ax.plot((own_group[0], own_group[-1] + 1), (1.12, 1.12), color=OWN_GROUP, linewidth=2.5, clip_on=True)
        ax.set(yticks=[], ylim=(0, 1.25))
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    for border in range(own[0] % long, len(order), long):
        near.axvline(border, color="black", linewidth=0.5)
    near.set_xlim(max(0, own[0] - 3 * long), min(len(order), own[-1] + 1 + 3 * long))
    for ax in (whole, near):
        ax.locator_params(axis="x", nbins=4)
