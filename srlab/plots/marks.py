"""Axes: rows of names, logarithmic scales with readable ticks, ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

#: The colour of a band of no effect.
BAND = "#e6e6e6"
#: Ticks of an axis that is logarithmic on both sides of zero.
DECADES = (-1.0, -0.1, -0.01, 0.0, 0.01, 0.1, 1.0, 10.0)


def from_zero(ax: Axes, axis: str) -> None:
    """Start an axis of costs at 0, with room at its other end."""
    getattr(ax, f"set_{axis}lim")(0, 1.1 * getattr(ax.dataLim, f"{axis}max"))


def rows(ax: Axes, names: Sequence[str]) -> None:
    """Write names at the left, from the top down."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def powers(ax: Axes, values: Sequence[int]) -> None:
    """Make the horizontal axis logarithmic, with ticks at the measured values."""
    ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values])
    ax.xaxis.set_minor_locator(NullLocator())


def about_zero(ax: Axes, margin: float, ticks: Sequence[float] = DECADES) -> None:
    """Draw a grey band of ±margin, and let the vertical axis be linear within and logarithmic beyond; call it last."""
    ax.axhspan(-margin, margin, color=BAND, zorder=0)
    ax.set_yscale("symlog", linthresh=margin)
    low, high = ax.get_ylim()
    marks = [mark for mark in ticks if low <= mark <= high]
    ax.set_yticks(marks, [f"{mark:g}".replace("-", "−") for mark in marks])
    ax.set_yticks([], minor=True)


def logarithmic(ax: Axes, axis: str = "y") -> None:
    """Make an axis logarithmic with plain numbers: at 1, 2 and 5 of each decade, or at the decades of long axes."""
    getattr(ax, f"set_{axis}scale")("log")
    which, (low, high) = getattr(ax, f"{axis}axis"), getattr(ax, f"get_{axis}lim")()
    decades = np.log10(high / low)
    which.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < {"x": 1.4, "y": 3}[axis] else (1,)))
    which.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    which.set_minor_formatter(NullFormatter())
