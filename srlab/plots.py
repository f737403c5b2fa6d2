"""Figures, tables and sentences, from data frames and arrays.

Three steps, each usable by itself: records become tidy frames; frames become figures and tables; frames
become sentences that claim no more than the spread allows. Figures are as wide as two columns of a paper
(7 inches), so what is 7 pt here is 7 pt in print.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from IPython.display import Image
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter
from pandas.io.formats.style import Styler

from srlab.errors import InputError
from srlab.files import replacing, write_text
from srlab.inspection import View
from srlab.runs import Record

DOUBLE = 7.0  # inches: two columns of a paper

#: Matplotlib's settings for every figure.
HOUSE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 5,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "srlab",
}


class Look(NamedTuple):
    """How a mechanism is drawn, everywhere."""

    colour: str
    marker: str


#: Colours of Okabe and Ito for the networks of the first comparison, of Paul Tol for the others; no two
#: networks share both a colour and a marker, so they can be told apart without seeing colour.
STYLE = {
    "bicubic": Look("#999999", "x"),
    "edsr_like": Look("#000000", "D"),
    "lcoan": Look("#0072B2", "o"),
    "lspn": Look("#56B4E9", "s"),
    "nlan": Look("#D55E00", "^"),
    "nlan_shared": Look("#E69F00", "v"),
    "nlsn": Look("#009E73", "P"),
    "enlcn": Look("#CC79A7", "*"),
    "windown": Look("#332288", "h"),
    "convattnn": Look("#999933", "<"),
    "fgcan": Look("#882255", ">"),
    "bran": Look("#44AA99", "d"),
    "sscan": Look("#AA4499", "X"),
    "hit_srf": Look("#CC6677", "8"),
    "esc": Look("#117733", "p"),
    "esc_light": Look("#117733", "H"),
    "esc_fp": Look("#117733", "D"),
    "esc_rib": Look("#117733", "s"),
}
STORED = " (stored)"
#: The `run` of rows that no run made: bicubic enlargement.
NO_RUN = "none"
INK = "#333333"

#: What numbers are called on axes and in tables, with units.
NAMES = {
    "psnr_y": "Y-PSNR (dB)",
    "ssim_y": "Y-SSIM",
    "median_ms": "median time (ms)",
    "peak_mib": "peak memory (MiB)",
    "clusters": "number of clusters k",
    "window": "window w (tokens)",
    "gini": "Gini coefficient of cluster sizes",
    "pure_windows": "share of windows of one cluster",
}


def look(model: str) -> dict[str, str]:
    """Line properties of a model; "NAME (stored)" has NAME's colour, a hollow marker and a dashed line.

    Raises
    ------
    InputError
        If the model has no colour in `STYLE`.
    """
    name = model.removesuffix(STORED)
    if name not in STYLE:
        raise InputError(f"model '{name}' has no colour and marker; give it some in srlab.plots.STYLE")
    colour, marker = STYLE[name]
    stored = model.endswith(STORED)
    return {
        "color": colour,
        "marker": marker,
        "markerfacecolor": "white" if stored else colour,
        "linestyle": "--" if stored else "-",
    }


# --- records become tidy frames ---------------------------------------------------------------------------


def _tidy(records: Sequence[Record], table: str, options: Sequence[str]) -> pd.DataFrame:
    """One table of several training runs, with run, model, seed and the options in front."""
    if not records:
        raise InputError("there is no run to show: this profile names none for it")
    frames = []
    for record in records:
        run = record.run
        known = {option: run.network.options[option] for option in options}
        facts = {"run": run.hash, "model": run.network.model, "seed": run.seed, **known}
        rows = getattr(record, table)
        frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def curves(records: Sequence[Record]) -> pd.DataFrame:
    """Training curves: run, model, seed and the columns of `Record.curve`."""
    return _tidy(records, "curve", ())


def quality(records: Sequence[Record], *options: str) -> pd.DataFrame:
    """An evaluated image a row: run, model, seed, the named options, and the columns of `Record.images`."""
    return _tidy(records, "images", options)


def costs(records: Sequence[Record], timed: Record, *options: str) -> pd.DataFrame:
    """What training runs' networks and their non-local layers cost, measured in turn by one timing run.

    A row for each network and part, whatever the number of seeds: seeds do not change what is computed.
    """
    frames = []
    for record in {timed.run.label_of(r.run.network): r for r in records}.values():
        network = record.run.network
        label = timed.run.label_of(network)
        rows = timed.profile[timed.profile["label"] == label].drop(columns="label")
        known = {option: network.options[option] for option in options}
        facts = {"run": timed.run.hash, "model": network.model, **known}
        frames.append(rows.assign(**facts, parameters=timed.facts["parameters"][label]))
    return pd.concat(frames, ignore_index=True)


def timings(record: Record) -> pd.DataFrame:
    """The same of a timing run, whose labels are called models here."""
    return record.profile.rename(columns={"label": "model"}).assign(run=record.run.hash)


def means(quality: pd.DataFrame, by: str = "model") -> pd.DataFrame:
    """Quality per benchmark: of each run the mean over images, then mean, lowest and highest over seeds.

    Parameters
    ----------
    quality : DataFrame
        As of the function `quality`.
    by : str
        What tells the rows apart: "model" or an option.

    Returns
    -------
    DataFrame
        benchmark, `by`, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, run (hashes).
    """
    keys = ["benchmark", by]
    runs = quality.groupby([*keys, "run"], sort=False)
    each = runs.agg(psnr_y=("psnr_y", "mean"), ssim_y=("ssim_y", "mean"), images=("name", "size"))
    return (
        each.reset_index()
        .groupby(keys, sort=False)
        .agg(
            images=("images", "first"),
            seeds=("run", lambda runs: (runs != NO_RUN).sum()),
            psnr_y=("psnr_y", "mean"),
            lowest_db=("psnr_y", "min"),
            highest_db=("psnr_y", "max"),
            ssim_y=("ssim_y", "mean"),
            run=("run", " ".join),
        )
        .reset_index()
    )


def paired(quality: pd.DataFrame, by: str, reference: object) -> pd.DataFrame:
    """What each image gains against the reference trained from the same seed.

    Returns
    -------
    DataFrame
        The rows of `quality` that are not the reference's, with `gain_db`, the difference in psnr_y.
    """
    keys = ["benchmark", "name", "seed"]
    others, own = quality[quality[by] != reference], quality[quality[by] == reference]
    joined = others.merge(own[[*keys, "psnr_y"]], on=keys, suffixes=("", "_reference"))
    return joined.assign(gain_db=joined["psnr_y"] - joined["psnr_y_reference"])


def differences(quality: pd.DataFrame, by: str = "model", reference: object = "edsr_like") -> pd.DataFrame:
    """Mean gains against a reference, and whether the seeds' spread tells the two apart.

    Returns
    -------
    DataFrame
        benchmark, `by`, gain_db (mean over images and seeds), images, images_higher (images whose mean over
        seeds is higher), seeds, told_apart, run. `told_apart` needs ranges of the runs' mean psnr_y that do
        not overlap, and so many seeds that this is not mere `luck`: three or more.
    """
    gains = paired(quality, by, reference)
    image = gains.groupby(["benchmark", by, "name"], sort=False)["gain_db"].mean()
    summary = means(quality, by).set_index(["benchmark", by])
    rows = []
    for (benchmark, value), each in image.groupby(level=[0, 1], sort=False):
        ours, theirs = summary.loc[benchmark, value], summary.loc[benchmark, reference]
        apart = ours["lowest_db"] > theirs["highest_db"] or ours["highest_db"] < theirs["lowest_db"]
        rows.append(
            {
                "benchmark": benchmark,
                by: value,
                "gain_db": each.mean(),
                "images": len(each),
                "images_higher": int((each > 0).sum()),
                "seeds": ours["seeds"],
                "told_apart": bool(apart and luck(min(int(ours["seeds"]), int(theirs["seeds"]))) <= LUCK),
                "run": ours["run"],
            }
        )
    return pd.DataFrame(rows)


#: How often equal networks may be told apart.
LUCK = 0.1


def luck(seeds: int) -> float:
    """How often ranges of two equal networks do not overlap: 1 for one seed, 1/3 for two, 1/10 for three."""
    return 2 / comb(2 * seeds, seeds)


def growth(costs: pd.DataFrame) -> pd.DataFrame:
    """How cost grows with the number of pixels L, between the two largest sizes: cost ∝ L^exponent.

    Returns
    -------
    DataFrame
        model, part, from_px, to_px (sides), time_exponent, memory_exponent, run.
    """
    rows = []
    for (model, part), each in costs.groupby(["model", "part"], sort=False):
        last = each.sort_values("size").tail(2)
        if len(last) < 2:
            continue
        small, large = (row for _, row in last.iterrows())
        pixels = 2 * np.log(large["size"] / small["size"])
        rows.append(
            {
                "model": model,
                "part": part,
                "from_px": small["size"],
                "to_px": large["size"],
                "time_exponent": np.log(large["median_ms"] / small["median_ms"]) / pixels,
                "memory_exponent": np.log(large["peak_mib"] / small["peak_mib"]) / pixels,
                "run": large["run"],
            }
        )
    return pd.DataFrame(rows)


# --- figures ----------------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    """A figure of its own: pyplot, which would show it a second time in a notebook, is not asked."""
    return Figure((width, height), layout="constrained")


def _images_and_seeds(quality: pd.DataFrame) -> str:
    images = quality[["benchmark", "name"]].drop_duplicates().shape[0]
    return f"{_count(images, 'image')}, {_count(quality['seed'].nunique(), 'seed')}"


def _images(evenness: pd.DataFrame) -> int:
    return len(evenness) // evenness["run"].nunique()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _conditions(costs: pd.DataFrame) -> str:
    sizes = "/".join(f"{size}" for size in sorted(costs["size"].unique().tolist()))
    return f"LR {sizes} px, {costs['repeats'].iloc[0]:.0f} repeats"


@rc_context(HOUSE)
def training(curves: pd.DataFrame) -> Figure:
    """Loss and validation PSNR per step, a line a run.

    Parameters
    ----------
    curves : DataFrame
        As of the function `curves`.
    """
    figure = _figure(DOUBLE, 2.5)
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
def pictures(rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]]) -> Figure:
    """Images in rows, each with its words beneath."""
    columns = max(map(len, rows))
    side = DOUBLE / columns
    heights = [side * max(image.shape[0] / image.shape[1] for _, image in row) + 0.25 for row in rows]
    figure = _figure(DOUBLE, sum(heights))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, rows, strict=True):
        for ax in axes[len(row) :]:
            ax.set_axis_off()
        for ax, (words, image) in zip(axes, row, strict=False):
            ax.imshow(image, interpolation="nearest")
            _bare(ax)
            ax.set_anchor("N")
            ax.set_xlabel(words)
    return figure


@rc_context(HOUSE)
def gains(quality: pd.DataFrame, reference: str = "edsr_like") -> Figure:
    """PSNR of each image against a reference model's, a panel a benchmark."""
    benchmarks = quality["benchmark"].unique()
    figure = _figure(DOUBLE, 2.4 * len(benchmarks))
    for ax, benchmark in zip(
        figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0], benchmarks, strict=True
    ):
        _draw_gains(ax, quality[quality["benchmark"] == benchmark], reference)
        ax.set_title(f"{benchmark}: {ax.get_title()}")
    return figure


def _draw_gains(ax: Axes, quality: pd.DataFrame, reference: str) -> None:
    """A dot an image (mean over seeds), a large marker their mean, a bar from lowest to highest seed."""
    each = paired(quality, "model", reference)
    models = list(each["model"].unique())
    ax.axhline(0, color=INK, linewidth=0.8)
    for x, model in enumerate(models):
        style = look(model)
        own = each[each["model"] == model]
        images = own.groupby(["benchmark", "name"], sort=False)["gain_db"].mean()
        seeds = own.groupby("seed")["gain_db"].mean()
        places = x + np.linspace(-0.1, 0.35, len(images) + 2)[1:-1]
        ax.scatter(places, images, s=9, color=style["color"], alpha=0.5, linewidths=0)
        left, face = x - 0.22, {"color": style["color"], "markeredgecolor": INK, "markersize": 7}
        ax.vlines(left, seeds.min(), seeds.max(), color=INK, linewidth=2)
        ax.plot(left, seeds.mean(), marker=style["marker"], **face)
    _categories(ax, models)
    ax.set_ylabel(f"Y-PSNR − {reference} (dB)")
    ax.set_title(_images_and_seeds(quality))


def _draw_costs(ax: Axes, costs: pd.DataFrame, column: str) -> None:
    """A marker a run; for times, a bar between the quartiles of its repeats."""
    models = list(costs["model"].unique())
    for x, model in enumerate(models):
        own = costs[costs["model"] == model]
        places = x + np.linspace(-0.15, 0.15, len(own) + 2)[1:-1]
        _points(ax, places, own, column, look(model) | {"linestyle": "none"})
    _categories(ax, models)
    _from_zero(ax, "y")
    ax.set_ylabel(NAMES[column])


def _points(ax: Axes, x: np.ndarray | pd.Series, costs: pd.DataFrame, column: str, style: dict) -> None:
    """Values of a cost over x; times have bars between their quartiles."""
    spread = None
    if column == "median_ms":
        spread = [costs["median_ms"] - costs["q25_ms"], costs["q75_ms"] - costs["median_ms"]]
    ax.errorbar(x, costs[column], yerr=spread, elinewidth=1.5, capsize=2, **style)


def _from_zero(ax: Axes, axis: str) -> None:
    """Start an axis of costs at 0, with room above what was drawn."""
    getattr(ax, f"set_{axis}lim")(0, 1.1 * getattr(ax.dataLim, f"{axis}max"))


def _key(models: pd.Series, **style: object) -> list[Line2D]:
    """Legend entries of models, each once."""
    return [Line2D([], [], label=model, **look(model) | style) for model in models.unique()]


def _categories(ax: Axes, names: Sequence[str]) -> None:
    ax.set_xticks(range(len(names)), names, rotation=20, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(visible=False, axis="x")


@rc_context(HOUSE)
def sharing(quality: pd.DataFrame, costs: pd.DataFrame, reference: str = "edsr_like") -> Figure:
    """Sparse or dense, shared or not: gain of each image, and what the non-local layers alone cost."""
    figure = _figure(DOUBLE, 2.7)
    gain, time, memory = figure.subplots(1, 3)
    _draw_gains(gain, quality, reference)
    gain.set_title(f"(a) gain: {gain.get_title()}")
    alone = costs[costs["part"] == "non-local layers"]
    _draw_costs(time, alone, "median_ms")
    time.set_title(f"(b) non-local layers: {_conditions(alone)}")
    _draw_costs(memory, alone, "peak_mib")
    memory.set_title(f"(c) non-local layers: {_conditions(alone).split(',')[0]}")
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
        As of `srlab.inspection.evenness`.
    option : {"clusters", "window"}
    measure : {"gini", "pure_windows"}
        Column of `evenness`.
    model : str
        Whose colour.
    """
    figure = _figure(DOUBLE, 4.6)
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
    psnr.set_title(f"(a) thin: an image, thick: mean ({_images_and_seeds(quality)})")
    psnr.set_ylabel("Y-PSNR − image's mean (dB)")

    alone = costs[costs["part"] == "non-local layers"].sort_values(option)
    for ax, column, title in (
        (time, "median_ms", f"(b) non-local layers: {_conditions(alone)}"),
        (memory, "peak_mib", f"(c) non-local layers: {_conditions(alone).split(',')[0]}"),
    ):
        _points(ax, alone[option], alone, column, style)
        _from_zero(ax, "y")
        ax.set(title=title, ylabel=NAMES[column])

    spread = evenness.groupby(option)[measure]
    even.plot(evenness[option], evenness[measure], ".", color=INK, alpha=0.5, markersize=3, zorder=3)
    even.plot(spread.median().index, spread.median(), **style)
    even.set_ylim(-0.03, 1.03)
    even.set(ylabel=NAMES[measure])
    even.set_title(f"(d) line: median of {_count(_images(evenness), 'image')}, dots: each")
    for ax in (psnr, time, memory, even):
        _powers(ax, sorted(quality[option].unique().tolist()))
        ax.set_xlabel(NAMES[option])
    return figure


@rc_context(HOUSE)
def cluster_sizes(sizes: dict[int, np.ndarray], model: str = "lcoan") -> Figure:
    """Sizes of the clusters of one image, largest first, a panel a number of clusters k."""
    figure = _figure(DOUBLE, 2.2)
    colour = STYLE[model].colour
    for ax, (k, counts) in zip(figure.subplots(1, len(sizes), squeeze=False)[0], sizes.items(), strict=True):
        ax.bar(np.arange(1, k + 1), np.sort(counts)[::-1], width=1, color=colour)
        ax.axhline(counts.sum() / k, color=INK, linewidth=0.9, linestyle=":", label="if all were alike")
        ax.set(
            title=f"k = {k}: {_count(int((counts == 0).sum()), 'cluster')} empty", xlabel="cluster, by size"
        )
        ax.legend(loc="upper right")
    figure.axes[0].set_ylabel("tokens")
    return figure


def _powers(ax: Axes, values: Sequence[int], axis: str = "x") -> None:
    """A logarithmic axis whose ticks are the values measured."""
    getattr(ax, f"set_{axis}scale")("log")
    which = getattr(ax, f"{axis}axis")
    getattr(ax, f"set_{axis}ticks")(values, [f"{value:g}" for value in values])
    which.set_minor_locator(NullLocator())


@rc_context(HOUSE)
def scaling(costs: pd.DataFrame) -> Figure:
    """Time and peak memory against image size, of whole networks and of their non-local layers alone.

    Parameters
    ----------
    costs : DataFrame
        As of `timings`.
    """
    figure = _figure(DOUBLE, 5.4)
    parts = ("network", "non-local layers")
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    for axes, column in zip(grid, ("median_ms", "peak_mib"), strict=True):
        for ax, part in zip(axes, parts, strict=True):
            own = costs[costs["part"] == part]
            for model, each in own.groupby("model", sort=False):
                _points(ax, each["size"], each, column, look(model))
            ax.set_yscale("log")
            ax.set_title(f"{part}, {_count(int(own['repeats'].iloc[0]), 'repeat')}, bars: quartiles")
            if column == "peak_mib":
                ax.set_title(part)
                ax.set_xlabel("side of the LR image (px)")
            _guides(ax, own, column)
            _powers(ax, sorted(costs["size"].unique().tolist()))
        axes[0].set_ylabel(NAMES[column])
        for ax in axes:
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.yaxis.set_minor_formatter(NullFormatter())
    figure.legend(handles=_key(costs["model"]), loc="outside lower center", ncols=4)
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
    """Gain over bicubic against latency and against peak memory, a row a benchmark, a marker a seed.

    Parameters
    ----------
    quality, costs : DataFrame
        As of the functions of these names.
    bicubic : DataFrame
        benchmark, name, psnr_y.
    """
    keys = ["benchmark", "name"]
    gain = quality.merge(bicubic[[*keys, "psnr_y"]], on=keys, suffixes=("", "_bicubic"))
    gain = gain.assign(gain_db=gain["psnr_y"] - gain["psnr_y_bicubic"])
    whole = costs[costs["part"] == "network"]
    benchmarks = quality["benchmark"].unique()
    figure = _figure(DOUBLE, 2.4 * len(benchmarks) + 0.4)
    grid = figure.subplots(len(benchmarks), 2, squeeze=False, sharex="col", sharey="row")
    for axes, benchmark in zip(grid, benchmarks, strict=True):
        own = gain[gain["benchmark"] == benchmark]
        seeds = own.groupby(["model", "seed"], sort=False)["gain_db"].mean().rename("mean_db")
        points = whole.merge(seeds.reset_index("seed"), on="model")
        for model, each in points.groupby("model", sort=False):
            style = look(model) | {"linestyle": "none", "markersize": 6, "clip_on": False}
            spread = [each["median_ms"] - each["q25_ms"], each["q75_ms"] - each["median_ms"]]
            axes[0].errorbar(each["median_ms"], each["mean_db"], xerr=spread, **style)
            axes[1].plot(each["peak_mib"], each["mean_db"], **style)
        axes[0].set_ylabel("Y-PSNR − bicubic (dB)")
        axes[0].set_title(f"{benchmark}: {_images_and_seeds(own)}, a marker a seed")
        axes[1].set_title(f"{benchmark}: whole network")
    conditions = _conditions(whole)
    grid[-1, 0].set_xlabel(f"latency (ms): {conditions}, bars: quartiles")
    grid[-1, 1].set_xlabel(f"peak memory (MiB): {conditions.split(',')[0]}")
    for ax in grid[-1]:
        _from_zero(ax, "x")
    figure.legend(handles=_key(points["model"], linestyle="none"), loc="outside lower center", ncols=6)
    return figure


# --- attention --------------------------------------------------------------------------------------------

#: Weights are drawn as multiples of an even spread over all tokens, on one scale everywhere.
WEIGHTS = LogNorm(0.1, 1000)
WINDOWS = ListedColormap(["#56B4E9", "#000000", "#E69F00"])  # previous, own, next
OWN_CLUSTER = "#D55E00"


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def _background(ax: Axes, view: View) -> None:
    """The LR image in pale grey, and the query on it."""
    ax.imshow(128 + view.picture.mean(-1) / 2, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _mark(ax, view)
    _bare(ax)


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
    _bare(ax)


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
    figure = _figure(DOUBLE, DOUBLE / columns * len(rows) + 0.7)
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
    figure = _figure(DOUBLE, DOUBLE / columns * len(rows) + 0.8)
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


# --- files ------------------------------------------------------------------------------------------------


def save(figure: Figure, study_folder: Path, name: str) -> Image:
    """Write figures/NAME.png (150 dpi) and figures/NAME.svg, the same bytes for the same numbers.

    Returns
    -------
    Image
        The figure, for display in a notebook.
    """
    with rc_context(HOUSE):
        for kind, metadata in (("png", {}), ("svg", {"Date": None})):
            with replacing(study_folder / "figures" / f"{name}.{kind}") as beside:
                figure.savefig(beside, format=kind, metadata=metadata)
    png = study_folder / "figures" / f"{name}.png"
    return Image(png.read_bytes(), width=round(100 * figure.get_figwidth()), alt=name.replace("_", " "))


#: Decimals of columns of numbers; two where nothing is said.
DIGITS = {
    "ssim_y": 4,
    "gain_db": 3,
    "Mparameters": 3,
    "median_ms": 1,
    "q25_ms": 1,
    "q75_ms": 1,
    "peak_mib": 1,
}
#: Which end of a column is the better one.
BETTER = {"psnr_y": "max", "ssim_y": "max", "median_ms": "min", "peak_mib": "min"}


def table(frame: pd.DataFrame, study_folder: Path, name: str, within: Sequence[str] = ()) -> Styler:
    """Write tables/NAME.csv, in full, and make of it a table to look at.

    Parameters
    ----------
    frame : DataFrame
        With a column `run`: the hash of the run, or of the runs, that a row comes from.
    study_folder : Path
    name : str
    within : sequence of str
        Columns of the groups of rows that compete; all rows, if empty.

    Returns
    -------
    Styler
        Without `run`. Of `BETTER`'s columns the best values, as they are printed, are bold.
    """
    write_text(study_folder / "tables" / f"{name}.csv", frame.to_csv(index=False))
    shown = frame.drop(columns="run").reset_index(drop=True)
    groups = shown[list(within)].agg(tuple, axis=1) if within else pd.Series("all", shown.index)

    def bold(column: pd.Series) -> list[str]:
        printed = column.round(DIGITS.get(column.name, 2))
        best = printed.groupby(groups).transform(BETTER[column.name])
        return ["font-weight: bold" if each else "" for each in printed == best]

    numbers = shown.select_dtypes("float").columns
    styler = shown.style.hide(axis="index")
    styler = styler.format({column: f"{{:.{DIGITS.get(column, 2)}f}}" for column in numbers}, na_rep="–")
    styler = styler.apply(bold, subset=[column for column in shown if column in BETTER])
    return styler.format_index(lambda column: NAMES.get(column, column.replace("_", " ")), axis=1)


def overview(quality: pd.DataFrame, costs: pd.DataFrame, bicubic: pd.DataFrame) -> pd.DataFrame:
    """Quality per benchmark beside cost, models in rows, bicubic first.

    Returns
    -------
    DataFrame
        benchmark, model, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, median_ms and peak_mib of
        the whole network, gflops, Mparameters (millions), run.
    """
    whole = costs[costs["part"] == "network"].assign(Mparameters=costs["parameters"] / 1e6)
    cost = whole.groupby("model", sort=False)[["median_ms", "peak_mib", "gflops", "Mparameters"]].mean()
    baseline = means(bicubic.assign(model="bicubic", run=NO_RUN))
    both = pd.concat([baseline, means(quality).merge(cost, on="model")], ignore_index=True)
    order = {name: i for i, name in enumerate(baseline["benchmark"])}
    both = both.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")
    return both[[*(column for column in both if column != "run"), "run"]]


def swept(quality: pd.DataFrame, costs: pd.DataFrame, evenness: pd.DataFrame, option: str) -> pd.DataFrame:
    """The table of a sweep: quality per benchmark beside the cost of the non-local layers and evenness.

    Returns
    -------
    DataFrame
        benchmark, the option, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, of the non-local
        layers median_ms, q25_ms, q75_ms and peak_mib, median gini and pure_windows, run.
    """
    alone = costs[costs["part"] == "non-local layers"].groupby(option)
    cost = alone[["median_ms", "q25_ms", "q75_ms", "peak_mib"]].mean()
    even = evenness.groupby(option)[["gini", "pure_windows"]].median()
    table = means(quality, option).merge(cost, on=option).merge(even, on=option)
    return table[[*(column for column in table if column != "run"), "run"]]


# --- sentences --------------------------------------------------------------------------------------------


def measured_quality(convention: dict[str, str | int]) -> str:
    """How PSNR and SSIM were computed: `srlab.evaluation.convention`, kept in a record's facts."""
    how = convention
    return (
        f"**How quality is measured.** LR: {how['lr']}. SR: {how['sr']}. Channel: {how['channel']}. "
        f"Rounding of Y: {how['y_rounding']}. Border left out: {how['border']} px. SSIM: {how['ssim']}."
    )


def measured_cost(record: Record) -> str:
    """What a record's times and memory are measurements of."""
    on, costs = record.facts["environment"], record.profile
    sizes = ", ".join(f"1×3×{size}×{size}" for size in sorted(costs["size"].unique().tolist()))
    return (
        f"**How cost is measured.** On {on['name']} ({on['kind']}, {on['threads']} threads, torch "
        f"{on['torch']}), float32, LR inputs of shape {sizes}; {costs['warmup'].iloc[0]:.0f} warm-up and "
        f"{costs['repeats'].iloc[0]:.0f} timed calls, of which median and quartiles are given; peak memory "
        f"is what a call holds beyond what was there before it. The non-local layers alone run one after "
        f"another on random features of their width."
    )


def verdict(differences: pd.DataFrame, by: str = "model", reference: object = "edsr_like") -> str:
    """What may be said about mean gains: only those that the spread over seeds tells apart."""
    seeds = int(differences["seeds"].min())
    low, high = (f"{gain:+.3f}" for gain in (differences["gain_db"].min(), differences["gain_db"].max()))
    span = f"{low} dB" if low == high else f"between {low} and {high} dB"
    found = f"mean gain in Y-PSNR over {by} `{reference}` is {span}"
    chance = f"with {_count(seeds, 'seed')} each, {luck(seeds):.0%} of equal networks would part by luck"
    if luck(seeds) > LUCK:
        return f"**No verdict.** The {found}, but {chance}: this budget cannot tell them apart."
    apart = differences[differences["told_apart"]]
    sentence = f"The {found}, over {seeds} seeds. "
    if apart.empty:
        return (
            sentence + "**No verdict:** all ranges over seeds overlap, so this budget cannot tell them apart."
        )
    told = "; ".join(
        f"`{row[by]}` on {row['benchmark']} {row['gain_db']:+.3f} dB" for _, row in apart.iterrows()
    )
    return (
        f"{sentence}**Told apart** (ranges over seeds do not overlap; {chance}): {told}. **Not told apart:** "
        f"the other {len(differences) - len(apart)} of {len(differences)}."
    )


def cheaper(costs: pd.DataFrame, first: object, second: object, by: str = "model") -> str:
    """Time and peak memory of two at each size, in words; one is faster only where quartiles part them.

    Parameters
    ----------
    costs : DataFrame
        As of `costs` or `timings`, of one part.
    first, second : object
        Two values of the column `by`.
    by : str
        "model" or an option.
    """
    summary = costs.groupby(["size", by]).agg(
        ms=("median_ms", "median"), low=("q25_ms", "min"), high=("q75_ms", "max"), mib=("peak_mib", "max")
    )
    lines = []
    for size in sorted(costs["size"].unique().tolist()):
        a, b = summary.loc[size, first], summary.loc[size, second]
        found = f"takes {a['ms'] / b['ms']:.2f} times as long as"
        if a["low"] <= b["high"] and b["low"] <= a["high"]:
            found = "is not told apart in time (quartiles overlap) from"
        lines.append(
            f"- {by} `{first}` {found} `{second}` on {size}×{size} px: {_range(a)} against {_range(b)}; it "
            f"holds {_short(a['mib'])} MiB against {_short(b['mib'])} MiB"
        )
    return "\n".join(lines)


def _range(summary: pd.Series) -> str:
    return f"{_short(summary['ms'])} ms ({_short(summary['low'])} to {_short(summary['high'])})"


def _short(number: float) -> str:
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def unevenness(evenness: pd.DataFrame, option: str) -> str:
    """How tokens fall into clusters for each value of an option, in words; medians over images and seeds."""
    lines = []
    for value, own in evenness.groupby(option):
        middle = own[["gini", "largest", "empty", "pure_windows"]].median()
        lines.append(
            f"- {option} {value}: the largest of {own['clusters'].iloc[0]} clusters holds "
            f"{middle['largest']:.0%} of an image's tokens, empty are {middle['empty']:g}, the Gini "
            f"coefficient is {middle['gini']:.2f}; {middle['pure_windows']:.0%} of windows hold one cluster "
            f"({_count(_images(own), 'image')}, {_count(own['seed'].nunique(), 'seed')})"
        )
    return "\n".join(lines)


def trained(records: Sequence[Record]) -> str:
    """What the training of one network was, and whether it was still getting better."""
    first, run = records[0].facts, records[0].run
    ends = [record.curve["validation_psnr"].iloc[[(len(record.curve) - 1) // 2, -1]] for record in records]
    climbs = "; ".join(f"{half:.2f} dB half way and {end:.2f} dB at the end" for half, end in ends)
    return (
        f"`{run.network.model}` ×{run.scale}, {first['parameters']:,} parameters: {run.budget.steps} steps "
        f"of {run.budget.batch} LR patches of {run.budget.patch}×{run.budget.patch} px took "
        f"{first['seconds']:.1f} s on {first['environment']['name']}, {_waiting(first):.0%} of it waiting "
        f"for data. PSNR of the held-out patches (RGB, not rounded, no border left out): {climbs}. Where it "
        f"still climbs at the end, the budget and not the network is the limit."
    )


def _waiting(facts: dict) -> float:
    return facts["data_wait_seconds"] / facts["seconds"]


def looking(reach: pd.DataFrame) -> str:
    """How widely and how far the layers of networks look, in words; medians over queries.

    Parameters
    ----------
    reach : DataFrame
        As of `srlab.inspection.reach`, with model and layer.
    """
    middle = reach.groupby(["model", "layer"], sort=False).median(numeric_only=True).reset_index()
    middle["spread"] = middle["keys_effective"] / middle["keys_seen"]
    lines = [
        f"- `{row.model}`, {row.layer}: sees {row.keys_seen:.0f} keys and weighs them as an even spread over "
        f"{row.spread:.0%} of them would, at a mean distance of {row.distance:.0f} px; an even look at the "
        f"whole image would have {row.distance_even:.0f} px"
        for row in middle.itertuples()
    ]
    even = (middle["spread"] > 0.95).sum()
    found = (
        f"Medians over {len(reach) // len(middle)} queries. {even} of {len(middle)} layers weigh the keys "
        f"that they see almost evenly (as a spread over more than 95 % of them): such a layer averages, and "
        f"all its choice lies in what it sees."
    )
    return "\n".join([found, "", *lines])


def describe(view: View) -> str:
    """What one query sees, in a sentence."""
    ranked = np.sort(view.weights, axis=None)[::-1]
    half = int(np.searchsorted(ranked.cumsum(), 0.5)) + 1
    return (
        f"{view.layer}: the query at row {view.row}, column {view.col} sees {np.count_nonzero(view.seen)} of "
        f"{view.seen.size} tokens; half of its weight lies on {half}, at most {ranked[0]:.1%} on one."
    )
