"""What figures of numbers share: points with their spread, axes, keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from srlab.findings.frames import count, paired
from srlab.findings.statistics import matrix, seed_difference
from srlab.findings.tables import NAMES
from srlab.plots.style import INK, look


def images_and_seeds(quality: pd.DataFrame) -> str:
    images = quality[["benchmark", "name"]].drop_duplicates().shape[0]
    return f"{count(images, 'image')}, {count(quality['seed'].nunique(), 'seed')}"


def conditions(costs: pd.DataFrame) -> str:
    sizes = "/".join(f"{size}" for size in sorted(costs["size"].unique().tolist()))
    return f"LR {sizes} px, {costs['repeats'].iloc[0]:.0f} repeats"


def draw_gains(
    ax: Axes,
    quality: pd.DataFrame,
    reference: object = "edsr_like",
    by: str = "model",
    like: str | None = None,
) -> None:
    """A dot an image (mean over seeds), a large marker their mean, a bar for its 95 % interval over seeds.

    The intervals of one panel hold all at once. Of one seed there is none, and the panel says so.

    Parameters
    ----------
    by : str
        What tells the networks apart: "model" or an option.
    like : str, optional
        The model in whose colours all are drawn, where they are of one.
    """
    each = paired(quality, by, reference)
    values = [value for value in quality[by].unique() if value != reference]
    ax.axhline(0, color=INK, linewidth=0.8)
    ends = []
    for x, value in enumerate(values):
        style = look(like or value)
        own = each[each[by] == value]
        images = own.groupby(["benchmark", "name"], sort=False)["gain_db"].mean()
        gain = seed_difference(matrix(own), len(values))
        places = x + np.linspace(-0.1, 0.35, len(images) + 2)[1:-1]
        ax.scatter(places, images, s=6, color=style["color"], alpha=0.4, linewidths=0)
        left, face = x - 0.22, {"color": style["color"], "markeredgecolor": INK, "markersize": 6}
        if np.isfinite(gain.low):
            ax.vlines(left, gain.low, gain.high, color=INK, linewidth=2)
            ends += [gain.low, gain.high]
        ax.plot(left, gain.value, marker=style["marker"], linestyle="none", **face)
    categories(ax, [str(value) for value in values])
    ax.set_ylabel(f"Y-PSNR − {reference} (dB)" if by == "model" else f"Y-PSNR − that of {reference} (dB)")
    ax.set_title(images_and_seeds(quality))
    if quality["seed"].nunique() == 1:
        corner = {"transform": ax.transAxes, "ha": "right", "va": "top", "fontsize": 7}
        ax.text(0.99, 0.99, "one seed: no interval", **corner)
    # A few images gain or lose much; they must not squeeze the rest into a line.
    low, high = np.percentile(each["gain_db"], [1, 99])
    low, high = min([low, *ends]), max([high, *ends])
    room = 0.15 * (high - low) + 0.02
    ax.set_ylim(min(low, 0) - room, max(high, 0) + room)


def draw_costs(ax: Axes, costs: pd.DataFrame, column: str) -> None:
    """A marker a run; for times, a bar between the quartiles of its repeats."""
    models = list(costs["model"].unique())
    for x, model in enumerate(models):
        own = costs[costs["model"] == model]
        places = x + np.linspace(-0.15, 0.15, len(own) + 2)[1:-1]
        points(ax, places, own, column, look(model) | {"linestyle": "none"})
    categories(ax, models)
    from_zero(ax, "y")
    ax.set_ylabel(NAMES[column])


def points(ax: Axes, x: np.ndarray | pd.Series, costs: pd.DataFrame, column: str, style: dict) -> None:
    """Values of a cost over x; times have bars between their quartiles."""
    spread = None
    if column == "median_ms":
        spread = [costs["median_ms"] - costs["q25_ms"], costs["q75_ms"] - costs["median_ms"]]
    ax.errorbar(x, costs[column], yerr=spread, elinewidth=1.5, capsize=2, **style)


def from_zero(ax: Axes, axis: str) -> None:
    """Start an axis of costs at 0, with room above what was drawn."""
    getattr(ax, f"set_{axis}lim")(0, 1.1 * getattr(ax.dataLim, f"{axis}max"))


def key(models: pd.Series, **style: object) -> list[Line2D]:
    """Legend entries of models, each once."""
    return [Line2D([], [], label=model, **look(model) | style) for model in models.unique()]


def categories(ax: Axes, names: Sequence[str]) -> None:
    slanted = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 4 else {}
    ax.set_xticks(range(len(names)), names, **slanted)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(visible=False, axis="x")


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
    which.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    which.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
    which.set_minor_formatter(NullFormatter())
