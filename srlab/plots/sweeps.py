"""Figures of one thing varied: an option of a network, or how many photographs it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.findings.frames import ALL, count, differences
from srlab.findings.tables import NAMES
from srlab.plots.marks import (
    categories,
    conditions,
    draw_gains,
    from_zero,
    images_and_seeds,
    key,
    points,
    powers,
)
from srlab.plots.studies import sweep
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look


def clusters(quality: pd.DataFrame, costs: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """The number of clusters k varied; see `srlab.plots.sweep`."""
    return sweep(quality, costs, evenness, "clusters", "gini")


def window(quality: pd.DataFrame, costs: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """The window w varied; see `srlab.plots.sweep`."""
    return sweep(quality, costs, evenness, "window", "pure_windows")


@rc_context(HOUSE)
def centroids(quality: pd.DataFrame, drift: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """How centroids are updated: quality against the paper's λ, how far they turned, how even clusters are.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`, with `update`: "frozen" or "λ = 0.9".
    drift : DataFrame
        update, seed, degrees: how far each centroid turned between its first place and the end of training.
    evenness : DataFrame
        As of `srlab.looking.sorting.evenness`, with update.
    """
    figure = blank(DOUBLE, 2.7)
    gain, turned, even = figure.subplots(1, 3)
    updates = list(quality["update"].unique())
    draw_gains(gain, quality, updates[-1], "update", like="lcoan")
    gain.set_title(f"(a) {gain.get_title()}")
    _boxes(turned, [drift.loc[drift["update"] == update, "degrees"] for update in updates], updates)
    turned.set(ylabel="turned in training (degrees)", title=f"(b) {count(len(drift), 'centroid')}")
    _boxes(even, [evenness.loc[evenness["update"] == update, "gini"] for update in updates], updates)
    even.set(ylabel=NAMES["gini"], title=f"(c) {count(evenness['name'].nunique(), 'image')}, every seed")
    even.set_ylim(-0.03, 1.03)
    return figure


def _boxes(ax: Axes, groups: Sequence[pd.Series], names: Sequence[str]) -> None:
    """Quartiles as boxes, the 5th and 95th percentile as whiskers."""
    style = look("lcoan")
    drawn = ax.boxplot(
        groups, positions=range(len(groups)), whis=(5, 95), showfliers=False, patch_artist=True
    )
    for box in drawn["boxes"]:
        box.set(facecolor=style["color"], alpha=0.3)
    for middle in drawn["medians"]:
        middle.set(color=INK)
    categories(ax, names)


@rc_context(HOUSE)
def depth(similarity: pd.DataFrame, quality: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """How alike layers are, and what it costs and gains to compute weights anew more often.

    Parameters
    ----------
    similarity : DataFrame
        model, kind ("features", "maps"), first, second, similarity.
    quality, costs : DataFrame
        As of the functions of these names, with `renewed`: every how many layers weights are computed.
    """
    models = list(similarity["model"].unique())
    figure = blank(DOUBLE, 1.75 * len(models) * 0.62 + 3.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=[2 * 0.95, 1.25])
    grid = upper.subplots(2, len(models), squeeze=False)
    names = {"features": "CKA of features", "maps": "cosine of maps"}
    for axes, (kind, words) in zip(grid, names.items(), strict=True):
        for ax, model in zip(axes, models, strict=True):
            own = similarity[(similarity["model"] == model) & (similarity["kind"] == kind)]
            cells = own.groupby(["first", "second"])["similarity"].mean().unstack()
            ax.imshow(cells, vmin=0, vmax=1, cmap="viridis")
            for (row, column), value in np.ndenumerate(cells.to_numpy()):
                colour = "white" if value < 0.6 else "black"
                ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
            ax.set(xticks=range(len(cells)), yticks=range(len(cells)), title=f"{model}: {words}")
            ax.grid(visible=False)
        axes[0].set_ylabel("layer")
    for ax in grid[-1]:
        ax.set_xlabel("layer")
    gain, time = lower.subplots(1, 2)
    values = list(quality["renewed"].unique())
    draw_gains(gain, quality, values[0], "renewed", like="lcoan")
    gain.set(xlabel="weights computed anew every … layers")
    alone = costs[costs["part"] == "non-local layers"]
    points(time, alone["renewed"], alone, "median_ms", look("lcoan"))
    from_zero(time, "y")
    time.set_xticks(values)
    time.set(xlabel="weights computed anew every … layers", ylabel=NAMES["median_ms"])
    time.set_title(f"non-local layers: {conditions(alone)}")
    return figure


@rc_context(HOUSE)
def sides(quality: pd.DataFrame) -> Figure:
    """What windows of each side gain over the smallest, with one network of window attention.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`, with `side`.
    """
    figure = blank(DOUBLE, 2.4)
    benchmarks = list(quality["benchmark"].unique())
    for ax, benchmark in zip(
        figure.subplots(1, len(benchmarks), sharey=True, squeeze=False)[0], benchmarks, strict=True
    ):
        own = quality[quality["benchmark"] == benchmark]
        draw_gains(ax, own, quality["side"].min(), "side", like="windown")
        words = ax.get_title().replace(", ", ",\n")
        ax.set(xlabel="side of the windows (px)", title=f"{benchmark}: {words}")
        ax.label_outer()
    return figure


@rc_context(HOUSE)
def units(quality: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Quality against the number of units, latency and parameters, with attention and without.

    Parameters
    ----------
    quality, costs : DataFrame
        As of the functions of these names, with `groups`.
    """
    figure = blank(DOUBLE, 2.7)
    number, latency, parameters = figure.subplots(1, 3, sharey=True)
    network = costs[costs["part"] == "network"].set_index(["model", "groups"])
    for model, own in quality.groupby("model", sort=False):
        seeds = own.groupby(["groups", "seed"])["psnr_y"].mean().unstack()
        middle, style = seeds.mean(axis=1), look(model)
        cost = network.loc[model].loc[middle.index]
        for ax, x in (
            (number, middle.index),
            (latency, cost["median_ms"]),
            (parameters, cost["parameters"] / 1e3),
        ):
            ax.plot(x, middle, **style)
            ax.vlines(x, seeds.min(axis=1), seeds.max(axis=1), color=style["color"], linewidth=2, alpha=0.5)
    powers(number, sorted(quality["groups"].unique().tolist()))
    number.set(xlabel="feature aggregation units", ylabel=NAMES["psnr_y"])
    number.set_title(f"{images_and_seeds(quality)}, bars: seeds")
    latency.set(xlabel=f"latency (ms): {conditions(network)}")
    parameters.set(xlabel="parameters (thousands)")
    figure.legend(handles=key(quality["model"]), loc="outside lower center", ncols=2)
    return figure


@rc_context(HOUSE)
def photographs(quality: pd.DataFrame) -> Figure:
    """Quality against the number of photographs trained on, and what each network gains from more of them.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`, with `photographs`.
    """
    figure = blank(DOUBLE, 2.7)
    psnr, gain = figure.subplots(1, 2)
    counts = sorted(quality["photographs"].unique().tolist())
    gains = differences(quality, "photographs", counts[0], within="model")
    gains = gains[gains["benchmark"] == (ALL if (gains["benchmark"] == ALL).any() else gains["benchmark"][0])]
    one_seed = quality["seed"].nunique() == 1
    for number, (model, own) in enumerate(quality.groupby("model", sort=False)):
        style = look(model)
        seeds = own.groupby(["photographs", "seed"])["psnr_y"].mean().unstack()
        shift = 1.02 ** (number - 1)  # beside each other, not over each other
        psnr.plot(seeds.index * shift, seeds.mean(axis=1), **style)
        bars = {"color": style["color"], "linewidth": 2, "alpha": 0.5}
        psnr.vlines(seeds.index * shift, seeds.min(axis=1), seeds.max(axis=1), **bars)
        found = gains[gains["model"] == model]
        spread = None if one_seed else found["high_db"] - found["gain_db"]
        gain.errorbar(found["photographs"] * shift, found["gain_db"], yerr=spread, capsize=2, **style)
    for ax in (psnr, gain):
        powers(ax, counts)
        ax.set_xlabel("photographs trained on")
    gain.axhline(0, color=INK, linewidth=0.8)
    psnr.set(ylabel=NAMES["psnr_y"], title=f"{images_and_seeds(quality)}, bars: seeds")
    gain.set_ylabel(f"Y-PSNR − that of {counts[0]} photographs (dB)")
    gain.set_title("one seed: no interval" if one_seed else "bars: 95 % interval, over seeds")
    figure.legend(handles=key(quality["model"]), loc="outside lower center", ncols=4)
    return figure


@rc_context(HOUSE)
def recipes(changes: pd.DataFrame) -> Figure:
    """What each network gains over bicubic by a recipe, and with one thing of it changed at a time.

    Parameters
    ----------
    changes : DataFrame
        As of `srlab.findings.recipes.by_recipe`; the first recipe is the one that is changed.
    """
    models, names = list(changes["model"].unique()), list(changes["recipe"].unique())
    figure = blank(DOUBLE, 1.1 + 0.2 * len(names))
    panels = figure.subplots(1, len(models), sharey=True, sharex=True, squeeze=False)[0]
    for ax, model in zip(panels, models, strict=True):
        own = changes[changes["model"] == model]
        chosen = own.loc[own["recipe"] == names[0], "gain_db"].mean()
        ax.axvline(chosen, color=INK, linewidth=0.8, linestyle="--")
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.plot(own["gain_db"], own["recipe"].map(names.index), **look(model) | {"linestyle": "none"})
        ax.set_title(model)
        ax.grid(visible=False, axis="x")
    panels[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    means = changes.groupby("recipe", sort=False)["change_db"].mean().loc[names[1:]]
    figure.suptitle(f"Of these changes “{means.idxmin()}” costs most: {means.min():+.2f} dB", fontsize=9)
    figure.supxlabel(
        f"Y-PSNR − bicubic (dB), {count(int(changes['images'].iloc[0]), 'image')}, "
        f"{count(changes['seed'].nunique(), 'seed')}; dashed: {names[0]}",
        fontsize=8,
    )
    return figure


@rc_context(HOUSE)
def kinds(gains: pd.DataFrame) -> Figure:
    """What attention gains on each kind of image, and image by image against self-similarity.

    Parameters
    ----------
    gains : DataFrame
        model, seed, kind, name, gain_db, self_similarity.
    """
    models = list(gains["model"].unique())
    order = list(gains["kind"].unique())
    figure = blank(DOUBLE, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    ax = upper.subplots()
    ax.axhline(0, color=INK, linewidth=0.8)
    for number, model in enumerate(models):
        style = look(model) | {"linestyle": "none"}
        for x, kind in enumerate(order):
            own = gains[(gains["model"] == model) & (gains["kind"] == kind)]
            images = own.groupby("name")["gain_db"].mean()
            place = x + (number - (len(models) - 1) / 2) * 0.8 / len(models)
            ax.scatter(
                np.full(len(images), place), images, s=5, color=style["color"], alpha=0.35, linewidths=0
            )
            ax.plot(place, images.mean(), **style | {"markersize": 6, "markeredgecolor": INK})
    ax.set_xticks(range(len(order)), order)
    ax.grid(visible=False, axis="x")
    ax.set(ylabel="Y-PSNR − edsr_like (dB)")
    ax.set_title("small: an image, mean over seeds; large: mean of the kind")
    for panel, model in zip(
        lower.subplots(1, len(models), sharey=True, squeeze=False)[0], models, strict=True
    ):
        own = gains[gains["model"] == model]
        for kind, marker in zip(order, "os^Dv", strict=False):
            each = own[own["kind"] == kind].groupby("name")[["self_similarity", "gain_db"]].mean()
            panel.scatter(
                each["self_similarity"], each["gain_db"], s=10, marker=marker, label=kind, alpha=0.7
            )
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set(xlabel="self-similarity of HR", title=model)
    lower.axes[0].set_ylabel("Y-PSNR − edsr_like (dB)")
    lower.legend(*lower.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.legend(handles=key(gains["model"], linestyle="none"), loc="outside upper center", ncols=6)
    return figure
