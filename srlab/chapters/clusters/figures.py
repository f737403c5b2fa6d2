"""Figures of clusters: how even they are, what leaves them empty, how centroids move, and what clusters hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib import colormaps, rc_context
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from srlab.chapters.clusters.frames import effective
from srlab.chapters.clusters.maps import SIDE, ClusterMap, Patch, divided, largest_first, total_sizes, typical_patches
from srlab.plots.charts import lines
from srlab.plots.estimates import forest, sweep
from srlab.plots.images import LR_PIXELS, pictures, show
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.plots.text import caption, name_lines
from srlab.stats.tables import NAMES
from srlab.stats.words import count, percent
from srlab.study.study import Study

Colours = Float[np.ndarray, "k 3"]

#: Colour of the cluster in question, on every map and line; none of viridis comes near it.
CHOSEN = "#D55E00"
#: Networks of this chapter are in the colour of this one.
MODEL = "lcoan"
#: Typical patches: rows and columns; pixels of the figure for a pixel of a patch.
ROWS, COLUMNS, ZOOM = 6, 8, 8


@rc_context(HOUSE)
def cluster_evenness(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw evenness of clusters and the share of windows with one cluster, a row a group of networks."""
    groups = {"clusters": tables["clusters_evenness"]}
    groups |= {name: tables[f"{name}_evenness"] for name in ("window", "centroids") if f"{name}_evenness" in tables}
    words = {"gini": "Gini coefficient of sizes", "pure_windows": "windows of 1 cluster (share)"}
    figure = blank(DOUBLE, 2.1 * len(groups) + 0.7)
    for axes, (group, table) in zip(figure.subplots(len(groups), 2, squeeze=False), groups.items(), strict=True):
        by = "arm" if group == "centroids" else group
        for ax, (column, name) in zip(axes, words.items(), strict=True):
            middle = table.groupby(by, sort=False)[column].quantile([0.5, 0.25, 0.75]).unstack()
            found = middle.set_axis(["value", "low", "high"], axis=1).reset_index().assign(model=MODEL)
            each = table.groupby([by, "name"], sort=False)[column].mean()
            dots = each.droplevel("name").rename("value").reset_index()
            if by == "arm":
                forest(ax, *(each.rename(columns={by: "name"}) for each in (found, dots)), zero=None)
                ax.set_xlabel(name)
            else:
                sweep(ax, *(each.rename(columns={by: "x"}) for each in (found, dots)), model=MODEL, zero=None)
                ax.set(xlabel=NAMES[by], ylabel=name)
    images, seeds = count(table["name"].nunique(), "image"), count(table["seed"].nunique(), "seed")
    note = f"Large: median, bars: quartiles, of {images} and {seeds}; small: each image. Gini: 0 if clusters are equal."
    caption(figure, "How evenly clusters divide images, and windows with a single cluster", note)
    return figure


def ways_together(sizes: pd.DataFrame) -> pd.DataFrame:
    """Summarise all images together: way, run, empty, largest, effective."""
    each = sizes.groupby(["way", "run"], sort=False)["tokens"]
    shares = {"empty": each.agg(lambda held: (held == 0).sum()), "largest": each.max() / each.sum()}
    return pd.DataFrame(shares | {"effective": each.agg(lambda held: effective(held.to_numpy()))}).reset_index()


@rc_context(HOUSE)
def cluster_ways(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how evenly each way of k-means divides the same tokens."""
    sizes, images = tables["cluster_ways_sizes"], tables["cluster_ways_evenness"]
    together = ways_together(sizes).groupby("way", sort=False)[["empty", "largest", "effective"]].median()
    words = {"empty": "empty clusters", "largest": "share of the largest cluster", "effective": "effective clusters"}
    figure = blank(DOUBLE, 2.6)
    for ax, (column, name) in zip(figure.subplots(1, 3, sharey=True), words.items(), strict=True):
        found = pd.DataFrame({"name": together.index, "value": together[column], "low": np.nan, "high": np.nan})
        each = images.groupby(["way", "name"], sort=False)[column].mean().reset_index()
        forest(ax, found.assign(model=MODEL), each.drop(columns="name").set_axis(["name", "value"], axis=1), zero=None)
        ax.set(xlabel=name)
        ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    tokens = sizes.groupby(["run", "way"])["tokens"].sum().iloc[0]
    note = f"k = {sizes['clusters'].iloc[0]}; large: {tokens:,} tokens of all images together, median over "
    note += f"{count(sizes['seed'].nunique(), 'seed')}; small: each of {count(images['name'].nunique(), 'image')}. "
    note += "Effective: exponential of the entropy of sizes."
    caption(figure, "The same tokens divided by five ways of k-means", note)
    return figure


@rc_context(HOUSE)
def cluster_drift(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how far centroids turned in training, and how many tokens were in another cluster than at the end."""
    training = tables["clusters_training"].groupby(["arm", "step"], sort=False)["elsewhere"]
    found = {
        ("by k", "turn since the first step (°)"): _turn(tables["clusters_drift"]),
        ("by k", "tokens elsewhere (share)"): training.quantile([0.5, 0.25, 0.75]).unstack(),
    }
    if "centroids_drift" in tables:
        found["by update", "turn since the first step (°)"] = _turn(tables["centroids_drift"])
    figure, names = blank(DOUBLE, 2.9), {}
    for ax, ((title, words), table) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        own = table.set_axis(["y", "y_low", "y_high"], axis=1).reset_index()
        arms = list(own["arm"].unique())
        shades = {arm: to_hex(colormaps["viridis"](0.85 * i / max(1, len(arms) - 1))) for i, arm in enumerate(arms)}
        names[ax] = lines(ax, own.assign(name=own["arm"], x=own["step"], model=MODEL, colour=own["arm"].map(shades)))
        ax.set(xlabel="step of training", ylabel=words, title=title)
        ax.set_ylim(bottom=0)
    note = "Lines: medians, bands: quartiles, over centroids, or over images divided by each kept step's centroids."
    caption(figure, "Movement of centroids in training", note)
    name_lines(names)
    return figure


def _turn(drift: pd.DataFrame) -> pd.DataFrame:
    return drift.groupby(["arm", "step"], sort=False)[["median", "q25", "q75"]].median()


def cluster_maps(study: Study, settings: object) -> Figure:
    """Draw an image divided by the trained centroids of each k."""
    maps = {k: _divided(study, k, study.pictures[:1])[0] for k in settings.clusters}
    first = next(iter(maps.values()))
    row = [(f"LR: {study.pictures[0].name}", first.picture)]
    for k, own in maps.items():
        coloured = np.uint8(255 * mapped(own, cluster_colours([own])))
        row.append((f"k = {k}: {np.count_nonzero(own.sizes)} in use", coloured))
    note = f"First seed, {first.sizes.sum():,} tokens. Colours: similar centroids, from dark to light as their tokens."
    return pictures([row], "One image divided by the centroids of each k", note)


def _divided(study: Study, k: int, refs: Sequence) -> list[ClusterMap]:
    run = study.training("lcoan", clusters=k)
    return divided(study.obtain_weights(run).network(), refs, run.scale)


def typical(study: Study, settings: object) -> Figure:
    """Draw the places nearest to the centroids of the largest clusters, a row a cluster, for the middle k."""
    k = settings.clusters[len(settings.clusters) // 2]
    maps = _divided(study, k, study.pictures[:8])
    sizes, rows = total_sizes(maps), []
    for cluster in [each for each in largest_first(maps)[:ROWS] if sizes[each]]:
        patches = typical_patches(maps, cluster, COLUMNS)
        words = [f"cluster {cluster}: {percent(sizes[cluster] / sizes.sum())}", *("" for _ in patches[1:])]
        rows.append([(word, framed(patch)) for word, patch in zip(words, patches, strict=True)])
    note = f"k = {k}, first seed, {count(len(maps), 'image')}; below: each cluster's share of {sizes.sum():,} tokens. "
    note += f"Patches: {SIDE}×{SIDE} LR px; the nearest token first, framed."
    return pictures(rows, "Places nearest to the centroids of the largest clusters", note)


# --- colours and patches ----------------------------------------------------------------------------------------------


def cluster_colours(maps: Sequence[ClusterMap]) -> Colours:
    """Choose a colour for each cluster, similar for similar clusters.

    Viridis runs along the first principal component of the tokens' centroids, from dark to light as the tokens. Each
    cluster takes as much of it as the square root of its size: large clusters differ most, and small ones still differ.
    """
    k, sizes = len(maps[0].centroids), total_sizes(maps)
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


def mapped(clusters: ClusterMap, colours: Colours, chosen: int | None = None) -> Float[np.ndarray, "h w 3"]:
    """Colour each token by its cluster; a chosen cluster is vermilion, and the others are pale."""
    if chosen is not None:
        colours = 0.55 * colours + 0.45
        colours[chosen] = to_rgb(CHOSEN)
    return colours[clusters.clusters]


def framed(patch: Patch) -> UInt8[np.ndarray, "_h _w 3"]:
    """Enlarge a patch, and frame its token in white and black, visible on any patch."""
    large = patch.picture.repeat(ZOOM, 0).repeat(ZOOM, 1)
    top, left = (ZOOM * at for at in patch.at)
    for inset, level in ((0, 255), (1, 0)):
        box = large[top + inset : top + ZOOM - inset, left + inset : left + ZOOM - inset]
        box[[0, -1]] = box[:, [0, -1]] = level
    return large


@rc_context(HOUSE)
def cluster_view(figure: Figure, now: ClusterMap, last: ClusterMap, cluster: int, degrees: pd.DataFrame | None) -> None:
    """Draw one cluster at one step: its tokens, all clusters, its typical places, and how far its centroid turned.

    `now` is by the centroids of the step, `last` by the last ones, which give the colours; `degrees` has step, chosen,
    q25, median, q75: angles from the first kept step.
    """
    figure.clear()
    image = now.picture / 255
    grey, own = image.mean(-1, keepdims=True), (now.clusters == cluster)[..., None]
    shown = np.where(own, 0.4 * grey + 0.6 * np.array(to_rgb(CHOSEN)), np.broadcast_to(grey, image.shape))
    show(figure.add_axes((0.01, 0.47, 0.48, 0.47)), shown, title=f"cluster {cluster}", label=LR_PIXELS)
    colours = mapped(now, cluster_colours([last]), cluster)
    show(figure.add_axes((0.51, 0.47, 0.48, 0.47)), colours, title="all clusters", label=LR_PIXELS)
    patches = [framed(patch) for patch in typical_patches([now], cluster, 2 * COLUMNS)]
    sheet = np.full((2 * (SIDE + 1) * ZOOM, COLUMNS * (SIDE + 1) * ZOOM, 3), 255, np.uint8)
    for number, patch in enumerate(patches):
        top, left = (at * (SIDE + 1) * ZOOM for at in divmod(number, COLUMNS))
        sheet[top : top + len(patch), left : left + patch.shape[1]] = patch
    words = "its typical places" if patches else "no token of this image"
    show(figure.add_axes((0.01, 0.03, 0.55, 0.36)), sheet, title=words)
    if degrees is not None:
        ax = figure.add_axes((0.66, 0.1, 0.32, 0.27))
        rows = degrees.rename(columns={"step": "x"}).assign(model=MODEL)
        every = rows.assign(name="all", y=rows["median"], y_low=rows["q25"], y_high=rows["q75"], colour=INK)
        lines(ax, pd.concat([every, rows.assign(name="cluster", y=rows["chosen"], colour=CHOSEN)]))
        ax.set(xlabel="step", ylabel="degrees", title="turn of its centroid; grey: all, quartiles")
