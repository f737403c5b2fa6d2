"""Figures of cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.chapters.cost.frames import LAYERS, reference
from srlab.measure.processes import MEASURED
from srlab.models.registry import label
from srlab.plots.charts import lines, points, stacked
from srlab.plots.estimates import forest
from srlab.plots.marks import from_zero, logarithmic, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.plots.text import Name, caption, name_lines, name_points
from srlab.stats.gains import pooled
from srlab.stats.tables import NAMES
from srlab.stats.words import bar_note, count
from srlab.study.frames import image_gains, named

#: Colour, marker and name of each back-end of window attention.
BACKENDS = {
    "reference": ("#D55E00", "^", "plain formula"),
    "sdpa": ("#0072B2", "o", "fused kernel"),
    "flex": ("#009E73", "s", "FlexAttention"),
    "rib": ("#CC79A7", "D", "fused, RIB"),
}
#: Colours of FGCA's windows by side, and of BRA.
ROUTED = {4: "#88CCEE", 8: "#882255", 16: "#DDCC77"}
BRA = "#44AA99"
#: Colour and hatch of each stage of a layer.
STAGES = {
    "projections": ("#999999", ""),
    "choosing": ("#E69F00", "//"),
    "sorting": ("#009E73", "xx"),
    "copies": ("#CC79A7", "\\\\"),
    "attending": ("#0072B2", ""),
}
#: Columns of costs, each with the columns of its bar's ends.
COSTS = {"median_ms": ("q25_ms", "q75_ms"), "peak_mib": ("peak_mib", "peak_mib")}


def _value(costs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Add the column as value, and the ends of its bar."""
    low, high = COSTS[column]
    return costs.assign(value=costs[column], low=costs[low], high=costs[high])


def _draw(ax: Axes, costs: pd.DataFrame, x: pd.Series, column: str, words: str) -> list[Name]:
    """Draw a cost over x on logarithmic axes; times have bars between their quartiles."""
    names = lines(ax, _value(costs, column).assign(x=x, y=costs[column]))
    powers(ax, sorted(x.round().astype(int).unique().tolist()))
    logarithmic(ax)
    ax.set(xlabel=words, ylabel=NAMES[column])
    return names


def _repeats(costs: pd.DataFrame) -> str:
    return f"Medians of {count(int(costs['repeats'].max()), 'repeat')}, bars: quartiles."


@rc_context(HOUSE)
def scaling(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw time and peak memory against image size as multiples of dense attention's; layers, and whole networks."""
    costs, names = named(tables["timing"]), {}
    dense = reference(costs)
    figure = blank(DOUBLE, 5.6)
    for axes, column in zip(figure.subplots(2, 2, sharex=True, sharey="row"), COSTS, strict=True):
        what, unit = ("time", "ms") if column == "median_ms" else ("peak memory", "MiB")
        for ax, part in zip(axes, (LAYERS, "network"), strict=True):
            own = costs[costs["part"] == part]
            one = own[own["model"] == dense].set_index("size")[column]
            ratios = own[list({column, *COSTS[column]})].div(one.loc[own["size"]].to_numpy(), axis=0)
            names[ax] = _draw(ax, own.assign(**ratios), own["size"], column, "side of the LR image (px)")
            ax.set_title(f"{part} (1 = {', '.join(f'{value:.3g}' for value in one)} {unit})")
            ax.set_ylabel(f"{what} ÷ {label(dense)}")
            ax.label_outer()
    note = f"{_repeats(costs)} Hollow, dashed: weights stored instead of recomputed."
    caption(figure, f"Time and memory over the size of the image, relative to {label(dense)}", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def inside(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the time of each mechanism's layers by stage."""
    stages = named(tables["inside"])
    parts = stages.pivot(index="name", columns="stage", values="ms")
    figure = blank(DOUBLE, 1.5 + 0.26 * len(parts))
    ax = figure.subplots()
    stacked(ax, parts.loc[parts.sum(axis=1).sort_values(kind="stable").index], STAGES, "ms")
    ax.set_xlabel("median time of the non-local layers (ms)")
    note = f"LR {stages['size'].iloc[0]:g} px; shares by PyTorch's profiler over {stages['repeats'].iloc[0]} calls. "
    note += "Choosing: k-means, hashes, routes, scaled queries and keys, stored weights. Copies: gathering, padding, "
    note += "concatenation. Attending: scores, softmax, sums of values, and the rest."
    caption(figure, "The time of non-local layers by stage", note)
    return figure


@rc_context(HOUSE)
def sharing(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw gain, time and memory of layers that are dense or sparse, with own or shared weights."""
    gains = named(pooled(tables["sharing_gains"]))
    layers = gains[["model", "name"]].merge(tables["sharing_layers"], on="model", how="left")
    figure = blank(DOUBLE, 0.35 * len(gains) + 1.4)
    gain, time, memory = figure.subplots(1, 3, sharey=True, width_ratios=[5, 3, 3])
    forest(gain, gains, image_gains(tables["sharing_images"]), clip=True)
    gain.set(xlabel="Y-PSNR − no attention (dB)", title="(a) quality")
    gain.locator_params(axis="x", nbins=6)
    for ax, column, title in ((time, "median_ms", "(b) time of the layers"), (memory, "peak_mib", "(c) their memory")):
        forest(ax, _value(layers, column), zero=None)
        ax.set(xlabel=NAMES[column], title=title)
        from_zero(ax, "x")
    seeds, untimed = int(gains["seeds"].min()), layers.loc[layers["median_ms"].isna(), "name"].tolist()
    number, few = count(int(gains["images"].iloc[0]), "image"), f" Not timed: {', '.join(untimed)}." * bool(untimed)
    note = f"(a) Small: {number}, large: their mean; {count(seeds, 'seed')}, {bar_note(seeds)}. "
    note += f"(b, c) LR {layers['size'].max():g} px. {_repeats(tables['sharing_costs'])}{few}"
    caption(figure, "Dense or sparse, own or shared weights: quality and cost", note)
    return figure


@rc_context(HOUSE)
def backends(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw time and memory of one window attention layer against the side of its windows, by back-end."""
    costs = tables["backends"].drop(columns="model")
    costs = costs.join(pd.DataFrame(BACKENDS, index=["colour", "marker", "name"]).T, on="backend")
    costs = costs.assign(hollow=costs["height"] % costs["side"] != 0)
    figure = blank(DOUBLE, 3.1)
    axes = zip(figure.subplots(1, 2), COSTS, strict=True)
    names = {ax: _draw(ax, costs, costs["side"], column, "side of the windows (px)") for ax, column in axes}
    note = f"One layer. {_repeats(costs)} All but RIB read position biases from a table."
    note += " Hollow: the map is padded to a multiple of the window." * bool(costs["hollow"].any())
    height = costs["height"].iloc[0]
    caption(figure, f"Window attention on a map of {height}×{height} px by back-end", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def routing(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the time of one layer of FGCA (windows of M×M) and of BRA (a fixed grid) as the map grows."""
    costs, names = tables["routing"], {}
    windows = np.ceil(costs["height"] / costs["window"]) * np.ceil(costs["width"] / costs["window"])
    costs = costs.assign(
        name=["BRA" if np.isnan(side) else f"FGCA, M = {side:g}" for side in costs["window"]],
        colour=costs["window"].map(ROUTED).fillna(BRA),
        marker=np.where(costs["window"].isna(), "d", ">"),
        hollow=windows <= costs["top"],
    )
    figure = blank(DOUBLE, 3.2)
    axes = figure.subplots(1, costs["top"].nunique(), squeeze=False, sharey=True)[0]
    for ax, (top, own) in zip(axes, costs.groupby("top"), strict=True):
        names[ax] = _draw(ax, own, own["size"], "median_ms", "side of the map (px)")
        ax.set_title(f"each window chooses {count(int(top), 'window')}")
        ax.label_outer()
    note = f"One layer; FGCA has windows of M×M px, BRA a fixed number of windows. {_repeats(costs)}"
    note += " Hollow: there are no more windows than are chosen." * bool(costs["hollow"].any())
    caption(figure, "FGCA and BRA: time over the size of the map", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def limits(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw time and memory of one layer against the size of its map, up to where it fails."""
    found = named(tables["limits"])
    done, ends = found[found["state"] == MEASURED], found[found["state"] != MEASURED]
    last = ~done.duplicated("model", keep="last")
    done = done.assign(failed=last & done["model"].isin(ends["model"]))
    figure = blank(DOUBLE, 3.7)
    axes, sides = zip(figure.subplots(1, 2), COSTS, strict=True), np.sqrt(done["height"] * done["width"])
    names = {ax: _draw(ax, done, sides, column, "√(pixels of the map)") for ax, column in axes}
    for ax in names:
        ax.margins(0.2)
    failed = [f"{row.name} ({row.state} at {row.width}×{row.height} px)" for row in ends.itertuples(index=False)]
    note = f"One non-local layer. {_repeats(done)} ×: the next larger map failed: {', '.join(failed) or 'none'}."
    caption(figure, "One layer on ever larger maps", note)
    name_points(names)
    return figure


@rc_context(HOUSE)
def roofline(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw speed against arithmetic intensity under the two roofs, and time as a multiple of the least possible."""
    costs = named(tables["roofline"])
    costs["x"] = costs["gflops"] * 1e9 / (costs["moved_mib"] * 2**20)
    costs["y"] = costs["gflops"] / (costs["median_ms"] / 1e3)
    over = costs.assign(**costs[["median_ms", "q25_ms", "q75_ms"]].div(costs["floor_ms"], axis=0))
    top, gib = costs["gflops_per_s"].iloc[0], costs["gib_per_s"].iloc[0]
    slope = gib * 2**30 / 1e9
    ridge = top / slope
    x = np.array([min(costs["x"].min(), ridge) / 2, ridge, 2 * max(costs["x"].max(), ridge)])
    figure = blank(DOUBLE, 3.6)
    speed, floor = figure.subplots(1, 2)
    lines(speed, pd.DataFrame({"name": "roofs", "x": x, "y": np.minimum(top, slope * x), "colour": INK, "marker": ""}))
    names = [Name(f"{top:.0f} GFLOP/s", float(np.sqrt(x[1] * x[2])), top), Name(f"{gib:.1f} GiB/s", x[0], slope * x[0])]
    names += points(speed, costs)
    speed.set(xlabel="operations per byte that must move", ylabel="GFLOP/s", title="(a) speed under the roofs")
    speed.margins(y=0.15)
    logarithmic(speed, "x")
    logarithmic(speed)
    forest(floor, _value(over, "median_ms").sort_values("value"), zero=1.0)
    floor.set(xlabel="time ÷ least time by arithmetic and bytes", title="(b) distance from the roofs")
    note = f"Non-local layers, float32, LR {costs['size'].iloc[0]:g} px. {_repeats(costs)} Roofs: of the same run."
    caption(figure, "Speed of non-local layers under the roofs of this device", note)
    name_points({speed: names})
    return figure
