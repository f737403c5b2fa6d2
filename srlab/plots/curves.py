"""A line per name over measured sizes: points with bars, in the colours of networks or in given ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.style import look
from srlab.plots.text import Name


def curves(ax: Axes, found: pd.DataFrame) -> list[Name]:
    """Draw a line per name with a marker per point, and bars where rows have ends.

    Parameters
    ----------
    found : DataFrame
        name, x, y; model (gives the look), or else colour, marker and optionally dashed; optionally low, high (a bar;
        ends that are not finite draw none), hollow (bool: a white marker), failed (bool: a cross on the point).

    Returns
    -------
    list of Name
        The last point of each line, for :func:`srlab.plots.text.name_lines` or `name_points`.
    """
    names = []
    for name, own in found.groupby("name", sort=False):
        first = own.iloc[0]
        if "model" in own:
            style = look(first["model"])
        else:
            style = {"color": first["colour"], "marker": first["marker"], "markerfacecolor": first["colour"]}
            style["linestyle"] = "--" if own.get("dashed", pd.Series(False)).any() else "-"
        style |= {"markersize": 4}
        if "low" in own:
            known = own[np.isfinite(own["high"] - own["low"])]
            ax.vlines(known["x"], known["low"], known["high"], color=style["color"], linewidth=2, alpha=0.5)
        ax.plot(own["x"], own["y"], **style)
        marked = style | {"linestyle": "none", "zorder": 3}
        if "hollow" in own and own["hollow"].any():
            ax.plot(own["x"][own["hollow"]], own["y"][own["hollow"]], **marked | {"markerfacecolor": "white"})
        if "failed" in own and own["failed"].any():
            cross = {"marker": "x", "markersize": 9, "markeredgewidth": 1.8}
            ax.plot(own["x"][own["failed"]], own["y"][own["failed"]], **marked | cross)
        names.append(Name(str(name), own["x"].iloc[-1], own["y"].iloc[-1], style["color"]))
    return names
