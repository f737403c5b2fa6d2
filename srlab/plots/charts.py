"""Further charts that chapters compose: tables as colours, bars, points with names, and lines."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.marks import from_zero, rows
from srlab.plots.style import INK, look, look_of
from srlab.plots.text import SMALL, Name, readable

#: Colour and marker of groups, in the order of the rows.
GROUPS = ((INK, "s"), ("#999999", "o"), (INK, "^"), (INK, "x"))


def heat(ax: Axes, cells: pd.DataFrame, *, words: pd.DataFrame | None = None) -> None:
    """Draw a table of shares (0 to 1) as coloured cells; the index stands at the left, the columns below.

    Cells contain their numbers with two decimals, or `words`.
    """
    import seaborn as sns  # here, for it takes a second

    text = words if words is not None else cells.map(lambda value: "" if np.isnan(value) else f"{value:.2f}")
    style = {"cmap": "YlGnBu", "vmin": 0, "vmax": 1, "cbar": False, "annot": text, "fmt": "", "linewidths": 0.5}
    sns.heatmap(cells, ax=ax, annot_kws={"fontsize": SMALL}, **style)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0, rotation=0)


def crossed(ax: Axes, cells: pd.DataFrame) -> None:
    """Write each row (across, down, name, words, model) where its two categories cross, beside its model's marker.

    Categories are in the order of the rows; what falls into one cell stands below each other.
    """
    across, down = (cells[side].drop_duplicates().tolist() for side in ("across", "down"))
    tall = cells.groupby(["down", "across"]).size().groupby("down").max().reindex(down)
    tops = tall.cumsum() - tall
    for (column, row), own in cells.groupby(["across", "down"], sort=False):
        for y, each in enumerate(own.itertuples(), tops[row]):
            x = across.index(column)
            ax.plot(x + 0.07, y + 0.2, clip_on=False, **look(each.model))
            ax.text(x + 0.13, y + 0.2, each.name, va="center", fontsize=SMALL, fontweight="bold")
            ax.text(x + 0.13, y + 0.36, each.words, va="top", fontsize=SMALL, color=INK)
    ax.set(xlim=(0, len(across)), ylim=(tall.sum(), 0))
    ax.set_xticks([x + 0.5 for x in range(len(across))], across)
    ax.set_yticks(tops + tall / 2, [fill(name, 14) for name in down])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for y in tops[1:]:
        ax.axhline(y, color="#cccccc", linewidth=0.8)
    for x in range(1, len(across)):
        ax.axvline(x, color="#cccccc", linewidth=0.8)


def bars(ax: Axes, found: pd.DataFrame) -> None:
    """Draw a horizontal bar per row (model, value), and the word `missing` of the row where it has no value."""
    for y, row in enumerate(found.itertuples()):
        if np.isfinite(row.value):
            ax.barh(y, row.value, height=0.6, color=look(row.model)["color"])
        else:
            ax.text(0.03, y, row.missing, va="center", fontsize=SMALL, color=INK)
    ax.tick_params(length=0, axis="y")


def stacked(ax: Axes, parts: pd.DataFrame, looks: Mapping[str, tuple[str, str]], unit: str) -> None:
    """Draw a horizontal bar per row from the top down, with its total at the end and a legend of the parts above.

    `parts` contains sizes in `unit`: rows are bars, columns their parts from left to right. `looks` gives the colour
    and the hatch of each part.
    """
    begin = pd.Series(0.0, parts.index)
    for part, (colour, hatch) in looks.items():
        style = {"left": begin, "height": 0.7, "color": colour, "hatch": hatch, "edgecolor": "white"}
        ax.barh(range(len(parts)), parts[part], label=part, **style)
        begin = begin + parts[part]
    for y, total in enumerate(begin):
        ax.annotate(f"{total:.3g} {unit}", (total, y), (4, 0), textcoords="offset points", va="center", color=INK)
    rows(ax, list(parts.index))
    from_zero(ax, "x")
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(looks), borderaxespad=0.2)
    for words, (colour, _) in zip(legend.get_texts(), looks.values(), strict=True):
        words.set_color(readable(colour))


def groups(ax: Axes, found: pd.DataFrame) -> None:
    """Draw a small marker per row (x, y, group), a look and a label in the legend for each group."""
    for (group, own), (colour, marker) in zip(found.groupby("group", sort=False), GROUPS, strict=False):
        ax.scatter(own["x"], own["y"], s=12, c=colour, marker=marker, alpha=0.7, linewidths=0.6, label=group)
    ax.legend(handletextpad=0.1, borderpad=0)


def front(ax: Axes, found: pd.DataFrame, until: float) -> None:
    """Draw a grey step behind the points of a Pareto front, up to the cost `until`.

    Rows have x, the cost (rising), and y, the best quality that this cost reaches.
    """
    x, y = [*found["x"], until], [*found["y"], found["y"].iloc[-1]]
    ax.plot(x, y, color="#cccccc", linewidth=2, drawstyle="steps-post", zorder=0)


def points(ax: Axes, found: pd.DataFrame, *, hollow: bool = False) -> list[Name]:
    """Draw a marker per row, with bars where the row has intervals; return names for `name_points`.

    Rows have name, x, y, and the look of :func:`srlab.plots.style.look_of`; optionally x_low, x_high, y_low, y_high,
    area (of the marker, square points).
    """
    names = []
    for row in found.itertuples():
        style = look_of(row) | {"linestyle": "none", "markersize": getattr(row, "area", 36.0) ** 0.5}
        if hollow:
            style |= {"markerfacecolor": "none", "markeredgewidth": 1.2}
        if np.isfinite(getattr(row, "x_high", np.inf)):
            ax.hlines(row.y, row.x_low, row.x_high, color=style["color"], linewidth=1.2)
        if np.isfinite(getattr(row, "y_high", np.inf)):
            ax.vlines(row.x, row.y_low, row.y_high, color=style["color"], linewidth=1.2, alpha=0.6)
        ax.plot(row.x, row.y, **style)
        names.append(Name(row.name, row.x, row.y, style["color"]))
    return names


def lines(ax: Axes, found: pd.DataFrame, *, marks: bool = True) -> list[Name]:
    """Draw a line per name, its points marked unless `marks` is false, with a band or bars where its rows have ends.

    Rows have name, x, y, and the look of :func:`srlab.plots.style.look_of`; optionally y_low, y_high (a band), low,
    high (a bar; ends that are not finite draw none), hollow (bool: a white marker), failed (bool: a cross on the
    point). Return the last point of each line, for :func:`srlab.plots.text.name_lines` or `name_points`.
    """
    names = []
    for name, own in found.groupby("name", sort=False):
        style = look_of(own.iloc[0]) | {"markersize": 4}
        if not marks:
            style |= {"marker": "none"}
        if "y_low" in own and np.isfinite(own["y_low"]).all():
            ax.fill_between(own["x"], own["y_low"], own["y_high"], color=style["color"], alpha=0.15, linewidth=0)
        if "low" in own:
            known = own[np.isfinite(own["high"] - own["low"])]
            ax.vlines(known["x"], known["low"], known["high"], color=style["color"], linewidth=2, alpha=0.5)
        ax.plot(own["x"], own["y"], **style)
        cross = {"marker": "x", "markersize": 9, "markeredgewidth": 1.8}
        for column, change in (("hollow", {"markerfacecolor": "white"}), ("failed", cross)):
            if column in own and own[column].any():
                marked = own[own[column]]
                ax.plot(marked["x"], marked["y"], **style | {"linestyle": "none", "zorder": 3} | change)
        last = own.dropna(subset="y").iloc[-1]
        names.append(Name(str(name), last["x"], last["y"], style["color"]))
    return names
