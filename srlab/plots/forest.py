"""Two charts that answer most questions: a row per name (forest), and a line over an option's values (sweep)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.marks import powers, rows
from srlab.plots.style import INK, look

#: The colour of a band of no effect.
BAND = "#e6e6e6"
#: Percentiles of dots inside the axis; dots beyond are drawn as arrows at its ends.
INSIDE = (1, 99)


def forest(
    ax: Axes,
    found: pd.DataFrame,
    dots: pd.DataFrame | None = None,
    *,
    margin: float | None = None,
    zero: float | None = 0.0,
    shift: float = 0.0,
    hollow: bool = False,
    clip: bool = False,
) -> None:
    """Draw a row per name from the top down: its value, its interval, and single results as small dots.

    Parameters
    ----------
    found : DataFrame
        name (written at the left), model (gives colour and marker), value, low, high; infinite ends draw no bar.
    dots : DataFrame, optional
        name, value: e.g. a seed or an image a row.
    margin : float, optional
        Half the width of a grey band of no effect around `zero`.
    zero : float, optional
        Where a vertical line stands; None for no line.
    shift : float
        Move values and bars down by this part of a row, to draw several series into the same rows.
    hollow : bool
        Draw hollow markers, for a second series.
    clip : bool
        End the axis near the first and 99th percentile of the dots; those beyond become arrows.
    """
    names = list(dict.fromkeys(found["name"]))
    if margin is not None:
        ax.axvspan(zero - margin, zero + margin, color=BAND, zorder=0)
    if zero is not None:
        ax.axvline(zero, color=INK, linewidth=0.8)
    ends = _ends(found, dots, zero) if clip and dots is not None else None
    for row in found.itertuples():
        y, style = names.index(row.name) + shift, look(row.model) | {"linestyle": "none"}
        if dots is not None:
            own = dots.loc[dots["name"] == row.name, "value"].to_numpy()
            _dots(ax, own, y + np.linspace(0.12, 0.38, len(own)), ends, style["color"])
        if np.isfinite(row.high - row.low):
            ax.hlines(y, row.low, row.high, color=style["color"], linewidth=2)
        ax.plot(row.value, y, **style | ({"markerfacecolor": "white"} if hollow else {}))
    rows(ax, names)
    if ends:
        ax.set_xlim(ends)


def sweep(
    ax: Axes,
    found: pd.DataFrame,
    dots: pd.DataFrame | None = None,
    *,
    model: str = "lcoan",
    zero: float | None = 0.0,
) -> None:
    """Draw a line over the numeric values of an option, on a logarithmic axis.

    Parameters
    ----------
    found : DataFrame
        x, value, low, high; infinite ends draw no bar.
    dots : DataFrame, optional
        x, value: e.g. an image a row.
    model : str
        Gives colour and marker.
    zero : float, optional
        Where a horizontal line stands; None for no line.
    """
    style = look(model)
    if zero is not None:
        ax.axhline(zero, color=INK, linewidth=0.8)
    ax.plot(found["x"], found["value"], color=style["color"], zorder=1)
    values = found["x"].tolist()
    step = (max(values) / min(values)) ** 0.02
    for row in found.itertuples():
        if dots is not None:
            own = dots.loc[dots["x"] == row.x, "value"].to_numpy()
            beside = row.x * step ** np.linspace(1.5, 4, len(own))
            ax.scatter(beside, own, s=6, color=style["color"], alpha=0.4, linewidths=0)
        if np.isfinite(row.high - row.low):
            ax.vlines(row.x, row.low, row.high, color=INK, linewidth=2)
        ax.plot(row.x, row.value, **style | {"markeredgecolor": INK, "linestyle": "none"})
    powers(ax, values)
    ax.set_xlim(min(values) / step**3, max(values) * step**6)


def part(axes: Iterable[Axes], groups: Iterable[int]) -> None:
    """Draw dotted lines between the groups of rows, in every panel."""
    for y in np.flatnonzero(np.diff(list(groups))) + 0.5:
        for ax in axes:
            ax.axhline(y, color=INK, linewidth=0.8, linestyle=":")


def _ends(found: pd.DataFrame, dots: pd.DataFrame, zero: float | None) -> tuple[float, float]:
    inside = np.percentile(dots["value"], INSIDE)
    values = [*inside, *found[["value", "low", "high"]].to_numpy().ravel(), *([] if zero is None else [zero])]
    values = [value for value in values if np.isfinite(value)]
    room = 0.15 * (max(values) - min(values)) + 0.02
    return float(min(values) - room), float(max(values) + room)


def _dots(ax: Axes, values: np.ndarray, places: np.ndarray, ends: tuple[float, float] | None, colour: str) -> None:
    """Draw a dot a value, and arrows at the ends of the axis for those beyond."""
    low, high = ends or (-np.inf, np.inf)
    inside = (values >= low) & (values <= high)
    ax.scatter(values[inside], places[inside], s=7, color=colour, alpha=0.5, linewidths=0)
    for end, beyond, marker in ((low, values < low, "<"), (high, values > high, ">")):
        if beyond.any():
            places_beyond = np.full(beyond.sum(), end), places[beyond]
            ax.scatter(*places_beyond, s=14, marker=marker, color=colour, linewidths=0, clip_on=False)
