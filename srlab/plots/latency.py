"""Figures of time and memory: against size, back-ends, routing, scales, limits, and the roofline."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.measure.limits import MEASURED
from srlab.plots.labels import Name, name_lines, name_points, tell
from srlab.plots.marks import conditions, logarithmic, points, powers, rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.frames import count
from srlab.stats.tables import NAMES

#: Back-ends of window attention: colour, marker, words.
BACKENDS = {
    "reference": ("#D55E00", "^", "plain formula"),
    "sdpa": ("#0072B2", "o", "fused kernel"),
    "flex": ("#009E73", "s", "FlexAttention"),
    "rib": ("#CC79A7", "D", "fused, RIB"),
}
PLAIN = "reference"
#: Colours of FGCA's windows, by side.
ROUTED = {4: "#88CCEE", 8: "#882255", 16: "#DDCC77"}
COLUMNS = ("median_ms", "peak_mib")
#: Whose costs are the measure of the others'.
DENSE = "trunk_nla"
#: The scale that is ×4 twice.
TWICE = 16


@rc_context(HOUSE)
def scaling(costs: pd.DataFrame) -> Figure:
    """Time and peak memory as shares of those of dense attention, against image size; networks, and layers alone.

    Parameters
    ----------
    costs : DataFrame
        As of `timings`.
    """
    figure = blank(DOUBLE, 5.6)
    parts, sizes = ("non-local layers", "network"), sorted(costs["size"].unique().tolist())
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    names = {}
    for axes, column, words in zip(grid, COLUMNS, ("time", "peak memory"), strict=True):
        for ax, part in zip(axes, parts, strict=True):
            own = costs[costs["part"] == part]
            dense = own[own["model"] == DENSE].set_index("size")[column]
            names[ax] = [_ratios(ax, each, dense, column) for _, each in own.groupby("model", sort=False)]
            powers(ax, sizes)
            logarithmic(ax)
            unit = {"median_ms": "ms", "peak_mib": "MiB"}[column]
            told = ", ".join(f"{dense[size]:.3g}" for size in sizes if size in dense)
            ax.set_title(f"{'whole network' if part == 'network' else part} ({DENSE}: {told} {unit})")
        axes[0].set_ylabel(f"{words} ÷ {DENSE}'s")
    for ax in grid[-1]:
        ax.set_xlabel("side of the LR image (px)")
    alone = costs[(costs["part"] == parts[0]) & (costs["size"] == sizes[-1])].set_index("model")["median_ms"]
    share = (alone / alone[DENSE]).drop(DENSE)
    tell(
        figure,
        f"On {sizes[-1]}×{sizes[-1]} px attention takes {share.min():.2f} ({share.idxmin()}) to {share.max():.2f} "
        f"times ({share.idxmax()}) as long as {DENSE}'s",
        f"Medians of {count(int(costs['repeats'].iloc[0]), 'repeat')}, bars: quartiles. In brackets what {DENSE} "
        "itself takes at each size. Hollow, dashed: weights stored, not computed anew.",
    )
    name_lines(names)
    return figure


def _ratios(ax: Axes, costs: pd.DataFrame, dense: pd.Series, column: str) -> Name:
    """A network's line, as shares of the dense one's; bars are its own quartiles."""
    model = costs["model"].iloc[0]
    by = dense.loc[costs["size"]].to_numpy()
    scaled = costs.assign(**{name: costs[name] / by for name in ("median_ms", "q25_ms", "q75_ms", "peak_mib")})
    points(ax, scaled["size"], scaled, column, look(model) | {"markersize": 4})
    return Name(model, scaled["size"].iloc[-1], scaled[column].iloc[-1], look(model)["color"])


@rc_context(HOUSE)
def backends(costs: pd.DataFrame) -> Figure:
    """Time and memory of one window attention layer against the side of its windows, back-end by back-end.

    Parameters
    ----------
    costs : DataFrame
        side, backend, height, median_ms, q25_ms, q75_ms, peak_mib, repeats, size.
    """
    figure = blank(DOUBLE, 3.1)
    names = {}
    for ax, column in zip(figure.subplots(1, 2), COLUMNS, strict=True):
        names[ax] = []
        for backend, own in costs.groupby("backend", sort=False):
            colour, marker, words = BACKENDS[backend]
            points(ax, own["side"], own, column, {"color": colour, "marker": marker})
            _hollow(ax, own[own["height"] % own["side"] != 0], "side", column, {"color": colour, "marker": marker})
            names[ax].append(Name(words, own["side"].iloc[-1], own[column].iloc[-1], colour))
        powers(ax, sorted(costs["side"].unique().tolist()))
        logarithmic(ax)
        ax.set(xlabel="side of the windows (px)", ylabel=NAMES[column])
    side, height = costs["side"].max(), costs["height"].iloc[0]
    largest = costs[costs["side"] == side].set_index("backend")[list(COLUMNS)]
    share = (largest / largest.loc[PLAIN]).drop(PLAIN)
    best = share["median_ms"].idxmin()
    filled = " Hollow: windows do not tile the map, which is filled up to their next multiple."
    filled *= bool((costs["height"] % costs["side"] != 0).any())
    tell(
        figure,
        f"At windows of {side}×{side} px, “{BACKENDS[best][2]}” takes {100 * share.loc[best, 'median_ms']:.0f} % of "
        f"the plain formula's time and {100 * share.loc[best, 'peak_mib']:.0f} % of its memory",
        f"One layer on a map of {height}×{height} px, {costs['repeats'].iloc[0]:.0f} repeats; bars: quartiles. All "
        f"but RIB read position biases from a table.{filled}",
    )
    name_lines(names)
    return figure


@rc_context(HOUSE)
def routing(costs: pd.DataFrame) -> Figure:
    """Time and memory of one layer of FGCA (windows of M×M) and of BRA (a fixed grid) as the map grows.

    Parameters
    ----------
    costs : DataFrame
        mechanism ("trunk_fgca", "trunk_bra"), window (M; NaN for BRA), top, height, width, median_ms, q25_ms, q75_ms,
        peak_mib, repeats, size.
    """
    tops = sorted(costs["top"].unique().tolist())
    figure = blank(DOUBLE, 5.0)
    grid = figure.subplots(2, len(tops), squeeze=False, sharex=True, sharey="row")
    names = {}
    for axes, column in zip(grid, COLUMNS, strict=True):
        for ax, top in zip(axes, tops, strict=True):
            names[ax] = []
            each = costs[costs["top"] == top]
            for (mechanism, side), own in each.groupby(["mechanism", "window"], sort=False, dropna=False):
                style, words = look(mechanism), "BRA"
                if mechanism == "trunk_fgca":
                    style |= {"color": ROUTED[side], "markerfacecolor": ROUTED[side]}
                    words = f"FGCA, M = {side:g}"
                points(ax, own["size"], own, column, style)
                _hollow(ax, own[_chooses_all(own)], "size", column, style)
                names[ax].append(Name(words, own["size"].iloc[-1], own[column].iloc[-1], style["color"]))
            powers(ax, sorted(costs["size"].unique().tolist()))
            logarithmic(ax)
            ax.set_title(f"top {top:g}")
        axes[0].set_ylabel(NAMES[column])
    for ax in grid[-1]:
        ax.set_xlabel("side of the map (px)")
    size = costs["size"].max()
    largest = costs[(costs["size"] == size) & (costs["top"] == tops[-1])].set_index("window")["median_ms"]
    bra = largest[largest.index.isna()].iloc[0]
    share = largest[largest.index.notna()] / bra
    every = " Hollow: there are no more windows than are chosen."
    tell(
        figure,
        f"On {size}×{size} px, FGCA takes {share.min():.2f} (M = {share.idxmin():g}) to {share.max():.2f} times "
        f"(M = {share.idxmax():g}) as long as BRA",
        f"One layer alone; windows of M×M px choose the top {'/'.join(f'{top:g}' for top in tops)} of all windows. "
        f"{costs['repeats'].iloc[0]:.0f} repeats; bars: quartiles." + every * bool(_chooses_all(costs).any()),
    )
    name_lines(names)
    return figure


def _chooses_all(costs: pd.DataFrame) -> pd.Series:
    """Where FGCA has no more windows than it chooses, so that it chooses nothing."""
    return np.ceil(costs["height"] / costs["window"]) * np.ceil(costs["width"] / costs["window"]) <= costs["top"]


def _hollow(ax: Axes, costs: pd.DataFrame, x: str, column: str, style: dict) -> None:
    """Mark points that are measured otherwise than the rest of their line."""
    ax.plot(costs[x], costs[column], **style | {"linestyle": "", "markerfacecolor": "white", "zorder": 3})


@rc_context(HOUSE)
def scales(costs: pd.DataFrame) -> Figure:
    """Latency and memory of whole networks at each scale; ×16 is ×4 twice, and dashed.

    Parameters
    ----------
    costs : DataFrame
        model, scale, size, median_ms, q25_ms, q75_ms, peak_mib, repeats.
    """
    figure = blank(DOUBLE, 3.4)
    names = {}
    for ax, column in zip(figure.subplots(1, 2), COLUMNS, strict=True):
        names[ax] = []
        for model, own in costs.groupby("model", sort=False):
            style, own = look(model) | {"markersize": 4}, own.sort_values("scale")
            once, twice = own[own["scale"] < TWICE], own[own["scale"] >= 4]
            if len(twice) > 1:
                ax.plot(twice["scale"], twice[column], **style | {"linestyle": "--", "marker": ""})
            points(ax, once["scale"], once, column, style)
            hollow = style | {"linestyle": "", "markerfacecolor": "white"}
            points(ax, twice["scale"].iloc[1:], twice.iloc[1:], column, hollow)
            names[ax].append(Name(model, own["scale"].iloc[-1], own[column].iloc[-1], style["color"]))
        powers(ax, sorted(costs["scale"].unique().tolist()))
        ax.set_xticks(ax.get_xticks(), [f"×{scale:g}" for scale in ax.get_xticks()])
        logarithmic(ax)
        ax.set(xlabel="scale", ylabel=NAMES[column])
    scales = sorted(costs["scale"].unique().tolist())
    times = costs.pivot(index="model", columns="scale", values="median_ms")
    longer = times[scales[-1]] / times[scales[0]]
    tell(
        figure,
        f"×{scales[-1]} takes {longer.min():.1f} ({longer.idxmin()}) to {longer.max():.1f} times ({longer.idxmax()}) "
        f"as long as ×{scales[0]}",
        f"Whole networks, {conditions(costs)}; bars: quartiles."
        + f" Dashed, hollow: ×{TWICE}, put together of ×4 and ×4 of what that makes." * (TWICE in scales),
    )
    name_lines(names)
    return figure


@rc_context(HOUSE)
def limits(found: pd.DataFrame) -> Figure:
    """Time and memory of one layer against the pixels of its map, up to where it fails.

    Parameters
    ----------
    found : DataFrame
        As of `srlab.measure.limits.find_limits`, with model instead of label.
    """
    figure = blank(DOUBLE, 3.7)
    names = {}
    reached = found[found["state"] == MEASURED]
    for ax, column in zip(figure.subplots(1, 2), COLUMNS, strict=True):
        names[ax] = []
        for model, own in found.groupby("model", sort=False):
            style, done, failed = look(model), own[own["state"] == MEASURED], own[own["state"] != MEASURED]
            if done.empty:
                continue
            pixels = done["height"] * done["width"]
            points(ax, pixels, done, column, style | {"markersize": 4})
            words = model
            if len(failed):
                at = (pixels.iloc[-1], done[column].iloc[-1])
                ax.plot(*at, marker="x", markersize=9, markeredgewidth=1.8, color=style["color"])
                words = f"{model}:\n{failed['state'].iloc[0]} next"
            names[ax].append(Name(words, pixels.iloc[-1], done[column].iloc[-1], style["color"]))
        ax.set(xlabel="pixels of the map", ylabel=NAMES[column])
        logarithmic(ax, "x")
        logarithmic(ax)
    last = reached.groupby("model", sort=False).last()
    farthest = last[last["height"] * last["width"] == (last["height"] * last["width"]).max()]
    never = [model for model in found["model"].unique() if model not in last.index]
    never = f" Failed at the first size: {', '.join(never)}." * bool(never)
    tell(
        figure,
        f"{len(farthest)} of {count(found['model'].nunique(), 'layer')} reached "
        f"{farthest['width'].iloc[0]}×{farthest['height'].iloc[0]} px, {farthest['median_ms'].idxmin()} the fastest "
        f"({farthest['median_ms'].min():.0f} ms)",
        f"One non-local layer alone, {reached['repeats'].iloc[0]:.0f} repeats; bars: quartiles. ×: the next size "
        f"failed, for the reason that is named.{never}",
    )
    name_lines(names)
    return figure


@rc_context(HOUSE)
def roofline(costs: pd.DataFrame) -> Figure:
    """Speed against arithmetic intensity under the two roofs, and time against the floor that they set.

    Parameters
    ----------
    costs : DataFrame
        model, gflops, moved_mib, median_ms, gflops_per_s, gib_per_s (the roofs), floor_ms, size, repeats.
    """
    figure = blank(DOUBLE, 3.6)
    roof, times = figure.subplots(1, 2)
    intensity = costs["gflops"] * 1e9 / (costs["moved_mib"] * 2**20)
    speed = costs["gflops"] / (costs["median_ms"] / 1e3)
    top, slope = costs["gflops_per_s"].iloc[0], costs["gib_per_s"].iloc[0] * 2**30 / 1e9
    ridge = top / slope
    x = np.array([min(intensity.min(), ridge) / 2, ridge, 2 * max(intensity.max(), ridge)])
    roof.plot(x, np.minimum(top, slope * x), color=INK)
    flat, steep = f"{top:.0f} GFLOP/s", f"{costs['gib_per_s'].iloc[0]:.1f} GiB/s"
    names = [Name(flat, float(np.sqrt(x[1] * x[2])), top), Name(steep, x[0], slope * x[0])]
    for model, across, up in zip(costs["model"], intensity, speed, strict=True):
        roof.plot(across, up, **look(model) | {"linestyle": "none"})
        names.append(Name(model, across, up, look(model)["color"]))
    roof.set(xlabel="operations per byte that must move", ylabel="GFLOP/s", title="(a) speed under the roofs")
    logarithmic(roof, "x")
    logarithmic(roof)
    roof.margins(y=0.15)
    order = costs.sort_values("median_ms")
    for y, row in enumerate(order.itertuples()):
        times.plot([row.floor_ms, row.median_ms], [y, y], color="#bbbbbb", linewidth=1.5, zorder=0)
        times.hlines(y, row.q25_ms, row.q75_ms, color=look(row.model)["color"], linewidth=2)
        times.plot(row.floor_ms, y, marker="|", color=INK, markersize=9, linestyle="none")
        times.plot(row.median_ms, y, **look(row.model) | {"linestyle": "none"})
    rows(times, order["model"].tolist())
    times.set(xlabel="ms", title="(b) time above the floor")
    logarithmic(times, "x")
    over = (costs["median_ms"] / costs["floor_ms"]).set_axis(costs["model"])
    tell(
        figure,
        f"Layers take {over.min():.1f} ({over.idxmin()}) to {over.max():.1f} times ({over.idxmax()}) the floor that "
        "arithmetic and memory set",
        f"Non-local layers, float32, {conditions(costs)}; roofs measured in the same run. (b) Black strokes: the "
        "floor; markers: medians, bars: quartiles.",
    )
    name_points({roof: names})
    return figure
