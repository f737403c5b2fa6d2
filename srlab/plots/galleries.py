"""Figures of many views: where queries look, in several layers, networks and images."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from textwrap import fill

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import NullLocator

from srlab.analysis.explore import Look
from srlab.analysis.sorting import NEXT, OWN, PREVIOUS, UNSEEN
from srlab.analysis.views import Groups, View, Windows
from srlab.plots.labels import SMALL, Name, name_lines, tell
from srlab.plots.maps import OWN_GROUP, WEIGHTS, WINDOWS, draw_image, draw_panel, draw_weights
from srlab.plots.marks import rows as named_rows
from srlab.plots.style import DOUBLE, HOUSE, INK, bare, blank, look
from srlab.stats.frames import count

#: What colours of sorted windows mean.
SORTED = "Windows of the sorted sequence: black is the query's own, blue the previous, orange the next."
SCALE = "weight ÷ weight of an even spread over all tokens (pale grey: unseen)"
COLUMNS = 6
#: Letters of a title above a map of `COLUMNS` in a row.
LETTERS = 19


@rc_context(HOUSE)
def weight_maps(rows: Sequence[dict[str, View]], reach: pd.DataFrame) -> Figure:
    """Where queries look: a row a query, first the LR image, then the weights of a layer; and entropies by layer.

    Parameters
    ----------
    rows : sequence of dict
        Of each query the views of layers by their titles.
    reach : DataFrame
        As of `srlab.analysis.reach`, with model and layer.
    """
    columns, below = 1 + len(rows[0]), 1.9
    height = DOUBLE / columns * len(rows) + 0.8
    figure = blank(DOUBLE, height + below + 0.9)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, below])
    grid = upper.subplots(len(rows), columns, squeeze=False)
    for axes, views in zip(grid, rows, strict=True):
        draw_image(axes[0], next(iter(views.values())))
        for ax, view in zip(axes[1:], views.values(), strict=True):
            draw_weights(ax, view)
    for ax, title in zip(grid[0], ("LR, query", *rows[0]), strict=True):
        ax.set_title(title)
    _key(upper, grid)
    ax = lower.subplots()
    names = _entropies(ax, reach)
    half = {title: np.mean([_half(views[title].weights) for views in rows]) for title in rows[0]}
    few, many = min(half, key=half.get), max(half, key=half.get)
    queries = len(reach) // len(reach[["model", "layer"]].drop_duplicates())
    tell(
        figure,
        f"Half of a query's weight lies on {half[few]:,.0f} tokens ({few}) to {half[many]:,.0f} ({many})",
        f"Maps and message: {count(len(rows), 'image')}; in circles the queries, each image's strongest corner. "
        f"Entropies: {count(queries, 'corner')} (dots) of the same images; large: their mean; level strokes: if all "
        "that is seen weighed alike.",
    )
    name_lines({ax: names})
    return figure


def _entropies(ax: Axes, reach: pd.DataFrame) -> list[Name]:
    """The entropy of each layer's weights, and how high it could be; what the lines are called."""
    names, models = [], list(reach["model"].unique())
    for number, model in enumerate(models):
        own, style = reach[reach["model"] == model], look(model)
        layer = 1 + own["layer"].map(list(own["layer"].unique()).index)
        bits, most = np.log2(own["keys_effective"]), np.log2(own["keys_seen"]).groupby(layer).mean()
        beside = layer + 0.06 * (number - (len(models) - 1) / 2)
        ax.scatter(beside, bits, s=6, color=style["color"], alpha=0.4, linewidths=0)
        ax.hlines(most, most.index - 0.15, most.index + 0.15, color=style["color"], linewidth=1.5)
        mean = bits.groupby(layer).mean()
        ax.plot(mean, **style)
        names.append(Name(model, mean.index[-1], mean.iloc[-1], style["color"]))
    layers = reach.groupby("model")["layer"].nunique().max()
    ax.set_xticks(range(1, layers + 1))
    ax.set(xlabel="attention layer", ylabel="entropy of weights (bits)", ylim=(0, None))
    return names


def _half(weights: Float[np.ndarray, "h w"]) -> int:
    """The fewest tokens that hold half of all weight."""
    heaviest = np.sort(weights.ravel())[::-1].cumsum()
    return int(np.searchsorted(heaviest, heaviest[-1] / 2)) + 1


def _key(figure: FigureBase, grid: np.ndarray) -> None:
    mappable = ScalarMappable(WEIGHTS, "viridis")
    bar = figure.colorbar(mappable, ax=grid, orientation="horizontal", extend="both", aspect=50, shrink=0.7)
    bar.set_ticks([0.1, 1, 10, 100, 1000], labels=["0.1", "1", "10", "100", "1,000"])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.set_label(SCALE)
    bar.ax.grid(visible=False)


@rc_context(HOUSE)
def gallery(looks: Sequence[Look]) -> Figure:
    """One pixel in every network, or in several layers: weights above, below what is particular to the mechanism.

    Parameters
    ----------
    looks : sequence of Look
        `srlab.analysis.explore.look` at one pixel of one scene.
    """
    bands = -(-(1 + len(looks)) // COLUMNS)
    side = DOUBLE / COLUMNS
    figure = blank(DOUBLE, bands * (2 * side + 0.75) + 1.2)
    grid = figure.subplots(2 * bands, COLUMNS, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    first = looks[0].view
    draw_image(grid[0, 0], first)
    grid[0, 0].set_title(fill(f"LR, {looks[0].image}", LETTERS), fontsize=SMALL)
    for number, each in enumerate(looks, 1):
        above, below = (grid[2 * (number // COLUMNS) + row, number % COLUMNS] for row in (0, 1))
        draw_weights(above, each.view)
        above.set_title(f"{each.model}\n{fill(each.layer, LETTERS)}", fontsize=SMALL)
        if each.view.panels:
            draw_panel(each.view.panels[-1], below, each.view)
            below.set_title(fill(each.view.panels[-1].title, LETTERS), fontsize=SMALL)
        else:
            below.text(0.5, 0.5, "sees\nevery token", transform=below.transAxes, ha="center", va="center")
    _key(figure, grid)
    seen = [(np.count_nonzero(each.view.seen), each.model) for each in looks]
    (few, least), (many, most) = (of(seen, key=itemgetter(0)) for of in (min, max))
    who = "networks" if len({each.model for each in looks}) == len(looks) else "layers"
    tell(
        figure,
        f"From one pixel {who} see {few:,} ({least}) to {many:,} ({most}) of {first.seen.size:,} tokens",
        f"Above: weights of the query in the circle; below: what is particular to the mechanism. {SORTED} In red the "
        "query's window, in white those it chose; blue to red: a position bias, with its ends. Weights: "
        f"{', '.join(sorted({each.source for each in looks}))}.",
    )
    return figure


@rc_context(HOUSE)
def panel_maps(rows: Sequence[dict[str, View]]) -> Figure:
    """What is particular to mechanisms, a row a query; of those that sort, the sorted sequence as a strip.

    Parameters
    ----------
    rows : sequence of dict
        Of each query the views of layers by their titles.
    """
    columns = 1 + sum(len(view.panels) for view in rows[0].values())
    strips = [(views, title) for views in rows for title, view in views.items() if _sorts(view)]
    height = DOUBLE / columns * len(rows) + 0.4
    figure = blank(DOUBLE, height + 0.42 * len(strips) + 1.1)
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, 0.42 * len(strips) + 0.4])
    grid = upper.subplots(len(rows), columns, squeeze=False)
    for number, (axes, views) in enumerate(zip(grid, rows, strict=True), 1):
        draw_image(axes[0], next(iter(views.values())))
        axes[0].set_title(f"LR, query {number}")
        drawn = [(title, view, panel) for title, view in views.items() for panel in view.panels]
        for ax, (title, view, panel) in zip(axes[1:], drawn, strict=True):
            draw_panel(panel, ax, view)
            if number == 1:
                ax.set_title(f"{title}:\n{fill(panel.title, 22)}")
    shares = []
    for axes, (views, title) in zip(lower.subplots(len(strips), 2, squeeze=False), strips, strict=True):
        shares.append(_strip(*axes, views[title]))
        number = next(i for i, each in enumerate(rows, 1) if each is views)
        axes[0].set_ylabel(f"query {number},\n{title}", rotation=0, ha="right", va="center", fontsize=SMALL)
    lower.axes[0].set_title("all tokens, sorted by cluster")
    lower.axes[1].set_title("the same around the query's windows")
    tell(
        figure,
        f"Of what queries see, {100 * min(shares):.0f} to {100 * max(shares):.0f} % lies in their own cluster, in "
        "reading order",
        f"{SORTED} Vermilion: the query's cluster. Strips: greys alternate from cluster to cluster, black strokes "
        "are borders of windows, the red one is the query. Where a cluster is longer than three windows, they hold "
        "neighbours in reading order: stripes in the image.",
    )
    return figure


def _sorts(view: View) -> bool:
    return {Groups, Windows} <= {type(panel) for panel in view.panels}


def _strip(whole: Axes, near: Axes, view: View) -> float:
    """The sorted sequence as a strip, and a part of it; the share of what is seen that is in the query's cluster."""
    groups = next(panel for panel in view.panels if isinstance(panel, Groups))
    windows = next(panel for panel in view.panels if isinstance(panel, Windows)).labels.ravel()
    order = groups.labels.ravel().argsort(kind="stable")
    labels, seen = groups.labels.ravel()[order], windows[order]
    query = int(np.flatnonzero(order == view.row * view.picture.shape[1] + view.col)[0])
    alternate = np.cumsum(np.diff(labels, prepend=labels[0]) != 0) % 2
    colours = np.where(alternate[:, None], (0.93, 0.93, 0.93, 1.0), (0.76, 0.76, 0.76, 1.0))
    colours[seen != UNSEEN] = WINDOWS[seen[seen != UNSEEN]]
    own = np.flatnonzero(seen == OWN)
    long = len(own)
    for ax in (whole, near):
        ax.imshow(colours[None], aspect="auto", interpolation="nearest", extent=(0, len(order), 0, 1))
        ax.axvline(query + 0.5, color="#D50000", linewidth=1.2)
        ax.set(yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    own_group = np.flatnonzero(labels == groups.own)
    for ax in (whole, near):
        ax.plot((own_group[0], own_group[-1] + 1), (1.12, 1.12), color=OWN_GROUP, linewidth=2.5, clip_on=True)
        ax.set_ylim(0, 1.25)
    for border in range(own[0] % long, len(order), long):
        near.axvline(border, color="black", linewidth=0.5)
    near.set_xlim(max(0, own[0] - 3 * long), min(len(order), own[-1] + 1 + 3 * long))
    for ax in (whole, near):
        ax.locator_params(axis="x", nbins=4)
    return float((labels[np.isin(seen, (PREVIOUS, OWN, NEXT))] == groups.own).mean())


@rc_context(HOUSE)
def reach(
    picture: UInt8[np.ndarray, "h w 3"],
    place: tuple[int, int],
    maps: dict[str, tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]],
    attributed: pd.DataFrame,
) -> Figure:
    """Effective receptive field above, local attribution map below, a column a network; and how widely, at many places.

    Parameters
    ----------
    picture : UInt8[np.ndarray, "h w 3"]
        The LR image of the maps.
    place : tuple of int
        Row and column.
    maps : dict of str to tuple
        Of each network receptive field and attribution map.
    attributed : DataFrame
        model, name, row, col, diffusion_index (0 to 100) of each network at many places.
    """
    bands = -(-len(maps) // COLUMNS)
    wide = 2 * DOUBLE / COLUMNS + 0.3
    figure = blank(DOUBLE, bands * wide + 0.17 * len(maps) + 1.8)
    upper, lower = figure.subfigures(2, 1, height_ratios=[bands * wide, 0.17 * len(maps) + 0.8])
    grid = upper.subplots(2 * bands, COLUMNS, squeeze=False)
    for ax in grid.flat:
        bare(ax)
    for number, (model, (field, attribution)) in enumerate(maps.items()):
        band, column = divmod(number, COLUMNS)
        above, below = grid[2 * band, column], grid[2 * band + 1, column]
        decades = np.log10(np.maximum(field / field.max(), 1e-4))
        above.imshow(decades, cmap="magma", vmin=-4, vmax=0)
        above.set_title(model)
        below.imshow(picture)
        strength = np.clip(attribution / np.percentile(attribution, 99.9), 0, 1)
        below.imshow(np.full((*strength.shape, 3), (1.0, 0.0, 0.0)), alpha=0.9 * np.sqrt(strength))
        for ax in (above, below):
            ax.plot(place[1], place[0], marker="+", color="white", markersize=5)
    ax = lower.subplots()
    index = attributed.groupby("model", sort=False)["diffusion_index"]
    for y, (model, own) in enumerate(index):
        style = look(model) | {"linestyle": "none", "markeredgecolor": INK, "markersize": 6}
        ax.scatter(own, y + np.linspace(0.0, 0.35, len(own)), s=6, color=style["color"], alpha=0.5, linewidths=0)
        ax.plot(own.mean(), y - 0.15, **style)
    named_rows(ax, list(index.groups))
    ax.set(xlabel="diffusion index (100: every LR pixel of the image contributes alike)", xlim=(0, None))
    middle, places = index.mean(), len(attributed[["name", "row", "col"]].drop_duplicates())
    tell(
        figure,
        f"{middle.idxmax()} draws on its surroundings most widely, diffusion index {middle.max():.2f}; "
        f"{middle.idxmin()} least, {middle.min():.2f}",
        "Maps of one place, +: above the effective receptive field, four decades of magma; below, red, what "
        f"contributed to the detail there (local attribution). Dots: {count(places, 'place')}, the strongest corners "
        f"of {count(attributed['name'].nunique(), 'image')}; large: their mean.",
    )
    return figure
