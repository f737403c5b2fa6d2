"""The figure of the claims: what was measured of each, beside what is claimed, in the colour of its verdict."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srlab.findings.tables import compared, measured_claim, with_unit
from srlab.findings.verdicts import LOOKS, NO_EFFECT
from srlab.plots.style import DOUBLE, HOUSE, INK, blank

#: Shares of a claim that are drawn; what lies beyond stands at the edge as an arrow.
SHARES = (-1.0, 2.0)


@rc_context(HOUSE)
def claims(rows: pd.DataFrame) -> Figure:
    """What was measured of each claim, with its interval and in the colour of its verdict.

    Claims with a number stand on one axis, as shares of what is claimed; growth, and claims that name no number, each
    on an axis of their own.

    Parameters
    ----------
    rows : DataFrame
        As of `srlab.findings.claims.examine`.
    """
    growth = rows["quantity"] == "growth_exponent"
    numberless = ~growth & rows["claimed"].isna()
    parts = [
        (rows[~growth & ~numberless], "share", "measured, in units of what is claimed"),
        (rows[growth], "measured", "exponent of growth with the pixels: from the lowest local slope to the highest"),
        (rows[numberless], "measured", "what the rival takes ÷ what it takes itself; the claim names no number"),
    ]
    parts = [(own, column, label) for own, column, label in parts if len(own)]
    lines = [len(own) + own["id"].nunique() for own, _, _ in parts]
    figure = blank(DOUBLE, 0.19 * sum(lines) + 0.75 * len(parts) + 0.3)
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=lines)[:, 0]
    for ax, (own, column, label) in zip(panels, parts, strict=True):
        _rows(ax, own, column)
        ax.set_xlabel(label)
        _ends(ax, own, column)
    kinds = [kind for kind in LOOKS if kind in set(rows["verdict"])]
    words = {NO_EFFECT: "no effect beyond a margin"}
    looks = [(*LOOKS[kind], words.get(kind, kind)) for kind in kinds]
    handles = [Line2D([], [], color=colour, marker=marker, label=label) for colour, marker, label in looks]
    title = "bars: 95 % interval; arrows: beyond the axis"
    figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds), title=title, title_fontsize=7)
    return figure


def _rows(ax: Axes, rows: pd.DataFrame, column: str) -> None:
    """A line a row, below the claim that it is about; what was measured stands at the right."""
    ends = ("share_low", "share_high") if column == "share" else ("low", "high")
    least, most = SHARES if column == "share" else (-np.inf, np.inf)
    names, told, places, y = [], [], [], 0
    for _, own in rows.groupby("id", sort=False):
        first = own.iloc[0]
        claimed = "" if np.isnan(first["claimed"]) else f": {with_unit(first['claimed'], first['quantity'])}"
        head = ax.text(0.01, y, first["claim"] + claimed, transform=ax.get_yaxis_transform(), va="center", fontsize=7)
        head.set(fontweight="bold", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, in_layout=False)
        for row in own.itertuples():
            y += 1
            colour, marker = LOOKS[row.verdict]
            value, low, high = (getattr(row, name) for name in (column, *ends))
            inside = np.clip(value, least, most)
            if inside != value:
                marker = ">" if value > most else "<"
            if np.isfinite(high - low):
                ax.plot(np.clip([low, high], least, most), [y, y], color=colour, linewidth=2, solid_capstyle="butt")
            if np.isfinite(value):
                ax.plot(inside, y, marker=marker, color=colour, linestyle="none", clip_on=False)
            names.append(compared(row))
            told.append(measured_claim(row) if np.isfinite(value) else "not measured")
            places.append(y)
        y += 1
    ax.set_yticks(places, names)
    values = ax.twinx()
    values.set_yticks(places, told)
    values.grid(visible=False)
    for each in (ax, values):
        each.set_ylim(y - 0.4, -0.6)
        each.tick_params(length=0, axis="y")
    ax.grid(visible=False, axis="y")


def _ends(ax: Axes, rows: pd.DataFrame, column: str) -> None:
    """The lines of no effect and of the claim, with their names above."""
    if column == "share":
        ax.set_xlim(*SHARES)
        lines = ((0, "no effect"), (1, "claimed"))
    elif (rows["quantity"] == "growth_exponent").all():
        claimed, margin = rows["claimed"].iloc[0], rows["margin"].iloc[0]
        ax.axvspan(claimed - margin, claimed + margin, color="#e6e6e6", zorder=0)
        lines = ((claimed, "claimed, and its margin"),)
    else:
        lines = ((1, "no effect"),)
    ax.locator_params(axis="x", nbins=7)
    for x, words in lines:
        ax.axvline(x, color=INK, linewidth=0.9, linestyle="-" if "claimed" in words else ":")
        named = {"ha": "center", "fontsize": 7, "color": INK}
        ax.annotate(words, (x, 1), (0, 2), ("data", "axes fraction"), "offset points", **named)
