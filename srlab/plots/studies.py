"""Figures of quality, time, memory and clusters, from tidy frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.findings.frames import count, images_in, late_gains, over_bicubic, pareto
from srlab.findings.tables import NAMES
from srlab.plots.marks import (
    conditions,
    draw_costs,
    draw_gains,
    from_zero,
    images_and_seeds,
    key,
    logarithmic,
    points,
    powers,
)
from srlab.plots.style import DOUBLE, HOUSE, INK, STYLE, blank, look


@rc_context(HOUSE)
def training(curves: pd.DataFrame) -> Figure:
    """Loss and validation PSNR per step, a line a run.

    Parameters
    ----------
    curves : DataFrame
        As of the function `curves`.
    """
    figure = blank(DOUBLE, 2.5)
    loss, psnr = figure.subplots(1, 2)
    for (model, seed), run in curves.groupby(["model", "seed"], sort=False):
        line = look(model) | {"markersize": 3, "label": f"{model}, seed {seed}"}
        loss.plot(run["step"], run["loss"], **line)
        psnr.plot(run["step"], run["validation_psnr"], **line)
    every = curves["step"].diff().iloc[-1]
    loss.set(xlabel="step", ylabel="L1 loss (intensities 0 to 1)", title="training patches")
    if np.isfinite(every):
        loss.set_title(f"training patches, mean of {every:.0f} steps")
    psnr.set(xlabel="step", ylabel="RGB-PSNR (dB)", title="held-out patches, averaged weights")
    psnr.legend(loc="lower right")
    return figure


@rc_context(HOUSE)
def convergence(curves: pd.DataFrame) -> Figure:
    """Validation PSNR of every network, mean over seeds and range, and what its last quarter still gained.

    Parameters
    ----------
    curves : DataFrame
        As of the function `curves`.
    """
    figure = blank(DOUBLE, 3.4)
    psnr, late = figure.subplots(1, 2, width_ratios=[3, 2])
    for model, each in curves.groupby("model", sort=False):
        steps = each.groupby("step")["validation_psnr"].agg(["mean", "min", "max"])
        line = look(model) | {"markersize": 3, "markevery": 0.2}
        psnr.plot(steps.index, steps["mean"], **line)
        psnr.fill_between(
            steps.index, steps["min"], steps["max"], color=line["color"], alpha=0.15, linewidth=0
        )
    settled = curves.groupby("model")["validation_psnr"].quantile(0.25).min()
    psnr.set_ylim(bottom=settled)
    psnr.set(xlabel="step", ylabel="RGB-PSNR (dB)")
    psnr.set_title(f"held-out patches, averaged weights; band: {count(curves['seed'].nunique(), 'seed')}")
    gained = late_gains(curves)
    models = list(gained["model"].unique())
    for y, model in enumerate(models):
        own = gained.loc[gained["model"] == model, "late_db"]
        late.plot(own, np.full(len(own), y), **look(model) | {"linestyle": "none"})
    late.set_yticks(range(len(models)), models)
    late.invert_yaxis()
    late.axvline(0, color=INK, linewidth=0.8)
    late.set(xlabel="gain of the last quarter of steps (dB)", title="a marker a seed")
    figure.legend(handles=key(curves["model"]), loc="outside lower center", ncols=7)
    return figure


@rc_context(HOUSE)
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]]) -> Figure:
    """Images in rows, each with its words beneath: "NAME: MORE", of many in a row on two lines."""
    columns = max(map(len, rows))
    if columns > 5:
        rows = [[(words.replace(": ", ":\n"), image) for words, image in row] for row in rows]
    side = DOUBLE / columns
    words_in = 0.25 if columns <= 5 else 0.4
    heights = [side * max(image.shape[0] / image.shape[1] for _, image in row) + words_in for row in rows]
    figure = blank(DOUBLE, sum(heights))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, rows, strict=True):
        for ax in axes[len(row) :]:
            ax.set_axis_off()
        for ax, (words, image) in zip(axes, row, strict=False):
            ax.imshow(image, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            ax.grid(visible=False)
            ax.set_anchor("N")
            ax.set_xlabel(words)
    return figure


@rc_context(HOUSE)
def gains(quality: pd.DataFrame, reference: str = "edsr_like") -> Figure:
    """PSNR of each image against a reference model's, a panel a benchmark."""
    benchmarks = quality["benchmark"].unique()
    figure = blank(DOUBLE, 2.4 * len(benchmarks))
    for ax, benchmark in zip(
        figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0], benchmarks, strict=True
    ):
        draw_gains(ax, quality[quality["benchmark"] == benchmark], reference)
        ax.set_title(f"{benchmark}: {ax.get_title()}")
    return figure


@rc_context(HOUSE)
def sharing(quality: pd.DataFrame, costs: pd.DataFrame, reference: str = "edsr_like") -> Figure:
    """Sparse or dense, shared or not: gain of each image, and what the non-local layers alone cost."""
    figure = blank(DOUBLE, 2.7)
    gain, time, memory = figure.subplots(1, 3)
    draw_gains(gain, quality, reference)
    gain.set_title(f"(a) gain: {gain.get_title()}")
    alone = costs[costs["part"] == "non-local layers"]
    draw_costs(time, alone, "median_ms")
    time.set_title(f"(b) non-local layers: {conditions(alone)}")
    draw_costs(memory, alone, "peak_mib")
    memory.set_title(f"(c) non-local layers: {conditions(alone).split(',')[0]}")
    return figure


@rc_context(HOUSE)
def sweep(
    quality: pd.DataFrame,
    costs: pd.DataFrame,
    evenness: pd.DataFrame,
    option: str,
    measure: str,
    model: str = "lcoan",
) -> Figure:
    """One option varied: quality, what the non-local layers alone cost, and a measure of the clusters.

    Parameters
    ----------
    quality, costs : DataFrame
        As of the functions of these names, with the option.
    evenness : DataFrame
        As of `srlab.looking.sorting.evenness`.
    option : {"clusters", "window"}
    measure : {"gini", "pure_windows"}
        Column of `evenness`.
    model : str
        Whose colour.
    """
    figure = blank(DOUBLE, 4.6)
    (psnr, time), (memory, even) = figure.subplots(2, 2)
    style = look(model)
    centred = quality.assign(
        db=quality["psnr_y"] - quality.groupby(["benchmark", "name"])["psnr_y"].transform("mean")
    )
    images = centred.groupby(["benchmark", "name", option], sort=False)["db"].mean().unstack(option)
    for values in images.to_numpy():
        psnr.plot(images.columns, values, color=style["color"], alpha=0.35, linewidth=0.7)
    seeds = centred.groupby([option, "seed"])["db"].mean().unstack(option)
    psnr.plot(seeds.columns, seeds.mean(), **style)
    psnr.vlines(seeds.columns, seeds.min(), seeds.max(), color=INK, linewidth=2)
    psnr.set_title(f"(a) thin: an image, thick: mean ({images_and_seeds(quality)})")
    psnr.set_ylabel("Y-PSNR − image's mean (dB)")

    alone = costs[costs["part"] == "non-local layers"].sort_values(option)
    for ax, column, title in (
        (time, "median_ms", f"(b) non-local layers: {conditions(alone)}"),
        (memory, "peak_mib", f"(c) non-local layers: {conditions(alone).split(',')[0]}"),
    ):
        points(ax, alone[option], alone, column, style)
        from_zero(ax, "y")
        ax.set(title=title, ylabel=NAMES[column])

    spread = evenness.groupby(option)[measure]
    even.plot(evenness[option], evenness[measure], ".", color=INK, alpha=0.5, markersize=3, zorder=3)
    even.plot(spread.median().index, spread.median(), **style)
    even.set_ylim(-0.03, 1.03)
    even.set(ylabel=NAMES[measure])
    even.set_title(f"(d) line: median of {count(images_in(evenness), 'image')}, dots: each")
    for ax in (psnr, time, memory, even):
        powers(ax, sorted(quality[option].unique().tolist()))
        ax.set_xlabel(NAMES[option])
    return figure


@rc_context(HOUSE)
def cluster_sizes(sizes: dict[int, np.ndarray], model: str = "lcoan") -> Figure:
    """Sizes of the clusters of one image, largest first, a panel a number of clusters k."""
    figure = blank(DOUBLE, 2.2)
    colour = STYLE[model].colour
    for ax, (k, counts) in zip(figure.subplots(1, len(sizes), squeeze=False)[0], sizes.items(), strict=True):
        ax.bar(np.arange(1, k + 1), np.sort(counts)[::-1], width=1, color=colour)
        ax.axhline(counts.sum() / k, color=INK, linewidth=0.9, linestyle=":", label="if all were alike")
        ax.set(
            title=f"k = {k}: {count(int((counts == 0).sum()), 'cluster')} empty", xlabel="cluster, by size"
        )
        ax.legend(loc="upper right")
    figure.axes[0].set_ylabel("tokens")
    return figure


@rc_context(HOUSE)
def scaling(costs: pd.DataFrame) -> Figure:
    """Time and peak memory against image size, of whole networks and of their non-local layers alone.

    Parameters
    ----------
    costs : DataFrame
        As of `timings`.
    """
    figure = blank(DOUBLE, 5.4)
    parts = ("network", "non-local layers")
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for axes, column in zip(grid, ("median_ms", "peak_mib"), strict=True):
        for ax, part in zip(axes, parts, strict=True):
            own = costs[costs["part"] == part]
            for model, each in own.groupby("model", sort=False):
                points(ax, each["size"], each, column, look(model))
            ax.set_yscale("log")
            ax.set_title(f"{part}, {count(int(own['repeats'].iloc[0]), 'repeat')}, bars: quartiles")
            if column == "peak_mib":
                ax.set_title(part)
                ax.set_xlabel("side of the LR image (px)")
            _guides(ax, own, column)
            powers(ax, sorted(costs["size"].unique().tolist()))
        axes[0].set_ylabel(NAMES[column])
        for ax in axes:
            logarithmic(ax)
    figure.legend(handles=key(costs["model"]), loc="outside lower center", ncols=4)
    return figure


def _guides(ax: Axes, costs: pd.DataFrame, column: str) -> None:
    """Dotted lines of slope L and L², through the dearest model at the smallest size."""
    sides = np.array([costs["size"].min(), costs["size"].max()])
    start = costs.loc[costs["size"] == sides[0], column].max()
    for power in (1, 2):
        ends = start * (sides / sides[0]) ** (2 * power)
        ax.plot(sides, ends, color="#888888", linestyle=":", linewidth=0.9, zorder=0)
        words = f"∝ L{'²' if power == 2 else ''}"
        at = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "annotation_clip": False}
        ax.annotate(words, (sides[1], ends[1]), color="#666666", fontsize=7, **at)


@rc_context(HOUSE)
def comparison(quality: pd.DataFrame, costs: pd.DataFrame, bicubic: pd.DataFrame) -> Figure:
    """Gain over bicubic, mean over all images, against latency, memory and parameters, with Pareto fronts.

    Parameters
    ----------
    quality, costs : DataFrame
        As of the functions of these names.
    bicubic : DataFrame
        benchmark, name, psnr_y.
    """
    seeds = over_bicubic(quality, bicubic).groupby(["model", "seed"], sort=False)["gain_db"].mean().unstack()
    whole = costs[costs["part"] == "network"].set_index("model").loc[seeds.index]
    whole = whole.assign(parameters=whole["parameters"] / 1e3, gain_db=seeds.mean(axis=1))
    figure = blank(DOUBLE, 3.3)
    panels = figure.subplots(1, 3, sharey=True)
    words = {
        "median_ms": f"latency (ms), {conditions(whole)}",
        "peak_mib": "peak memory (MiB)",
        "parameters": "parameters (thousands)",
    }
    for ax, (column, label) in zip(panels, words.items(), strict=True):
        front = pareto(whole, column)
        ax.plot(front[column], front["gain_db"], color="#bbbbbb", linewidth=2, zorder=0)
        for model, row in whole.iterrows():
            style = look(model) | {"linestyle": "none", "markersize": 6}
            if column == "median_ms":
                ax.hlines(row["gain_db"], row["q25_ms"], row["q75_ms"], color=style["color"])
            ax.vlines(row[column], *seeds.loc[model].agg(["min", "max"]), color=style["color"], alpha=0.5)
            ax.plot(row[column], row["gain_db"], **style)
        from_zero(ax, "x")
        ax.set_xlabel(label)
    panels[0].set_ylabel("Y-PSNR − bicubic (dB)")
    panels[0].set_title(images_and_seeds(quality))
    panels[1].set_title("grey: Pareto front")
    panels[2].set_title("bars: seeds, quartiles")
    figure.legend(handles=key(quality["model"], linestyle="none"), loc="outside lower center", ncols=7)
    return figure
