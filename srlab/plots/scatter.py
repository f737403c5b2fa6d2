"""Points of two quantities: networks with areas, or images in groups."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.style import INK, STYLE, Appearance
from srlab.plots.text import Name

#: Colour and marker of groups, in the order of the rows.
GROUPS = ((INK, "s"), ("#999999", "o"), (INK, "^"), (INK, "x"))
#: Area of a marker in square points, where the rows have none.
AREA = 12.0


def scatter(ax: Axes, found: pd.DataFrame, *, hollow: bool = False) -> list[Name]:
    """Draw a marker per row; rows with groups share a marker a group, and a legend.

    Parameters
    ----------
    found : DataFrame
        x, y; either group, or name and model (gives colour and marker; ink and a circle if unknown) and optionally
        area (square points).
    hollow : bool

    Returns
    -------
    list of Name
        For :func:`srlab.plots.text.name_points`; empty for groups.
    """
    if "group" in found:
        groups = found.groupby("group", sort=False)
        for (group, own), (colour, marker) in zip(groups, GROUPS, strict=False):
            ax.scatter(own["x"], own["y"], s=AREA, c=colour, marker=marker, alpha=0.7, linewidths=0.6, label=group)
        ax.legend(handletextpad=0.1, borderpad=0)
        return []
    names = []
    for row in found.itertuples():
        colour, marker = STYLE.get(row.model, Appearance(INK, "o"))
        style = {"marker": marker, "edgecolors": colour, "facecolors": "none" if hollow else colour, "linewidths": 1.2}
        ax.scatter(row.x, row.y, s=getattr(row, "area", AREA), alpha=1 if hollow else 0.8, **style)
        names.append(Name(row.name, row.x, row.y, colour))
    return names
