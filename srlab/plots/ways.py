"""The figure of ways to divide the same tokens by k-means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.plots.labels import Name, name_lines, tell
from srlab.plots.marks import logarithmic, powers, rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.stats.frames import count

#: Colour (of Okabe and Ito) and marker of each way.
LOOKS = (("#000000", "o"), ("#D55E00", "s"), ("#E69F00", "D"), ("#0072B2", "^"), ("#56B4E9", "v"))


@rc_context(HOUSE)
def cluster_ways(sizes: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """How evenly each way of k-means divides the same tokens: all images together, and image by image.

    Parameters
    ----------
    sizes, evenness : DataFrame
        As of `srlab.analysis.centroids.ways`, of one k.
    """
    figure = blank(DOUBLE, 5.0)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    ranked = upper.subplots()
    k, runs = sizes["clusters"].iloc[0], sizes["run"].nunique()
    names = list(sizes["way"].unique())
    styles = [{"color": colour, "marker": marker, "markersize": 4} for colour, marker in LOOKS[: len(names)]]
    tokens = sizes.groupby(["run", "way"])["tokens"].sum().iloc[0]
    ends = []
    for way, style in zip(names, styles, strict=True):
        for number, (_, own) in enumerate(sizes[sizes["way"] == way].groupby("run", sort=False)):
            held = own[own["tokens"] > 0]
            ranked.plot(held["rank"], 100 * held["tokens"] / tokens, markevery=[-1], **style)
            if number == 0:
                last = held.iloc[-1]
                ends.append(Name(way, last["rank"], 100 * last["tokens"] / tokens, style["color"]))
    ranked.axhline(100 / k, color=INK, linewidth=0.9, linestyle=":")
    ends.append(Name("if all were alike", k, 100 / k))
    powers(ranked, sorted({2**i for i in range(int(k).bit_length())} | {int(k)}))
    logarithmic(ranked)
    ranked.set(xlabel="cluster, the largest first", ylabel="share of tokens (%)", title="(a) all images together")
    panels = {
        "empty": (1, "empty clusters"),
        "largest": (100, "share of the largest (%)"),
        "effective": (1, "as even as … clusters of one size"),
    }
    for letter, ax, (column, (unit, words)) in zip(
        "bcd", lower.subplots(1, len(panels), sharey=True), panels.items(), strict=True
    ):
        for place, (way, style) in enumerate(zip(names, styles, strict=True)):
            each = unit * evenness.loc[evenness["way"] == way, column]
            places = place + np.linspace(-0.3, 0.3, len(each) + 2)[1:-1]
            ax.scatter(each, places, s=6, color=style["color"], alpha=0.5, linewidths=0)
            ax.plot(each.median(), place, **style | {"markersize": 6, "markeredgecolor": INK})
        ax.set(xlabel=words, title=f"({letter})")
        ax.set_xlim(left=-0.04 * ax.get_xlim()[1])  # half a marker
        ax.grid(visible=False, axis="y")
    rows(lower.axes[0], names)
    empty = evenness.groupby("way", sort=False)["empty"].median()
    over = f"{count(evenness['name'].nunique(), 'image')} with {tokens:,} tokens, {count(runs, 'network')}"
    tell(
        figure,
        f"Of {k} clusters {empty[names[0]]:.0f} are empty {names[0]}, and {empty.min():.0f} {empty.idxmin()}",
        f"{over}. (a) A line ends at its last cluster that is not empty. (b to d) Small: an image; large: their "
        "median. (d) Exponential of the entropy of sizes.",
    )
    name_lines({ranked: ends})
    return figure
