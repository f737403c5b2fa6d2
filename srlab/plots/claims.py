"""The figure of the claims: what was measured of each, beside what is claimed, in the colour of its verdict."""

from __future__ import annotations

from os.path import commonpath

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from srlab.plots.labels import SMALL, readable, tell
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.stats.tables import compared, with_unit
from srlab.stats.verdicts import CONFIRMED, LOOKS, SMALLER

#: Shares of a claim that are drawn; what lies beyond stands at the edge as an arrow.
SHARES = (-1.0, 2.0)


#: What a quantity is about, in a word.
ABOUT = {"psnr_gain_db": "quality", "growth_exponent": "growth", "memory_ratio": "memory"}
#: From nothing to all of what is claimed.
SHADES = LinearSegmentedColormap.from_list("share", ["#b8d6ec", LOOKS[CONFIRMED][0]])


@rc_context(HOUSE)
def claims(rows: pd.DataFrame) -> Figure:
    """What was measured of each claim, with its interval, by verdict and the share of what is claimed.

    Claims with a number stand on one axis, as shares of what is claimed; growth, and claims that name no number, each
    on an axis of their own. Claims that the same measurements judge alike, as the two ends of a range, stand once.

    Parameters
    ----------
    rows : DataFrame
        As of `srlab.stats.claims.examine`.
    """
    rows, heads = _once(rows)
    growth = rows["quantity"] == "growth_exponent"
    numberless = ~growth & rows["claimed"].isna()
    parts = [
        (rows[~growth & ~numberless], "share", "measured, in units of what is claimed"),
        (rows[growth], "measured", "exponent of growth with the pixels: from the lowest local slope to the highest"),
        (rows[numberless], "measured", "what the rival takes ÷ what it takes itself; the claim names no number"),
    ]
    parts = [(own, column, label) for own, column, label in parts if len(own)]
    lines = [len(own) + own["id"].nunique() for own, _, _ in parts]
    figure = blank(DOUBLE, 0.19 * sum(lines) + 0.75 * len(parts) + 1.0)
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=lines)[:, 0]
    for ax, (own, column, label) in zip(panels, parts, strict=True):
        _rows(ax, own, column, heads)
        ax.set_xlabel(label)
        _ends(ax, own, column)
    measured = rows[rows["measured"].notna()]
    about = measured["quantity"].map(ABOUT).fillna("time")
    confirmed = (measured["verdict"] == CONFIRMED).groupby(about, sort=False).agg(["sum", "size"])
    told = ", ".join(f"{row.sum} of {row.size} of {row.Index}" for row in confirmed.itertuples())
    tell(
        figure,
        f"Comparisons in which a claim is confirmed: {told}",
        "Bars: 95 % intervals, over seeds of quality, all at once, and over processes of time and memory; the table "
        "of claims has them in numbers, and says of how many. Blue: the paler, the less of the claim. Arrows: beyond "
        "the axis. Of a range that is claimed, the unit is the first end.",
    )
    return figure


def _once(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows without claims that the same measurements judge as one before, and what stands above each claim's rows."""
    facts = ["quantity", "arm", "against", "basis", "measured", "verdict"]
    alike: dict[str, list[str]] = {}
    for name, own in rows.groupby("id", sort=False):
        alike.setdefault(own[facts].to_csv(index=False), []).append(name)
    firsts = rows.drop_duplicates("id").set_index("id")
    heads = {names[0]: _head(firsts.loc[names]) for names in alike.values()}
    return rows[rows["id"].isin(heads)], heads


def _head(claims: pd.DataFrame) -> str:
    """The claim, or what claims begin with in common, and what is claimed."""
    words = commonpath(claims["claim"].tolist()).removesuffix(" (")
    numbers = [with_unit(row.claimed, row.quantity) for row in claims.itertuples() if np.isfinite(row.claimed)]
    return f"{words}: {' to '.join(numbers)}" if numbers else words


def _rows(ax: Axes, rows: pd.DataFrame, column: str, heads: dict[str, str]) -> None:
    """A line a row, below the claim that it is about; what was measured stands at the right."""
    ends = ("share_low", "share_high") if column == "share" else ("low", "high")
    least, most = SHARES if column == "share" else (-np.inf, np.inf)
    names, told, shades, places, y = [], [], [], [], 0
    for claim, own in rows.groupby("id", sort=False):
        head = ax.text(0.01, y, heads[claim], transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
        head.set(fontweight="bold", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, in_layout=False)
        for row in own.itertuples():
            y += 1
            colour, marker = LOOKS[row.verdict]
            if row.verdict == SMALLER and np.isfinite(row.share):
                colour = SHADES(row.share)
            value, low, high = (getattr(row, name) for name in (column, *ends))
            inside = np.clip(value, least, most)
            if inside != value:
                marker = ">" if value > most else "<"
            if np.isfinite(high - low):
                ax.plot(np.clip([low, high], least, most), [y, y], color=colour, linewidth=2, solid_capstyle="butt")
                for end, arrow in ((low, "<"), (high, ">")):
                    if not least <= end <= most and inside == value:
                        beyond = np.clip(end, least, most)
                        ax.plot(beyond, y, marker=arrow, color=colour, markersize=4, linestyle="none", clip_on=False)
            if np.isfinite(value):
                ax.plot(inside, y, marker=marker, color=colour, linestyle="none", clip_on=False)
            names.append(compared(row))
            told.append(_told(row))
            shades.append(readable(to_hex(colour)))
            places.append(y)
        y += 1
    ax.set_yticks(places, names)
    values = ax.twinx()
    values.set_yticks(places, told)
    for label, shade in zip(values.get_yticklabels(), shades, strict=True):
        label.set_color(shade)
    values.grid(visible=False)
    for each in (ax, values):
        each.set_ylim(y - 0.4, -0.6)
        each.tick_params(length=0, axis="y")
    ax.grid(visible=False, axis="y")


def _told(row: object) -> str:
    """What was measured, and the verdict on it."""
    if not np.isfinite(row.measured):
        return "not measured"
    return f"{with_unit(row.measured, row.quantity, 3)}, {row.verdict}".replace("-", "−")


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
