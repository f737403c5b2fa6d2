"""Figures of what k-means learnt: cluster maps, typical patches, centroids over training; and their words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from srlab.analysis.centroids import (
    ClusterMap,
    ClusterView,
    Patch,
    largest_first,
    total_sizes,
    typical_patches,
)
from srlab.plots.labels import SMALL, Name, name_lines, tell
from srlab.plots.maps import LR_PIXELS
from srlab.plots.style import DOUBLE, HOUSE, INK, bare, blank
from srlab.stats.frames import count
from srlab.stats.sentences import NOT_KEPT
from srlab.stats.tables import NAMES

Colours = Float[np.ndarray, "k 3"]

#: Of the cluster that was asked for, on every map, bar and line; none of viridis comes near it.
CHOSEN = "#D55E00"
OTHERS = "#bbbbbb"
MARKERS = "osD^vP*X"
DRAWN = 256  # pixels a side of a map in `cluster_view`, about


def cluster_colours(maps: Sequence[ClusterMap]) -> Colours:
    """A colour for each cluster, alike where clusters are alike.

    Clusters are put in a row along the first principal component of the tokens' centroids, and viridis is
    laid along that row: each takes as much of it as the square root of its size, so that large clusters are
    told apart and small ones still differ. Viridis is even in lightness to every eye, also without hue; the
    row runs from dark to light as the tokens do.

    Parameters
    ----------
    maps : sequence of ClusterMap
        Of one or more images, by the same centroids.
    """
    k = maps[0].count
    sizes = total_sizes(maps)
    light = np.sum([np.bincount(each.clusters.ravel(), each.picture.mean(-1).ravel(), k) for each in maps], 0)
    share = sizes / sizes.sum()
    centred = maps[0].centroids - share @ maps[0].centroids
    component = np.linalg.svd(np.sqrt(share)[:, None] * centred, full_matrices=False)[2][0]
    place = centred @ component
    if place @ (light - share * light.sum()) < 0:
        place = -place
    row = np.argsort(place, kind="stable")
    width = np.sqrt(sizes[row])
    colours = np.empty((k, 3))
    colours[row] = colormaps["viridis"]((width.cumsum() - width / 2) / width.sum())[:, :3]
    return colours


def draw_cluster_map(ax: Axes, clusters: ClusterMap, colours: Colours, chosen: int | None = None) -> None:
    """The cluster of each token in colour; with one chosen, it is vermilion and the others are pale."""
    shown = colours
    if chosen is not None:
        shown = 0.55 * colours + 0.45
        shown[chosen] = to_rgb(CHOSEN)
    bare(ax)
    ax.set_label(LR_PIXELS)
    ax.imshow(shown[clusters.clusters], interpolation="nearest")


def draw_cluster_image(ax: Axes, clusters: ClusterMap, chosen: int | None = None) -> None:
    """The LR image; with a cluster chosen, it is grey and the cluster's tokens are vermilion."""
    image = clusters.picture / 255
    if chosen is not None:
        own = (clusters.clusters == chosen)[..., None]
        grey = image.mean(-1, keepdims=True)
        image = np.where(own, 0.4 * grey + 0.6 * np.array(to_rgb(CHOSEN)), grey)
    bare(ax)
    ax.set_label(LR_PIXELS)
    ax.imshow(image, interpolation="nearest")


def draw_cluster_sizes(
    ax: Axes, clusters: ClusterMap, colours: Colours, chosen: int | None = None, bars: int = 10
) -> None:
    """Shares of tokens of the largest clusters, and of the one chosen, as bars; the rest in a grey one."""
    shown = largest_first([clusters])[:bars]
    if chosen is not None and chosen not in shown:
        shown[-1] = chosen
    percent = 100 * clusters.sizes / clusters.sizes.sum()
    lengths = [percent[cluster] for cluster in shown]
    fills = [CHOSEN if cluster == chosen else colours[cluster] for cluster in shown]
    names = [str(cluster) for cluster in shown]
    if clusters.count > len(shown):
        lengths, fills = [*lengths, max(0.0, 100 - sum(lengths))], [*fills, OTHERS]
        names.append(f"{clusters.count - len(shown)} others")
    places = range(len(names))
    ax.barh(places, lengths, color=fills, height=0.8)
    beside = ax.get_yaxis_transform()  # a key for those whose bar is too short to have a colour
    ax.scatter([-0.035] * len(names), places, c=fills, marker="s", s=22, transform=beside, clip_on=False)
    for place, length in zip(places, lengths, strict=True):
        words = f"{length:.1f}" if length == 0 or length >= 0.05 else "<0.1"
        ax.annotate(words, (length, place), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    ax.set_yticks(places, names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.2 * max(lengths)))
    ax.set_xlabel(f"share of {clusters.sizes.sum():,} tokens (%)", fontsize=SMALL)
    ax.tick_params("y", length=0, pad=11)
    ax.grid(visible=False, axis="y")


def draw_patches(ax: Axes, rows: Sequence[Sequence[Patch]], side: int, columns: int) -> None:
    """Patches in rows, most typical first; their token is framed."""
    step = side + 2
    sheet = np.full((len(rows) * step - 2, columns * step - 2, 3), 255, np.uint8)
    frames = []
    for i, patches in enumerate(rows):
        for j, patch in enumerate(patches):
            height, width, _ = patch.picture.shape
            sheet[i * step : i * step + height, j * step : j * step + width] = patch.picture
            corner = (j * step + patch.at[1] - 0.5, i * step + patch.at[0] - 0.5)
            frames.append(Rectangle(corner, 1, 1))
    bare(ax)
    ax.imshow(sheet, interpolation="nearest")
    for colour, width in (("white", 2.0), ("black", 0.8)):  # seen on any patch
        framed = PatchCollection(frames, facecolor="none", edgecolor=colour, linewidth=width)
        ax.add_collection(framed, autolim=False)


def draw_drift(ax: Axes, drift: pd.DataFrame, step: int, chosen: int) -> None:
    """How far centroids had turned since the first kept step: quartiles of all, and the one chosen."""
    _spread(ax, drift, "from_first", {"color": INK, "label": "all: median, quartiles"})
    own = drift[drift["cluster"] == chosen]
    ax.plot(own["step"], own["from_first"], color=CHOSEN, marker="o", ms=3, label=f"cluster {chosen}")
    ax.axvline(step, color=INK, linewidth=0.9, linestyle=":")
    ax.set(xlabel="step", ylabel=f"angle from step {drift['step'].min()} (°)")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left", frameon=True, edgecolor="none", framealpha=1)


def _spread(ax: Axes, frame: pd.DataFrame, column: str, style: dict) -> None:
    """Median and quartiles of a column at each step."""
    quartiles = frame.groupby("step")[column].quantile([0.25, 0.5, 0.75]).unstack()
    ax.fill_between(quartiles.index, quartiles[0.25], quartiles[0.75], color=style["color"], alpha=0.18, lw=0)
    ax.plot(quartiles.index, quartiles[0.5], **style)


@rc_context(HOUSE)
def cluster_maps(divided: dict[str, tuple[ClusterMap, Colours]]) -> Figure:
    """A whole image divided into clusters: a column a title; the map, and below it sizes in the colours of the map."""
    first = next(iter(divided.values()))[0]
    columns = 1 + len(divided)
    figure = blank(DOUBLE, DOUBLE / columns * first.picture.shape[0] / first.picture.shape[1] + 3.1)
    (image, *maps), (corner, *bars) = figure.subplots(2, columns)
    draw_cluster_image(image, first)
    image.set_title(f"LR, {first.picture.shape[1]}×{first.picture.shape[0]} px")
    bare(corner)
    for above, below, (title, (each, colours)) in zip(maps, bars, divided.items(), strict=True):
        draw_cluster_map(above, each, colours)
        draw_cluster_sizes(below, each, colours)
        above.set_title(title)
    used = ", ".join(
        f"{np.count_nonzero(each.sizes)} of {each.count} ({title})" for title, (each, _) in divided.items()
    )
    tell(
        figure,
        f"Clusters in use in this image: {used}",
        f"One image, {first.sizes.sum():,} tokens. Alike in direction, alike in colour, from dark to light as the "
        "tokens are. Below: the largest clusters, by their number, in their colours.",
    )
    return figure


@rc_context(HOUSE)
def patch_sheet(
    maps: Sequence[ClusterMap],
    clusters: Sequence[int],
    colours: Colours,
    columns: int = 10,
    side: int = 15,
) -> Figure:
    """The most typical patches of clusters, a row a cluster: see `srlab.analysis.centroids.typical_patches`.

    Parameters
    ----------
    maps : sequence of ClusterMap
        Of one or more images, by the same centroids.
    clusters : sequence of int
    colours : Float[np.ndarray, "k 3"]
        `cluster_colours`, shown at the left.
    columns : int
        Patches in a row.
    side : int
        Of a patch, in LR pixels.
    """
    sizes = total_sizes(maps)
    rows = [typical_patches(maps, cluster, columns, side) for cluster in clusters]
    label, head, foot = 1.35, 0.3, 0.3  # inches
    wide, step = DOUBLE - label - 0.05, side + 2
    inch = (columns * step - 2) / wide  # in pixels of the patches
    tall = (len(rows) * step - 2) / inch
    height = tall + head + foot
    figure = Figure((DOUBLE, height))
    ax = figure.add_axes((label / DOUBLE, foot / height, wide / DOUBLE, tall / height))
    draw_patches(ax, rows, side, columns)
    for i, (cluster, patches) in enumerate(zip(clusters, rows, strict=True)):
        nearness = "empty"
        if patches:
            nearness = f"cosine {patches[0].similarity:.3f} to {patches[-1].similarity:.3f}"
        words = f"cluster {cluster}\n{sizes[cluster] / sizes.sum():.1%} of tokens\n{nearness}"
        middle = i * step + side / 2 - 0.5
        ax.text(-0.24 * inch, middle, words, ha="right", va="center", fontsize=SMALL, clip_on=False)
        swatch = Rectangle((-0.18 * inch, i * step - 0.5), 0.1 * inch, side, color=colours[cluster])
        ax.add_patch(swatch).set_clip_on(False)
    held = sizes[list(clusters)].sum() / sizes.sum()
    tell(
        figure,
        f"{100 * held:.0f} % of the tokens are in these {count(len(clusters), 'cluster')}, here by what is nearest "
        "to each centroid",
        f"{side}×{side} LR px around tokens of {count(len(maps), 'image')}, {sizes.sum():,} tokens; the nearest "
        "first, framed.",
    )
    return figure


@rc_context(HOUSE)
def centroid_drift(drift: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """Centroids over training, a line a number of clusters k: how they turn, and what they make of images.

    Parameters
    ----------
    drift, evenness : DataFrame
        As of `srlab.analysis.centroids.drift` and `evenness_over_training`; empty if no run kept its centroids.
    """
    figure = blank(DOUBLE, 5.1)
    if drift.empty:
        figure.set_size_inches(DOUBLE, 1)
        figure.text(0.5, 0.5, NOT_KEPT, ha="center", va="center")
        return figure
    grid = figure.subplots(2, 2, sharex=True)
    (first, speed), (even, elsewhere) = grid
    steps = drift.groupby(["run", "layer", "cluster"])["step"].diff()
    drift = drift.assign(speed=100 * drift["from_previous"] / steps)
    percent = evenness.assign(elsewhere=100 * evenness["elsewhere"])
    values, names = sorted(drift["clusters"].unique()), {}
    for i, k in enumerate(values):
        colour = colormaps["viridis"](0.85 * i / max(1, len(values) - 1))
        style = {"color": to_hex(colour), "marker": MARKERS[i % len(MARKERS)], "ms": 4}
        for ax, frame, column in (
            (first, drift, "from_first"),
            (speed, drift.dropna(subset="speed"), "speed"),
            (even, percent, "gini"),
            (elsewhere, percent, "elsewhere"),
        ):
            own = frame[frame["clusters"] == k]
            _spread(ax, own, column, style)
            last = own["step"].max()
            end = own.loc[own["step"] == last, column].median()
            names.setdefault(ax, []).append(Name(f"k = {k}", last, end, style["color"]))
    runs, images = int(drift.groupby("clusters")["run"].nunique().min()), evenness["name"].nunique()
    first.set_title(f"(a) turn since step {drift['step'].min()}")
    speed.set_title("(b) turn since the kept step before")
    even.set_title("(c) evenness of clusters")
    elsewhere.set_title("(d) tokens not yet in their last cluster")
    first.set_ylabel("angle (°)")
    speed.set_ylabel("angle (° per 100 steps)")
    even.set_ylabel(NAMES["gini"])
    elsewhere.set_ylabel("share of tokens (%)")
    for ax in (first, speed, elsewhere):
        ax.set_ylim(bottom=0)
    even.set_ylim(0, 1.03)
    for ax in grid[1]:
        ax.set_xlabel("step")
    turned = drift[drift["step"] == drift["step"].max()].groupby("clusters")["from_first"].median()
    told = ", ".join(f"{angle:.0f}° (k = {k})" for k, angle in turned.items())
    tell(
        figure,
        f"In training half of the centroids turn by {told} or more",
        f"Lines: medians, bands: quartiles, over (a, b) the k centroids of {count(runs, 'run')} each, (c, d) "
        f"{count(images, 'image')}, divided by the centroids of each kept step.",
    )
    name_lines(names)
    return figure


@rc_context(HOUSE)
def cluster_view(view: ClusterView, figure: Figure | None = None) -> Figure:
    """One cluster at one step of training: where it is in the image, how large, how typical, how it moved.

    Parameters
    ----------
    view : ClusterView
        `srlab.analysis.centroids.view_cluster`.
    figure : Figure, optional
        To fill in place of a new one. Everything is laid out by hand, for that is fast.
    """
    figure = figure or Figure((DOUBLE, 5.2))
    figure.clear()

    def axes(words: str, *rectangle: float) -> Axes:
        """Axes with a title that is mere text, for placing a real one takes a third of the time."""
        ax = figure.add_axes(rectangle)
        ax.text(0.5, 1.03, words, transform=ax.transAxes, ha="center", va="bottom")
        return ax

    colours = cluster_colours([view.last])
    height, width, _ = view.now.picture.shape
    smaller = ", drawn smaller" if max(height, width) > DRAWN else ""
    image = axes(f"cluster {view.cluster} in {width}×{height} LR px{smaller}", 0.01, 0.51, 0.33, 0.44)
    draw_cluster_image(image, view.now, view.cluster)
    clusters = axes(f"clusters at step {view.step}", 0.35, 0.51, 0.33, 0.44)
    draw_cluster_map(clusters, view.now, colours, view.cluster)
    sizes = axes("sizes, by cluster number", 0.78, 0.58, 0.2, 0.37)
    draw_cluster_sizes(sizes, view.now, colours, view.cluster)
    patches = axes(f"its most typical patches, {view.side}×{view.side} LR px", 0.01, 0.03, 0.5, 0.38)
    columns = 5
    if view.patches:
        rows = [view.patches[i : i + columns] for i in range(0, len(view.patches), columns)]
        draw_patches(patches, rows, view.side, columns)
    else:
        bare(patches)
        patches.text(0.5, 0.5, "empty: no token of this image is in it", ha="center", va="center")
    drift = axes("how far centroids had turned", 0.6, 0.09, 0.38, 0.32)
    if view.drift is None:
        bare(drift)
        drift.text(0.5, 0.5, NOT_KEPT.replace(": ", ":\n"), ha="center", va="center")
    else:
        draw_drift(drift, view.drift, view.step, view.cluster)
    return figure
