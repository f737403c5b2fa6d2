"""Figures of one thing varied: an option of a network, or how many photographs it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.by_image import draw_gain_curve, draw_gain_rows, gains_note, gains_over
from srlab.plots.labels import SMALL, Name, name_lines, tell
from srlab.plots.marks import conditions, from_zero, images_and_seeds, points, powers, rows
from srlab.plots.studies import sweep
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.frames import ALL, count, differences
from srlab.stats.tables import NAMES



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
        As of `srlab.analysis.sorting.evenness`, with update.
    """
    updates = list(quality["update"].unique())
    figure = blank(DOUBLE, 1.9 + 0.25 * len(updates))
    gain, turned, even = figure.subplots(1, 3)
    draw_gain_rows(gain, quality, updates[-1], "update", like="lcoan")
    gain.set_title("(a) quality")
    _boxes(turned, [drift.loc[drift["update"] == update, "degrees"] for update in updates], updates)
    turned.set(xlabel="turned in training (degrees)", title="(b) centroids")
    _boxes(even, [evenness.loc[evenness["update"] == update, "gini"] for update in updates], updates)
    even.set(xlabel=NAMES["gini"], title="(c) clusters")
    even.set_xlim(-0.03, 1.03)
    angles = drift.groupby("update", sort=False)["degrees"].median()
    told = ", ".join(f"{angle:.0f}° ({update})" for update, angle in angles.items())
    boxes = f"(b) {count(len(drift), 'centroid')}, (c) {count(evenness['name'].nunique(), 'image')}, every seed"
    note = f"(a) {gains_note(quality)} {boxes}: boxes are quartiles, whiskers the 5th and 95th percentile."
    tell(figure, f"In training half of the centroids turn by {told} or more", note)
    return figure


def _boxes(ax: Axes, groups: Sequence[pd.Series], names: Sequence[str]) -> None:
    """Quartiles as boxes, the 5th and 95th percentile as whiskers; a row a group."""
    places = {"positions": range(len(groups)), "orientation": "horizontal"}
    drawn = ax.boxplot(groups, whis=(5, 95), showfliers=False, patch_artist=True, **places)
    for box in drawn["boxes"]:
        box.set(facecolor=look("lcoan")["color"], alpha=0.3)
    for middle in drawn["medians"]:
        middle.set(color=INK)
    rows(ax, names)


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
    side = DOUBLE / max(3, len(models))
    figure = blank(DOUBLE, 2 * side + 3.4)
    upper, lower = figure.subfigures(2, 1, height_ratios=[2 * side, 3.0])
    grid = upper.subplots(2, len(models), squeeze=False)
    names = {"features": "CKA of features", "maps": "cosine of maps"}
    for axes, (kind, words) in zip(grid, names.items(), strict=True):
        for ax, model in zip(axes, models, strict=True):
            own = similarity[(similarity["model"] == model) & (similarity["kind"] == kind)]
            cells = own.groupby(["first", "second"])["similarity"].mean().unstack()
            ax.imshow(cells, vmin=0, vmax=1, cmap="viridis")
            if side / len(cells) > 0.3:  # inches: there is room for numbers
                for (row, column), value in np.ndenumerate(cells.to_numpy()):
                    colour = "white" if value < 0.6 else "black"
                    ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=SMALL, color=colour)
            ax.set(xticks=range(len(cells)), yticks=range(len(cells)), title=f"{model}: {words}")
            ax.grid(visible=False)
        axes[0].set_ylabel("layer")
    for ax in grid[-1]:
        ax.set_xlabel("layer")
    gain, time = lower.subplots(1, 2)
    values = sorted(quality["renewed"].unique().tolist())
    draw_gain_curve(gain, quality, "renewed", "lcoan")
    alone = costs[costs["part"] == "non-local layers"]
    points(time, alone["renewed"], alone, "median_ms", look("lcoan"))
    from_zero(time, "y")
    powers(time, values)
    gain.set(xlabel="weights computed anew every … layers", title="quality")
    time.set(xlabel="weights computed anew every … layers", ylabel=NAMES["median_ms"], title="time of the layers")
    last, times = gains_over(quality, values[0], "renewed")[-1].mean, alone.groupby("renewed")["median_ms"].mean()
    tell(
        figure,
        f"Weights computed anew every {values[-1]} layers, not every {values[0]}, move PSNR by {last.value:+.3f} dB "
        f"and take {100 * times[values[-1]] / times[values[0]]:.0f} % of the time",
        f"Squares: means over images, 1 if alike. Quality: {gains_note(quality)} Time: {conditions(alone)}; bars: "
        "quartiles.",
    )
    return figure


@rc_context(HOUSE)
def sides(quality: pd.DataFrame) -> Figure:
    """What windows of each side gain over the smallest, with one network of window attention.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`, with `side`.
    """
    figure = blank(DOUBLE, 2.9)
    benchmarks = list(quality["benchmark"].unique())
    panels = figure.subplots(1, len(benchmarks), squeeze=False)[0]
    for ax, benchmark in zip(panels, benchmarks, strict=True):
        draw_gain_curve(ax, quality[quality["benchmark"] == benchmark], "side", "trunk_window")
        ax.set(xlabel="side of the windows (px)", title=benchmark)
    for ax in panels[1:]:
        ax.set_ylabel("")
    smallest = quality["side"].min()
    moved = [f"{each.mean.value:+.3f} ({each.value} px)" for each in gains_over(quality, smallest, "side")]
    tell(figure, f"Against windows of {smallest} px, PSNR moves by {' and '.join(moved)} dB", gains_note(quality))
    return figure


@rc_context(HOUSE)
def units(quality: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Quality against the number of units, latency and parameters, with attention and without.

    Parameters
    ----------
    quality, costs : DataFrame
        As of the functions of these names, with `groups`.
    """
    figure = blank(DOUBLE, 3.1)
    panels = figure.subplots(1, 3, sharey=True)
    number, latency, parameters = panels
    network = costs[costs["part"] == "network"].set_index(["model", "groups"])
    names = {ax: [] for ax in panels}
    told = []
    for model, own in quality.groupby("model", sort=False):
        seeds = own.groupby(["groups", "seed"])["psnr_y"].mean().unstack()
        middle, style = seeds.mean(axis=1), look(model)
        cost = network.loc[model].loc[middle.index]
        for ax, x in ((number, middle.index), (latency, cost["median_ms"]), (parameters, cost["parameters"] / 1e3)):
            ax.plot(x, middle, **style)
            ax.vlines(x, seeds.min(axis=1), seeds.max(axis=1), color=style["color"], linewidth=2, alpha=0.5)
            names[ax].append(Name(model, float(x.to_numpy()[-1]), middle.iloc[-1], style["color"]))
        told.append(f"{model} gains {middle.iloc[-1] - middle.iloc[0]:+.2f} dB")
    values = sorted(quality["groups"].unique().tolist())
    powers(number, values)
    number.set(xlabel="feature aggregation units", ylabel=NAMES["psnr_y"], title="(a) number of units")
    latency.set(xlabel="latency (ms)", title="(b) time")
    parameters.set(xlabel="parameters (thousands)", title="(c) size")
    note = f"{images_and_seeds(quality)}; bars: lowest to highest seed. (b) Whole network, {conditions(network)}."
    tell(figure, f"From {values[0]} to {values[-1]} units {', '.join(told)}", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def photographs(quality: pd.DataFrame) -> Figure:
    """Quality against the number of photographs trained on, and what each network gains from more of them.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`, with `photographs`.
    """
    figure = blank(DOUBLE, 3.1)
    psnr, gain = figure.subplots(1, 2)
    counts = sorted(quality["photographs"].unique().tolist())
    gains = differences(quality, "photographs", counts[0], within="model")
    gains = gains[gains["benchmark"] == (ALL if (gains["benchmark"] == ALL).any() else gains["benchmark"][0])]
    one_seed = quality["seed"].nunique() == 1
    names, told = {psnr: [], gain: []}, []
    for number, (model, own) in enumerate(quality.groupby("model", sort=False)):
        style = look(model)
        seeds = own.groupby(["photographs", "seed"])["psnr_y"].mean().unstack()
        shift = 1.02 ** (number - 1)  # beside each other, not over each other
        middle = seeds.mean(axis=1)
        psnr.plot(seeds.index * shift, middle, **style)
        bars = {"color": style["color"], "linewidth": 2, "alpha": 0.5}
        psnr.vlines(seeds.index * shift, seeds.min(axis=1), seeds.max(axis=1), **bars)
        found = gains[gains["model"] == model]
        spread = None if one_seed else found["high_db"] - found["gain_db"]
        gain.errorbar(found["photographs"] * shift, found["gain_db"], yerr=spread, capsize=2, **style)
        names[psnr].append(Name(model, middle.index[-1] * shift, middle.iloc[-1], style["color"]))
        last = found.iloc[-1]
        names[gain].append(Name(model, last["photographs"] * shift, last["gain_db"], style["color"]))
        told.append(f"{model} {last['gain_db']:+.2f} dB")
    for ax in (psnr, gain):
        powers(ax, counts)
        ax.set_xlabel("photographs trained on")
    gain.set_xlim(psnr.get_xlim())
    gain.axhline(0, color=INK, linewidth=0.8)
    psnr.set(ylabel=NAMES["psnr_y"], title="(a) quality")
    gain.set(ylabel=f"Y-PSNR − that of {counts[0]} photographs (dB)", title="(b) paired by image and seed")
    interval = "one seed: no interval" if one_seed else "bars: 95 % intervals over seeds, all at once"
    note = f"{images_and_seeds(quality)}. (a) Bars: lowest to highest seed. (b) {interval}."
    tell(figure, f"From {counts[0]} to {counts[-1]} photographs: {', '.join(told)}", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def recipes(changes: pd.DataFrame) -> Figure:
    """What each network gains over bicubic by a recipe, and with one thing of it changed at a time.

    Parameters
    ----------
    changes : DataFrame
        As of `srlab.stats.recipes.by_recipe`; the first recipe is the one that is changed.
    """
    models, names = list(changes["model"].unique()), list(changes["recipe"].unique())
    figure = blank(DOUBLE, 1.2 + 0.2 * len(names))
    panels = figure.subplots(1, len(models), sharey=True, sharex=True, squeeze=False)[0]
    for ax, model in zip(panels, models, strict=True):
        own = changes[changes["model"] == model]
        chosen = own.loc[own["recipe"] == names[0], "gain_db"].mean()
        ax.axvline(chosen, color=INK, linewidth=0.8, linestyle="--")
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.plot(own["gain_db"], own["recipe"].map(names.index), **look(model) | {"linestyle": "none"})
        ax.set(title=model, xlabel="gain (dB)")
        ax.grid(visible=False, axis="x")
    panels[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    means = changes.groupby("recipe", sort=False)["change_db"].mean().loc[names[1:]]
    images, seeds = int(changes["images"].iloc[0]), changes["seed"].nunique()
    largest = means.abs().idxmax()
    spread = "one seed: no interval" if seeds == 1 else f"a marker a seed, {seeds} of them"
    tell(
        figure,
        f"Of these changes “{largest}” moves the mean of the networks most: {means[largest]:+.2f} dB",
        f"Y-PSNR − bicubic's; {count(images, 'image')}; {spread}; dashed: {names[0]}, of which one thing is changed "
        "in each row.",
    )
    return figure
