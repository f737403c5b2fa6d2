"""Figures of time and memory: back-ends, routing, scales, limits, and the roofline."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srlab.findings.tables import NAMES
from srlab.measure.limits import MEASURED, MEMORY
from srlab.plots.marks import conditions, key, logarithmic, points, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look

#: Back-ends of window attention: colour, marker, words.
BACKENDS = {
    "reference": ("#D55E00", "^", "plain formula, table"),
    "sdpa": ("#0072B2", "o", "fused kernel, table"),
    "flex": ("#009E73", "s", "FlexAttention, table"),
    "rib": ("#CC79A7", "D", "fused kernel, RIB"),
}
#: Colours of FGCA's windows, by side.
ROUTED = {4: "#88CCEE", 8: "#882255", 16: "#DDCC77"}


@rc_context(HOUSE)
def backends(costs: pd.DataFrame) -> Figure:
    """Time and memory of one window attention layer against the side of its windows, back-end by back-end.

    Parameters
    ----------
    costs : DataFrame
        side, backend, height, median_ms, q25_ms, q75_ms, peak_mib, repeats, size.
    """
    figure = blank(DOUBLE, 2.8)
    time, memory = figure.subplots(1, 2)
    for ax, column in ((time, "median_ms"), (memory, "peak_mib")):
        for backend, own in costs.groupby("backend", sort=False):
            colour, marker, words = BACKENDS[backend]
            points(ax, own["side"], own, column, {"color": colour, "marker": marker, "label": words})
        powers(ax, sorted(costs["side"].unique().tolist()))
        logarithmic(ax)
        ax.set(xlabel="side of the windows (px)", ylabel=NAMES[column])
    time.set_title(f"one layer, {conditions(costs)}")
    memory.set_title(f"map of {costs['height'].iloc[0]}×{costs['height'].iloc[0]} px")
    figure.legend(*time.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@rc_context(HOUSE)
def routing(costs: pd.DataFrame) -> Figure:
    """Time and memory of one layer of FGCA (windows of M×M) and of BRA (a fixed grid) as the map grows.

    Parameters
    ----------
    costs : DataFrame
        mechanism ("fgcan", "bran"), window (M; NaN for BRA), top, height, width, median_ms, q25_ms, q75_ms,
        peak_mib, repeats, size.
    """
    tops = sorted(costs["top"].unique().tolist())
    figure = blank(DOUBLE, 4.6)
    grid = figure.subplots(2, len(tops), squeeze=False, sharex=True, sharey="row")
    for axes, column in zip(grid, ("median_ms", "peak_mib"), strict=True):
        for ax, top in zip(axes, tops, strict=True):
            each = costs[costs["top"] == top]
            for (mechanism, side), own in each.groupby(["mechanism", "window"], sort=False, dropna=False):
                style = look(mechanism)
                if mechanism == "fgcan":
                    style |= {"color": ROUTED[side], "markerfacecolor": ROUTED[side]}
                points(ax, own["size"], own, column, style)
            powers(ax, sorted(costs["size"].unique().tolist()))
            logarithmic(ax)
            ax.set_title(f"top {top:g}" + (f": {conditions(each)}" if len(tops) == 1 else ""))
        axes[0].set_ylabel(NAMES[column])
    for ax in grid[-1]:
        ax.set_xlabel("side of the map (px)")
    entries = [
        Line2D([], [], color=colour, marker=look("fgcan")["marker"], label=f"FGCA, M = {side}")
        for side, colour in ROUTED.items()
    ]
    entries.append(Line2D([], [], label="BRA", **look("bran")))
    figure.legend(handles=entries, loc="outside lower center", ncols=4)
    return figure


@rc_context(HOUSE)
def scales(costs: pd.DataFrame) -> Figure:
    """Latency and memory of whole networks at each scale; ×16 is ×4 twice.

    Parameters
    ----------
    costs : DataFrame
        model, scale, size, median_ms, q25_ms, q75_ms, peak_mib, repeats.
    """
    figure = blank(DOUBLE, 3.0)
    for ax, column in zip(figure.subplots(1, 2), ("median_ms", "peak_mib"), strict=True):
        for model, own in costs.groupby("model", sort=False):
            points(ax, own["scale"], own, column, look(model))
        powers(ax, sorted(costs["scale"].unique().tolist()))
        ax.set_xticks(ax.get_xticks(), [f"×{scale:g}" for scale in ax.get_xticks()])
        logarithmic(ax)
        ax.set(xlabel="scale (×16: ×4 of ×4)", ylabel=NAMES[column])
        ax.set_title(f"whole network: {conditions(costs)}")
    figure.legend(handles=key(costs["model"]), loc="outside lower center", ncols=6)
    return figure


@rc_context(HOUSE)
def limits(found: pd.DataFrame) -> Figure:
    """Time and memory of one layer against the pixels of its map, up to where it fails.

    Parameters
    ----------
    found : DataFrame
        As of `srlab.measure.limits.find_limits`, with model instead of label.
    """
    figure = blank(DOUBLE, 3.6)
    for ax, column in zip(figure.subplots(1, 2), ("median_ms", "peak_mib"), strict=True):
        for model, own in found.groupby("model", sort=False):
            style = look(model)
            done = own[own["state"] == MEASURED]
            pixels = done["height"] * done["width"]
            ax.plot(pixels, done[column], **style | {"markersize": 4})
            failed = own[own["state"] != MEASURED]
            if len(failed) and len(done):
                _fell(ax, failed.iloc[0], float(pixels.iloc[-1]), done[column].iloc[-1], style["color"])
        ax.set(xscale="log", xlabel="pixels of the map", ylabel=NAMES[column])
        logarithmic(ax)
        ax.set_title("one non-local layer alone")
    states = [
        Line2D([], [], color=INK, linestyle=":", marker="$M$", label="next size: out of memory"),
        Line2D([], [], color=INK, linestyle=":", marker="$T$", label="next size: too slow"),
    ]
    figure.legend(handles=[*key(found["model"]), *states], loc="outside lower center", ncols=5)
    return figure


def _fell(ax: Axes, failed: pd.Series, pixels: float, value: float, colour: str) -> None:
    """A dotted line to where a mechanism failed, at the height of what it last reached, and why."""
    at = failed["height"] * failed["width"]
    ax.plot([pixels, at], [value, value], color=colour, linestyle=":", linewidth=0.8)
    marker = "$M$" if failed["state"] == MEMORY else "$T$"
    ax.plot(at, value, marker=marker, color=colour, markersize=5, linestyle="none")


@rc_context(HOUSE)
def roofline(costs: pd.DataFrame) -> Figure:
    """Speed against arithmetic intensity under the two roofs, and time against the floor that they set.

    Parameters
    ----------
    costs : DataFrame
        model, gflops, moved_mib, median_ms, gflops_per_s, gib_per_s (the roofs), floor_ms, size, repeats.
    """
    figure = blank(DOUBLE, 3.3)
    roof, times = figure.subplots(1, 2)
    intensity = costs["gflops"] * 1e9 / (costs["moved_mib"] * 2**20)
    speed = costs["gflops"] / (costs["median_ms"] / 1e3)
    top, slope = costs["gflops_per_s"].iloc[0], costs["gib_per_s"].iloc[0] * 2**30 / 1e9
    x = np.geomspace(min(intensity.min(), top / slope) / 2, 2 * max(intensity.max(), top / slope), 50)
    roof.plot(x, np.minimum(top, slope * x), color=INK)
    for model, across, up in zip(costs["model"], intensity, speed, strict=True):
        roof.plot(across, up, **look(model) | {"linestyle": "none"})
    roof.set(xlabel="operations per byte that must move", ylabel="GFLOP/s")
    logarithmic(roof, "x")
    logarithmic(roof)
    roof.set_title(f"roofs: {top:.0f} GFLOP/s, {costs['gib_per_s'].iloc[0]:.1f} GiB/s, float32")
    order = costs.sort_values("median_ms")
    for y, row in enumerate(order.itertuples()):
        times.plot([row.floor_ms, row.median_ms], [y, y], color="#bbbbbb", linewidth=1.5, zorder=0)
        times.plot(row.floor_ms, y, marker="|", color=INK, markersize=9, linestyle="none")
        times.plot(row.median_ms, y, **look(row.model) | {"linestyle": "none"})
    times.set_yticks(range(len(order)), order["model"])
    times.set(xlabel="ms: floor (bar) and measured median (marker)")
    logarithmic(times, "x")
    times.set_title(f"non-local layers, {conditions(costs)}")
    return figure
