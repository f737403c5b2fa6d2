"""Figures of the claims: every contrast beside its claim, and costs over the size of the map."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.chapters.claims.costs import ENDS, as_ratio
from srlab.chapters.claims.verdicts import CONFIRMED, CONTRADICTED, GROWTH, NO_EFFECT, REDUCTION, SMALLER, UNDECIDED
from srlab.chapters.claims.words import NOT_REPRODUCED, NOT_TESTED, contrasts, with_unit
from srlab.models.registry import label
from srlab.plots.charts import lines
from srlab.plots.estimates import forest
from srlab.plots.marks import logarithmic, powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.plots.text import SMALL, Name, caption, name_points
from srlab.stats.rules import rules
from srlab.stats.words import count

#: Colour (of Okabe and Ito) and marker of each verdict.
LOOKS = {
    CONFIRMED: ("#0072B2", "o"),
    SMALLER: ("#56B4E9", "s"),
    NO_EFFECT: ("#000000", "D"),
    CONTRADICTED: ("#D55E00", "X"),
    UNDECIDED: ("#999999", "v"),
    NOT_REPRODUCED: ("#999999", "D"),
    NOT_TESTED: ("#999999", "v"),
}
#: Drawn shares of a claim; arrows at the ends stand for those beyond.
SHARES = (-1.0, 2.0)
#: Colour, marker and dashes of each code.
CODES = {"as published": ("#D55E00", "^", True), "ours": ("#0072B2", "o", False)}
COLUMNS = 3
#: More sizes than this have room for every second tick only.
MANY = 6


@rc_context(HOUSE)
def claims(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw each contrast once, a panel a claim: shares of the claim, then growth, then claims without a number."""
    once = contrasts(tables["claims"], tables["cost_slopes"]).rename(columns={"compared": "name"})
    looks = once["shown"].where(once["shown"].isin(LOOKS), once["verdict"]).map(LOOKS)
    once["colour"], once["marker"] = zip(*looks, strict=True)
    values = (once["measured_words"].str.partition(" [")[0] + ", ").where(once["measured"].notna(), "")
    once["words"] = values + once["shown"].str.replace(r" beyond ±[\d.]+ \S+", "", regex=True)
    once["part"] = np.select([once["quantity"] == GROWTH, once["claimed"].isna()], [1, 2])
    groups = list(once.sort_values("part", kind="stable").groupby("claim", sort=False))
    heights = [len(own) + 0.9 for _, own in groups]
    figure = blank(DOUBLE, 0.165 * sum(heights) + 0.16 * len(groups) + 1.6)
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (claim, own) in zip(panels, groups, strict=True):
        claimed = own["claimed_words"].iloc[0]
        ax.set_title(f"{claim}: {claimed}" if claimed != "–" else claim, loc="left", fontweight="bold", fontsize=SMALL)
        _panel(ax, own)
    last = sum(own["part"].iloc[0] == 0 for _, own in groups) - 1
    for ax in panels[:last]:
        ax.tick_params(axis="x", labelbottom=False)
    panels[last].set_xlabel("share of the claim (0: no effect, 1: the claim)")
    note = f"{count(len(once), 'comparison')} for {count(len(groups), 'claim')}. Ranges: the share of the lower end. "
    note += "Arrows: beyond the axis. Bars: 95 % intervals over seeds (quality, simultaneous) or processes. "
    note += "Growth: the local slope farthest from the claim; grey: its margin."
    caption(figure, "The papers' claims and what was measured of them", note)
    return figure


def _panel(ax: Axes, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    if first["part"] == 0:
        found = rows.assign(value=rows["share"], low=rows["share_low"], high=rows["share_high"])
        forest(ax, found, ends=SHARES, zero=(0.0, 1.0))
    elif first["part"] == 1:
        forest(ax, rows.assign(value=rows["measured"]), zero=first["claimed"], margin=first["margin"])
        ax.set_xlabel("exponent of growth with the pixels")
    else:
        forest(ax, rows.assign(value=rows["measured"]), zero=1.0)
        ax.set_xlabel("rival ÷ own (1: no effect)")


@rc_context(HOUSE)
def cost_claims(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw costs of each rival as multiples of the arm's, over the size of the map; a panel a claim and rival."""
    table, names = tables["cost_claims"], {}
    panels = list(table.groupby(["id", "against"], sort=False))
    lines = -(-len(panels) // COLUMNS)
    figure = blank(DOUBLE, 1.85 * lines + 0.8)
    axes = figure.subplots(lines, COLUMNS, squeeze=False).flatten()
    for ax, ((name, against), own) in zip(axes, panels, strict=False):
        names[ax] = _curves(ax, own)
        cost = "memory" if own["quantity"].iloc[0] == "memory_ratio" else "time"
        ax.set_title(fill(f"{cost}: {label(against)} ÷ {label(rules().costs.claims[name].arm)}", 34), fontsize=SMALL)
    for ax in axes[len(panels) :]:
        ax.remove()
    for ax in axes[max(0, len(panels) - COLUMNS) : len(panels)]:
        ax.set_xlabel("√(pixels of the map)")
    processes = int(table["processes"].max())
    bars = f"bars: 95 % intervals over {processes} processes" if processes > 1 else "one process: no interval"
    note = f"Above 1 the claimed side is ahead. Medians; {bars}. Filled: the judged size."
    caption(figure, "Time and memory of rivals over the size of the map, on both codes", note)
    name_points(names)
    return figure


def _curves(ax: Axes, rows: pd.DataFrame) -> list[Name]:
    """Draw a claim against one rival: a line a code, no effect, and the claim."""
    quantity, claimed = rows["quantity"].iloc[0], rows["claimed"].iloc[0]
    found = rows.assign(name=rows["code"], x=np.sqrt(rows["height"] * rows["width"]), hollow=~rows["judged"])
    found[["y", "low", "high"]] = rows[list(ENDS)].map(lambda value: as_ratio(value, quantity))
    found["colour"], found["marker"], found["dashed"] = zip(*rows["code"].map(CODES), strict=True)
    goals = {"no effect": 1.0}
    if np.isfinite(claimed):
        goals[f"claimed: {'−' * (quantity == REDUCTION)}{with_unit(claimed, quantity)}"] = as_ratio(claimed, quantity)
    level = [{"name": name, "x": x, "y": y} for name, y in goals.items() for x in (found["x"].max(), found["x"].min())]
    names = lines(ax, pd.DataFrame(level).assign(colour=INK, marker="")) + lines(ax, found)
    sizes = sorted(found["x"].round().astype(int).unique().tolist())
    powers(ax, sizes)
    if len(sizes) > MANY:  # every second name, the largest's among them
        ax.set_xticks(sizes, [f"{side}" * ((len(sizes) - place) % 2) for place, side in enumerate(sizes)])
    logarithmic(ax)
    ax.margins(y=0.2)
    return names
