"""Figures of the main studies: training, sharing, sweeps of clusters and windows, the comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from srlab.plots.by_image import draw_gain_curve, gains_note, gains_over
from srlab.plots.labels import Name, name_lines, name_points, tell
from srlab.plots.marks import conditions, from_zero, logarithmic, points, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.frames import count, images_in
from srlab.stats.tables import NAMES

#: LSP and CoA as the 2×2 that they are: each network's row (dense, sparse) and column (own weights, shared).
CELLS = {"trunk_nla": (0, 0), "trunk_nla_shared": (0, 1), "trunk_lsp": (1, 0), "lcoan": (1, 1)}
COLUMNS = ("each layer\nits own", "weights shared\n(CoA)")


@rc_context(HOUSE)
def sharing(quality: pd.DataFrame, costs: pd.DataFrame, reference: str = "no_attention") -> Figure:
    """LSP and CoA as the 2×2 that they are: gain of each image, and what the non-local layers alone cost."""
    figure = blank(DOUBLE, 3.2)
    gain, time, memory = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    found = {each.value: each for each in gains_over(quality, reference)}
    alone = costs[costs["part"] == "non-local layers"].set_index("model")
    gain.axhline(0, color=INK, linewidth=0.8)
    for model, each in found.items():
        row, column = CELLS[model]
        beside = column + (2 * row - 1) * np.linspace(0.07, 0.22, len(each.images))
        gain.scatter(beside, each.images, s=6, color=look(model)["color"], alpha=0.4, linewidths=0)
    means = {model: each.mean for model, each in found.items()}
    timed = {row.Index: (row.median_ms, row.q25_ms, row.q75_ms) for row in alone.itertuples()}
    held = {row.Index: 3 * (row.peak_mib,) for row in alone.itertuples()}
    names = {ax: _two_by_two(ax, each) for ax, each in ((gain, means), (time, timed), (memory, held))}
    for ax in (time, memory):
        from_zero(ax, "y")
    gain.set(ylabel=f"Y-PSNR − {reference} (dB)", title="(a) quality")
    time.set(ylabel=NAMES["median_ms"], title="(b) time of the layers")
    memory.set(ylabel=NAMES["peak_mib"], title="(c) memory of the layers")
    untimed = [model for model in found if model not in alone.index]
    note = (
        f"trunk_nla: neither, trunk_nla_shared: CoA, trunk_lsp: LSP, lcoan: both. (a) {gains_note(quality)} "
        f"(b, c) {conditions(alone)}; bars: quartiles" + f"; not timed: {', '.join(untimed)}" * bool(untimed)
    )
    tell(figure, _shared(means, timed), f"{note}.")
    name_points(names)
    return figure


def _two_by_two(ax: Axes, cells: dict[str, tuple[float, float, float]]) -> list[Name]:
    """Values and the ends of their bars, by network; a line joins what differs only in whether weights are shared.

    Solid lines are sparse (LSP), dashed ones dense.
    """
    names = []
    for row, style in enumerate(("--", "-")):
        own = {CELLS[model][1]: model for model in CELLS if CELLS[model][0] == row and model in cells}
        ax.plot(list(own), [cells[model][0] for model in own.values()], color=INK, linewidth=1, linestyle=style)
        for x, model in own.items():
            value, low, high = cells[model]
            marker = look(model) | {"markersize": 6, "markeredgecolor": INK}
            if np.isfinite(high):
                ax.vlines(x, low, high, color=marker["color"], linewidth=2, alpha=0.6)
            ax.plot(x, value, **marker)
            names.append(Name(model, x, value, marker["color"]))
    ax.set_xticks((0, 1), COLUMNS)
    ax.set_xlim(-0.7, 1.7)
    ax.grid(visible=False, axis="x")
    return names


def _shared(gains: dict[str, tuple], times: dict[str, tuple]) -> str:
    """What LSP alone, and LCoA, take of dense attention's time, and how far they move PSNR."""
    told = [model for model in ("trunk_lsp", "lcoan") if model in times and model in gains]
    if not told or not {"trunk_nla"} <= times.keys() & gains.keys():
        return "Sparse or dense, shared or not"
    shares = " and ".join(f"{model} {100 * times[model][0] / times['trunk_nla'][0]:.0f} %" for model in told)
    moved = " and ".join(f"{gains[model][0] - gains['trunk_nla'][0]:+.3f}" for model in told)
    return f"Attention takes {shares} of trunk_nla's time; PSNR moves by {moved} dB against it"


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
        As of `srlab.analysis.sorting.evenness`.
    option : {"clusters", "window"}
    measure : {"gini", "pure_windows"}
        Column of `evenness`.
    model : str
        Whose colour.
    """
    figure = blank(DOUBLE, 5.2)
    (psnr, time), (memory, even) = figure.subplots(2, 2)
    style = look(model)
    draw_gain_curve(psnr, quality, option, model)
    psnr.set_title("(a) quality")
    alone = costs[costs["part"] == "non-local layers"].sort_values(option)
    for ax, column, title in ((time, "median_ms", "(b) time"), (memory, "peak_mib", "(c) memory")):
        points(ax, alone[option], alone, column, style)
        from_zero(ax, "y")
        ax.set(title=f"{title} of the layers", ylabel=NAMES[column])
    middle = evenness.groupby(option)[measure].median()
    even.plot(evenness[option], evenness[measure], ".", color=style["color"], alpha=0.4, markersize=4)
    even.plot(middle.index, middle, **style)
    even.set_ylim(-0.03, 1.03)
    even.set(ylabel=NAMES[measure], title="(d) what clusters do")
    values = sorted(quality[option].unique().tolist())
    for ax in (time, memory, even):
        powers(ax, values)
    for ax in (psnr, time, memory, even):
        ax.set_xlabel(NAMES[option])
    each = f"(d) line: median of {count(images_in(evenness), 'image')}, dots: each."
    note = f"(a) {gains_note(quality)} (b, c) {conditions(alone)}; bars: quartiles. {each}"
    letter = {"clusters": "k", "window": "w"}[option]
    moved = [f"{each.mean.value:+.3f} ({letter} = {each.value})" for each in gains_over(quality, values[0], option)]
    times = alone.set_index(option)["median_ms"]
    longer = f"{letter} = {values[-1]} takes {times[values[-1]] / times[values[0]]:.2f} times as long"
    tell(figure, f"Against {letter} = {values[0]}, PSNR moves by {' and '.join(moved)} dB; {longer}", note)
    return figure


@rc_context(HOUSE)
def cluster_sizes(sizes: dict[int, np.ndarray]) -> Figure:
    """Sizes of the clusters of one image, largest first, a line a number of clusters k."""
    figure = blank(DOUBLE, 3.2)
    ax = figure.subplots()
    names = []
    for number, (k, counts) in enumerate(sizes.items()):
        held = np.sort(counts[counts > 0])[::-1]
        share, colour = 100 * held / counts.sum(), colormaps["viridis"](0.8 * number / max(1, len(sizes) - 1))
        ax.plot(np.arange(1, len(held) + 1), share, color=colour, marker="o", markevery=[-1])
        ax.axhline(100 / k, color=colour, linewidth=0.9, linestyle=":")
        names.append(Name(f"k = {k}: {len(held)} in use", len(held), share[-1], to_hex(colour)))
    powers(ax, [2**i for i in range(max(map(len, sizes.values())).bit_length())])
    logarithmic(ax)
    ax.set(xlabel="cluster, the largest first", ylabel="share of the image's tokens (%)")
    empty = ", ".join(f"{int((counts == 0).sum())} of {k}" for k, counts in sizes.items())
    tokens = next(iter(sizes.values())).sum()
    note = f"One image, {tokens:,} tokens. A line ends at its last cluster in use; dotted: if all k were alike."
    tell(figure, f"Clusters that hold no token of the image: {empty}", note)
    name_lines({ax: names})
    return figure
