"""The figure of the papers' claims about time and memory, as curves over size on both codes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srlab.findings.cost_claims import as_ratio
from srlab.findings.tables import with_unit
from srlab.plots.marks import logarithmic, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank

#: Colour (of Okabe and Ito), line and marker of each code.
CODES = {"as published": ("#D55E00", "--", "^"), "ours": ("#0072B2", "-", "o")}
#: Of what the rival takes as many times as much.
COSTS = {"time_reduction_percent": "time", "latency_ratio": "time", "memory_ratio": "memory"}
COLUMNS = 3


@rc_context(HOUSE)
def cost_claims(curves: pd.DataFrame) -> Figure:
    """How many times as much time or memory each rival takes, over the size of the map; a panel a claim and rival.

    Bars are intervals over processes.

    Parameters
    ----------
    curves : DataFrame
        As of `srlab.findings.cost_claims.curves`.
    """
    panels = curves.groupby(["id", "against"], sort=False)
    rows = max(1, -(-len(panels) // COLUMNS))  # one that says so where nothing was measured
    figure = blank(DOUBLE, 1.75 * rows + 0.5)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for ax, ((name, against), own) in zip(axes, panels, strict=False):
        _panel(ax, own)
        ax.set_title(f"{name}: {against}")
    for ax in axes[len(panels) :]:
        ax.remove()
    for ax in axes[max(0, len(panels) - COLUMNS) : len(panels)]:
        ax.set_xlabel("√(height × width) of the map (px)")
    if curves.empty:
        figure.suptitle("This profile measures nothing for claims about time and memory.")
    entries = [
        Line2D([], [], color=colour, linestyle=line, marker=marker, label=code)
        for code, (colour, line, marker) in CODES.items()
    ]
    entries += [
        Line2D(
            [], [], color=INK, marker="s", markerfacecolor=INK, linestyle="none", label="filled: judged here"
        ),
        Line2D([], [], color=INK, marker="x", linestyle="none", label="from here on (interpolated)"),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=4)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    """One claim against one rival."""
    quantity, claimed = rows["quantity"].iloc[0], rows["claimed"].iloc[0]
    sides = np.sqrt(rows["height"] * rows["width"])
    goals = {"from_no_effect": 1.0}
    ax.margins(y=0.12)
    ax.axhline(1, color=INK, linewidth=0.7, linestyle=":")
    _words(ax, 1.0, "no effect")
    if np.isfinite(claimed):
        goals["from_claim"] = as_ratio(claimed, quantity)
        ax.axhline(goals["from_claim"], color=INK, linewidth=0.9)
        _words(ax, float(goals["from_claim"]), f"claimed: {with_unit(claimed, quantity)}")
    for code, own in rows.groupby("code", sort=False):
        colour, line, marker = CODES[code]
        x = sides[own.index]
        value, low, high = (
            np.array([as_ratio(end, quantity) for end in own[column]]) for column in ("value", "low", "high")
        )
        known = np.isfinite(high) & (low > 0)
        ax.vlines(x[known], low[known], high[known], color=colour, linewidth=2, alpha=0.5)
        ax.plot(x, value, color=colour, linestyle=line, marker=marker, markersize=4, markerfacecolor="white")
        ax.plot(x[own["judged"]], value[own["judged"]], color=colour, marker=marker, linestyle="none")
        for column, goal in goals.items():
            start = np.sqrt(own[column].iloc[0])
            if start > x.min():
                ax.plot(start, goal, color=colour, marker="x", markersize=7, linestyle="none")
    powers(ax, sorted(sides.round().astype(int).unique().tolist()))
    ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=45)
    logarithmic(ax)
    ax.set_ylabel(f"rival's {COSTS[quantity]} ÷ own")


def _words(ax: Axes, y: float, words: str) -> None:
    """What a horizontal line means, at its left end."""
    ax.annotate(words, (0.02, y), xycoords=("axes fraction", "data"), fontsize=6, va="bottom", color=INK)
