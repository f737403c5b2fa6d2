"""The figure of ways to divide the same tokens by k-means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.findings.frames import count
from srlab.plots.marks import logarithmic, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank

#: Colour (of Okabe and Ito) and marker of each way.
LOOKS = (("#000000", "o"), ("#D55E00", "s"), ("#E69F00", "D"), ("#0072B2", "^"), ("#56B4E9", "v"))


@rc_context(HOUSE)
def cluster_ways(sizes: pd.DataFrame, evenness: pd.DataFrame) -> Figure:
    """How evenly each way of k-means divides the same tokens: all images together, and image by image.

    Parameters
    ----------
    sizes, evenness : DataFrame
        As of `srlab.looking.centroids.ways`, of one k.
    """
    figure = blank(DOUBLE, 4.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    ranked = upper.subplots()
    k, runs = sizes["clusters"].iloc[0], sizes["run"].nunique()
    names = list(sizes["way"].unique())
    styles = [{"color": colour, "marker": marker, "markersize": 4} for colour, marker in LOOKS[: len(names)]]
    tokens = sizes.groupby(["run", "way"])["tokens"].sum().iloc[0]
    for way, style in zip(names, styles, strict=True):
        for number, (_, own) in enumerate(sizes[sizes["way"] == way].groupby("run", sort=False)):
            held = own[own["tokens"] > 0]
            label = way if number == 0 else None
            ranked.plot(held["rank"], 100 * held["tokens"] / tokens, markevery=[-1], label=label, **style)
    ranked.axhline(100 / k, color=INK, linewidth=0.9, linestyle=":", label="if all were alike")
    powers(ranked, sorted({2**i for i in range(int(k).bit_length())} | {int(k)}))
    logarithmic(ranked)
    ranked.set(xlabel="cluster, by size (the line ends at the last that is not empty)")
    ranked.set_ylabel("share of tokens (%)")
    over = f"{count(evenness['name'].nunique(), 'image')}, {count(runs, 'network')}"
    ranked.set_title(f"(a) k = {k}: all {tokens:,} tokens of {over}")
    ranked.legend(loc="lower left", frameon=True, edgecolor="none", framealpha=1)
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
        ax.set(xlabel=words, title=f"({letter}) {over}")
        ax.set_xlim(left=-0.04 * ax.get_xlim()[1])  # half a marker
        ax.grid(visible=False, axis="y")
    lower.axes[0].set_yticks(range(len(names)), names)
    lower.axes[0].invert_yaxis()
    return figure
