"""A bar per name, cut into its parts."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.marks import from_zero, rows
from srlab.plots.style import INK
from srlab.plots.text import readable


def stacked(ax: Axes, parts: pd.DataFrame, looks: Mapping[str, tuple[str, str]], unit: str) -> None:
    """Draw a horizontal bar per row from the top down, with its total at the end and a legend of the parts above.

    Parameters
    ----------
    parts : DataFrame
        Sizes; the index stands at the left, columns are parts from left to right.
    looks : mapping
        Colour and hatch of each part.
    unit : str
        Of the sizes, for the totals.
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
