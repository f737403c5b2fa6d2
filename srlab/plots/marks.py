"""What figures of numbers share: conditions, points with their spread, axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from srlab.stats.frames import count


def images_and_seeds(quality: pd.DataFrame) -> str:
    images = quality[["benchmark", "name"]].drop_duplicates().shape[0]
    return f"{count(images, 'image')}, {count(quality['seed'].nunique(), 'seed')}"


def conditions(costs: pd.DataFrame) -> str:
    sizes = "/".join(f"{size}" for size in sorted(costs["size"].unique().tolist()))
    return f"LR {sizes} px, {costs['repeats'].iloc[0]:.0f} repeats"


def points(ax: Axes, x: np.ndarray | pd.Series, costs: pd.DataFrame, column: str, style: dict) -> None:
    """Values of a cost over x; times have bars between their quartiles."""
    spread = None
    if column == "median_ms":
        spread = [costs["median_ms"] - costs["q25_ms"], costs["q75_ms"] - costs["median_ms"]]
    ax.errorbar(x, costs[column], yerr=spread, elinewidth=1.5, capsize=2, **style)


def from_zero(ax: Axes, axis: str) -> None:
    """Start an axis of costs at 0, with room above what was drawn."""
    getattr(ax, f"set_{axis}lim")(0, 1.1 * getattr(ax.dataLim, f"{axis}max"))


def rows(ax: Axes, names: Sequence[str]) -> None:
    """Names at the left, from the top down."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def powers(ax: Axes, values: Sequence[int], axis: str = "x") -> None:
    """A logarithmic axis whose ticks are the values measured."""
    getattr(ax, f"set_{axis}scale")("log")
    which = getattr(ax, f"{axis}axis")
    getattr(ax, f"set_{axis}ticks")(values, [f"{value:g}" for value in values])
    which.set_minor_locator(NullLocator())


def logarithmic(ax: Axes, axis: str = "y") -> None:
    """A logarithmic axis with plain numbers: at 1, 2 and 5 of each decade, or of long axes at the decades."""
    getattr(ax, f"set_{axis}scale")("log")
    which, (low, high) = getattr(ax, f"{axis}axis"), getattr(ax, f"get_{axis}lim")()
    decades = np.log10(high / low)
    which.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < {"x": 1.4, "y": 3}[axis] else (1,)))
    which.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    which.set_minor_formatter(NullFormatter())
