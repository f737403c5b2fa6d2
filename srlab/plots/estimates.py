"""A row per result: a name, its value with an interval in a colour of its own, and words at the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.forest import BAND
from srlab.plots.marks import rows
from srlab.plots.style import INK
from srlab.plots.text import readable


def estimates(
    ax: Axes,
    found: pd.DataFrame,
    *,
    ends: tuple[float, float] | None = None,
    lines: Sequence[float] = (),
    band: tuple[float, float] | None = None,
) -> None:
    """Draw results from the top down; unlike :func:`srlab.plots.forest.forest`, names may repeat.

    Parameters
    ----------
    found : DataFrame
        name (at the left), value, low, high (NaN or infinite: no marker, no bar), colour, marker, words (at the right).
    ends : (float, float), optional
        The ends of the axis; a value or interval beyond becomes an arrow.
    lines : sequence of float
        Where vertical lines stand.
    band : (float, float), optional
        A grey band.
    """
    least, most = ends or (-np.inf, np.inf)
    if band is not None:
        ax.axvspan(*band, color=BAND, zorder=0)
    for x in lines:
        ax.axvline(x, color=INK, linewidth=0.8)
    for y, row in enumerate(found.itertuples()):
        inside, style = np.clip(row.value, least, most), {"color": row.colour, "clip_on": False, "linestyle": "none"}
        if np.isfinite(row.high - row.low):
            ax.hlines(y, *np.clip([row.low, row.high], least, most), color=row.colour, linewidth=2)
        for end, arrow in ((row.low, "<"), (row.high, ">")):
            if not least <= end <= most and inside == row.value:
                ax.plot(np.clip(end, least, most), y, marker=arrow, markersize=4, **style)
        if np.isfinite(row.value):
            marker = row.marker if inside == row.value else "<" if row.value < least else ">"
            ax.plot(inside, y, marker=marker, **style)
    rows(ax, found["name"].tolist())
    if ends:
        ax.set_xlim(ends)
    right = ax.twinx()
    rows(right, found["words"].tolist())
    for text, colour in zip(right.get_yticklabels(), found["colour"], strict=True):
        text.set_color(readable(colour))
    for each in (ax, right):
        each.tick_params(axis="y", length=0)
