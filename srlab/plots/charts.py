"""Further charts that chapters compose: tables as colours, bars of shares, points with names, and lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from srlab.plots.style import INK, look
from srlab.plots.text import Name


def heat(
    ax: Axes,
    cells: pd.DataFrame,
    *,
    ends: tuple[float, float] = (0.0, 1.0),
    colours: str = "YlGnBu",
    form: str = ".2f",
    words: pd.DataFrame | None = None,
    italic: pd.DataFrame | None = None,
) -> None:
    """Draw a table as coloured cells with their numbers; the index stands at the left, the columns below.

    Parameters
    ----------
    cells : DataFrame
        Numbers.
    ends : (float, float)
        The range of the colours.
    form : str
        The format of the numbers.
    words : DataFrame, optional
        Text instead of the numbers.
    italic : DataFrame of bool, optional
        Cells with text in italics.
    """
    text = words if words is not None else cells.map(lambda value: "" if np.isnan(value) else f"{value:{form}}")
    style = {"cmap": colours, "vmin": ends[0], "vmax": ends[1], "cbar": False, "annot": text, "fmt": ""}
    sns.heatmap(cells, ax=ax, annot_kws={"fontsize": 7}, linewidths=0.5, **style)
    for written, slanted in zip(ax.texts, np.asarray(italic).ravel() if italic is not None else [], strict=False):
        written.set_fontstyle("italic" if slanted else "normal")
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0, rotation=0)


def bars(ax: Axes, found: pd.DataFrame, missing: str = "none") -> None:
    """Draw a horizontal bar per row, in the order of the rows, and a word where the value is missing.

    Parameters
    ----------
    found : DataFrame
        model (gives the colour), value, and optionally missing (a word for this row).
    missing : str
        The word for rows without a value.
    """
    for y, row in enumerate(found.itertuples()):
        if np.isfinite(row.value):
            ax.barh(y, row.value, height=0.6, color=look(row.model)["color"])
        else:
            ax.text(0.03, y, getattr(row, "missing", missing), va="center", fontsize=7, color=INK)
    ax.tick_params(length=0, axis="y")


def points(ax: Axes, found: pd.DataFrame) -> list[Name]:
    """Draw a marker per row, with bars where the row has intervals.

    Parameters
    ----------
    found : DataFrame
        name, model (gives colour and marker), x, y; optionally x_low, x_high, y_low, y_high.

    Returns
    -------
    list of Name
        For :func:`srlab.plots.text.name_points`, once every panel is drawn.
    """
    for row in found.itertuples():
        style = look(row.model) | {"linestyle": "none", "markersize": 6}
        if np.isfinite(getattr(row, "x_high", np.inf)):
            ax.hlines(row.y, row.x_low, row.x_high, color=style["color"], linewidth=1.2)
        if np.isfinite(getattr(row, "y_high", np.inf)):
            ax.vlines(row.x, row.y_low, row.y_high, color=style["color"], linewidth=1.2, alpha=0.6)
        ax.plot(row.x, row.y, **style)
    return [Name(row.name, row.x, row.y, look(row.model)["color"]) for row in found.itertuples()]


def lines(ax: Axes, found: pd.DataFrame, *, marks: bool = True, faint: Sequence[str] = ()) -> list[Name]:
    """Draw a line per name, with a band or bars where its rows have ends.

    Parameters
    ----------
    found : DataFrame
        name, model (gives colour and marker), x, y; optionally y_low, y_high (a band), colour (instead of the model's).
    marks : bool
        Mark every point.
    faint : sequence of str
        Names to draw in pale colours.

    Returns
    -------
    list of Name
        For :func:`srlab.plots.text.name_lines`, once every panel is drawn.
    """
    names = []
    for name, own in found.groupby("name", sort=False):
        style = look(own["model"].iloc[0]) | {"markersize": 3.5, "alpha": 0.25 if name in faint else 1.0}
        if "colour" in own:
            style |= dict.fromkeys(("color", "markerfacecolor"), own["colour"].iloc[0])
        if not marks:
            style |= {"marker": "none"}
        ax.plot(own["x"], own["y"], **style)
        if "y_low" in own and np.isfinite(own["y_low"]).all():
            ax.fill_between(own["x"], own["y_low"], own["y_high"], color=style["color"], alpha=0.15, linewidth=0)
        last = own.dropna(subset="y").iloc[-1]
        names.append(Name(str(name), last["x"], last["y"], style["color"]))
    return names
