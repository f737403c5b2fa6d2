"""Estimates with their intervals: a row per name (forest), or a line over an option's values (sweep)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from srlab.plots.marks import BAND, powers, rows
from srlab.plots.style import INK, look, look_of
from srlab.plots.text import readable

#: Percentiles of dots inside a clipped axis.
INSIDE = (1, 99)


def forest(
    ax: Axes,
    found: pd.DataFrame,
    dots: pd.DataFrame | None = None,
    *,
    margin: float | None = None,
    zero: float | tuple[float, ...] | None = 0.0,
    shift: float = 0.0,
    hollow: bool = False,
    clip: bool = False,
    ends: tuple[float, float] | None = None,
) -> None:
    """Draw a row per estimate from the top down: its value, its interval, and single results as small dots.

    Parameters
    ----------
    found : DataFrame
        name (at the left), value, low, high (ends that are not finite draw no bar), and the look of
        :func:`srlab.plots.style.look_of`; optionally words (at the right).
    dots : DataFrame, optional
        name, value: e.g. a seed or an image a row.
    margin : float, optional
        Half the width of a grey band of no effect around `zero`.
    zero : float or several, optional
        Where vertical lines stand; None for no line.
    shift : float
        Move values and bars down by this part of a row, to draw several series into the same rows.
    hollow : bool
        Draw hollow markers, for a second series.
    clip : bool
        End the axis near the first and 99th percentile of the dots.
    ends : (float, float), optional
        The ends of the axis. Values, intervals and dots beyond a clipped or given end become arrows.
    """
    if margin is not None:
        ax.axvspan(zero - margin, zero + margin, color=BAND, zorder=0)
    for x in () if zero is None else np.atleast_1d(zero):
        ax.axvline(x, color=INK, linewidth=0.8)
    if clip and dots is not None:
        ends = _ends(found, dots, zero)
    least, most = ends or (-np.inf, np.inf)
    for place, row in enumerate(found.itertuples()):
        y, style = place + shift, look_of(row) | {"linestyle": "none"}
        if dots is not None:
            own = dots.loc[dots["name"] == row.name, "value"].to_numpy()
            _dots(ax, own, y + np.linspace(0.12, 0.38, len(own)), (least, most), style["color"])
        inside = np.clip(row.value, least, most)
        at_end = style | {"clip_on": False}
        if np.isfinite(row.high - row.low):
            ax.hlines(y, *np.clip([row.low, row.high], least, most), color=style["color"], linewidth=2)
            for end, beyond, marker in ((least, row.low < least, "<"), (most, row.high > most, ">")):
                if beyond and inside == row.value:
                    ax.plot(end, y, **at_end | {"marker": marker, "markersize": 4})
        if inside == row.value:
            ax.plot(inside, y, **style | ({"markerfacecolor": "white"} if hollow else {}))
        elif np.isfinite(row.value):  # beyond the axis
            ax.plot(inside, y, **at_end | {"marker": "<" if row.value < least else ">"})
    rows(ax, found["name"].tolist())
    if ends:
        ax.set_xlim(ends)
    if "words" in found:
        right = ax.twinx()
        rows(right, found["words"].tolist())
        for text, colour in zip(right.get_yticklabels(), found["colour"], strict=True):
            text.set_color(readable(colour))
        for each in (ax, right):
            each.tick_params(axis="y", length=0)


def sweep(
    ax: Axes, found: pd.DataFrame, dots: pd.DataFrame | None = None, *, model: str = "lcoan", zero: float | None = 0.0
) -> None:
    """Draw the numeric values of an option, on a logarithmic axis, in the look of a model.

    Rows have x, value, low, high (infinite ends draw no bar), and dots x, value, e.g. a seed a row. A line joins values
    with intervals, since without any it would show a trend that one seed cannot. A horizontal line stands at `zero`;
    None for no line.
    """
    style = look(model)
    if zero is not None:
        ax.axhline(zero, color=INK, linewidth=0.8)
    if np.isfinite(found["high"] - found["low"]).any():
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
    drawn = found[["value", "low", "high"]].to_numpy().ravel()
    values = np.array([*np.percentile(dots["value"], INSIDE), *drawn, *([] if zero is None else [zero])])
    values = values[np.isfinite(values)]
    room = 0.15 * np.ptp(values) + 0.02
    return float(values.min() - room), float(values.max() + room)


def _dots(ax: Axes, values: np.ndarray, places: np.ndarray, ends: tuple[float, float], colour: str) -> None:
    low, high = ends
    inside = (values >= low) & (values <= high)
    ax.scatter(values[inside], places[inside], s=7, color=colour, alpha=0.5, linewidths=0)
    for end, beyond, marker in ((low, values < low, "<"), (high, values > high, ">")):
        if beyond.any():
            at = np.full(beyond.sum(), end), places[beyond]
            ax.scatter(*at, s=14, marker=marker, color=colour, linewidths=0, clip_on=False)
