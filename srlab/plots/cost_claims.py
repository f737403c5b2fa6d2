"""The figure of the papers' claims about time and memory, as curves over size on both codes."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.labels import SMALL, Name, name_points, tell
from srlab.plots.marks import logarithmic, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.stats.claims import published_claims
from srlab.stats.cost_claims import ENDS, as_ratio
from srlab.stats.tables import with_unit

#: Colour (of Okabe and Ito), line and marker of each code.
CODES = {"as published": ("#D55E00", "--", "^"), "ours": ("#0072B2", "-", "o")}
#: Of what the rival takes as many times as much.
COSTS = {"time_reduction_percent": "time", "latency_ratio": "time", "memory_ratio": "memory"}
COLUMNS = 3
MANY = 6  # sizes that have room for their names


@rc_context(HOUSE)
def cost_claims(curves: pd.DataFrame) -> Figure:
    """How many times as much time or memory each rival takes, over the size of the map; a panel a claim and rival.

    Bars are intervals over processes.

    Parameters
    ----------
    curves : DataFrame
        As of `srlab.stats.cost_claims.curves`.
    """
    if curves.empty:
        figure = blank(DOUBLE, 0.8)
        tell(figure, "This profile measures nothing for claims about time and memory", "")
        return figure
    panels = curves.groupby(["id", "against"], sort=False)
    lines = -(-len(panels) // COLUMNS)
    figure = blank(DOUBLE, 1.95 * lines + 0.8)
    axes = figure.subplots(lines, COLUMNS, squeeze=False).flatten()
    claims, names = published_claims(), {}
    for ax, ((name, against), own) in zip(axes, panels, strict=False):
        names[ax] = _panel(ax, own)
        ax.set_title(f"{fill(claims[name].claim, 36)}\nagainst {against}", fontsize=SMALL)
    for ax in axes[len(panels) :]:
        ax.remove()
    for ax in axes[max(0, len(panels) - COLUMNS) : len(panels)]:
        ax.set_xlabel("√(pixels of the map)")
    judged = curves[curves["judged"] & curves["claimed"].notna()]
    told = []
    for code, own in judged.groupby("code", sort=False):
        reached = int((own["value"] >= own["claimed"]).sum())
        told.append(f"{reached} of {len(own)} on {'our own' if code == 'ours' else 'the published'} code")
    processes = curves["processes"].max()
    bars = f"bars: 95 % intervals over {processes} processes" if processes > 1 else "one process: no interval"
    tell(
        figure,
        f"Comparisons that reach what is claimed, at the size judged: {', '.join(told)}",
        f"Upwards the claimed side is ahead. Medians; {bars}. Filled: the size judged, named by the claim or else "
        "the largest. ×: from here on no effect, or the claim, is passed and not left again (interpolated).",
    )
    name_points(names)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame) -> list[Name]:
    """One claim against one rival; what its lines are called."""
    quantity, claimed = rows["quantity"].iloc[0], rows["claimed"].iloc[0]
    sides = np.sqrt(rows["height"] * rows["width"])
    goals = {"from_no_effect": 1.0}
    ax.axhline(1, color=INK, linewidth=0.7, linestyle=":")
    names = [Name("no effect", sides.max(), 1.0)]
    if np.isfinite(claimed):
        goals["from_claim"] = as_ratio(claimed, quantity)
        ax.axhline(goals["from_claim"], color=INK, linewidth=0.9)
        names.append(Name(f"claimed: {with_unit(claimed, quantity)}", sides.min(), float(goals["from_claim"])))
    for code, own in rows.groupby("code", sort=False):
        colour, line, marker = CODES[code]
        x = sides[own.index]
        value, low, high = (np.array([as_ratio(end, quantity) for end in own[column]]) for column in ENDS)
        known = np.isfinite(high) & (low > 0)
        ax.vlines(x[known], low[known], high[known], color=colour, linewidth=2, alpha=0.5)
        ax.plot(x, value, color=colour, linestyle=line, marker=marker, markersize=4, markerfacecolor="white")
        ax.plot(x[own["judged"]], value[own["judged"]], color=colour, marker=marker, linestyle="none")
        names.append(Name(code, x.iloc[len(x) // 2], value[len(x) // 2], colour))
        for column, goal in goals.items():
            start = np.sqrt(own[column].iloc[0])
            if start > x.min():
                ax.plot(start, goal, color=colour, marker="x", markersize=7, linestyle="none")
    measured = sorted(sides.round().astype(int).unique().tolist())
    powers(ax, measured)
    if len(measured) > MANY:  # every second name, the largest's among them
        ax.set_xticks(measured, [f"{side}" * ((len(measured) - i) % 2) for i, side in enumerate(measured)])
    logarithmic(ax)
    ax.margins(y=0.2)
    ax.set_ylabel(f"rival's {COSTS[quantity]} ÷ own")
    return names
