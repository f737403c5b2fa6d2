"""Figures of what networks gain: an image a dot, their mean, and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.labels import SMALL, signed, tell
from srlab.plots.marks import images_and_seeds, powers, rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.frames import count, paired
from srlab.stats.statistics import Estimate, matrix, seed_difference


class Gains(NamedTuple):
    """What one network gains over another: of each image (mean over seeds, dB), and the mean of all."""

    value: object
    images: Float[np.ndarray, " images"]
    mean: Estimate


def gains_over(quality: pd.DataFrame, reference: object, by: str = "model") -> list[Gains]:
    """What each value of `by` gains over the reference, paired by image and seed; intervals hold all at once."""
    each = paired(quality, by, reference)
    values = [value for value in quality[by].unique() if value != reference]
    found = []
    for value in values:
        own = each[each[by] == value]
        images = own.groupby(["benchmark", "name"], sort=False)["gain_db"].mean().to_numpy()
        found.append(Gains(value, images, seed_difference(matrix(own), len(values))))
    return found


def gains_note(quality: pd.DataFrame) -> str:
    """What dots, markers and bars of gains are, and of how many."""
    images, seeds = quality[["benchmark", "name"]].drop_duplicates().shape[0], quality["seed"].nunique()
    over = f" (mean over {count(seeds, 'seed')})" if seeds > 1 else ""
    bars = "bars: 95 % intervals over seeds, a panel's all at once" if seeds > 1 else "one seed: no interval"
    dots = f"Small dots: {count(images, 'image')}{over}, arrows where one lies beyond the axis"
    return f"{dots}; large: their mean; {bars}."


@rc_context(HOUSE)
def gains(quality: pd.DataFrame, reference: str = "no_attention") -> Figure:
    """PSNR of each image against a reference model's, a panel a benchmark."""
    benchmarks = quality["benchmark"].unique()
    figure = blank(DOUBLE, (0.6 + 0.2 * quality["model"].nunique()) * len(benchmarks) + 0.5)
    for ax, benchmark in zip(figure.subplots(len(benchmarks), 1, squeeze=False)[:, 0], benchmarks, strict=True):
        own = quality[quality["benchmark"] == benchmark]
        draw_gain_rows(ax, own, reference)
        ax.set_title(f"{benchmark}: {images_and_seeds(own)}")
    order = sorted(gains_over(quality, reference), key=lambda each: each.mean.value)
    most, least = order[-1], order[0]
    message = f"Over {reference}, {most.value} gains most, {most.mean.value:+.2f} dB"
    if most is not least:
        message += f"; {least.value} least, {least.mean.value:+.2f} dB"
    tell(figure, message, gains_note(quality))
    return figure


def draw_gain_rows(
    ax: Axes, quality: pd.DataFrame, reference: object = "no_attention", by: str = "model", like: str | None = None
) -> None:
    """A row a network: a dot an image, a large marker their mean, a bar for its interval; see `gains_note`.

    Parameters
    ----------
    by : str
        What tells the networks apart: "model" or an option.
    like : str, optional
        The model in whose colours all are drawn, where they are of one.
    """
    found = gains_over(quality, reference, by)
    ends = _ends(found)
    ax.axvline(0, color=INK, linewidth=0.8)
    for y, each in enumerate(found):
        style = look(like or each.value)
        _dots(ax, each.images, y + np.linspace(0.05, 0.35, len(each.images)), ends, style["color"], along="x")
        if np.isfinite(each.mean.high):
            ax.hlines(y - 0.2, each.mean.low, each.mean.high, color=INK, linewidth=2)
        ax.plot(each.mean.value, y - 0.2, **_large(style))
    rows(ax, [str(each.value) for each in found])
    ax.set_xlim(ends)
    ax.set_xlabel(f"Y-PSNR − {reference} (dB)" if by == "model" else f"Y-PSNR − that of {reference} (dB)")


def draw_gain_curve(ax: Axes, quality: pd.DataFrame, by: str, like: str) -> None:
    """The same of an option's numbers, which lie along x; the smallest of them is what the others gain over."""
    values = sorted(quality[by].unique().tolist())
    found = gains_over(quality.sort_values(by, kind="stable"), values[0], by)
    ends, style = _ends(found), look(like)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.plot(values, [0, *(each.mean.value for each in found)], color=style["color"], zorder=1)
    ax.plot(values[0], 0, **_large(style) | {"markerfacecolor": "white"})
    step = (values[-1] / values[0]) ** 0.02
    for each in found:
        beside = each.value * step ** np.linspace(1.5, 4, len(each.images))
        _dots(ax, each.images, beside, ends, style["color"], along="y")
        if np.isfinite(each.mean.high):
            ax.vlines(each.value, each.mean.low, each.mean.high, color=INK, linewidth=2)
        ax.plot(each.value, each.mean.value, **_large(style))
    powers(ax, values)
    ax.set_xlim(values[0] / step**3, values[-1] * step**6)
    ax.set_ylim(ends)
    ax.set_ylabel(f"Y-PSNR − that at {values[0]} (dB)")


def _large(style: dict) -> dict:
    """The marker of a mean."""
    return {name: style[name] for name in ("marker", "color")} | {"markeredgecolor": INK, "markersize": 6, "ls": ""}


def _ends(found: Sequence[Gains]) -> tuple[float, float]:
    """Ends of an axis: a few images gain or lose much, and must not squeeze the rest into a line."""
    means = [end for each in found for end in each.mean if np.isfinite(end)]
    low, high = np.percentile(np.concatenate([each.images for each in found]), [1, 99])
    low, high = min([low, 0, *means]), max([high, 0, *means])
    room = 0.15 * (high - low) + 0.02
    return float(low - room), float(high + room)


def _dots(
    ax: Axes,
    gains: Float[np.ndarray, " n"],
    across: Float[np.ndarray, " n"],
    ends: tuple[float, float],
    colour: str,
    along: Literal["x", "y"],
) -> None:
    """A dot an image; those beyond the axis stand at its ends as arrows, the farthest of them with its value."""

    def point(gain: np.ndarray | float, place: np.ndarray | float) -> tuple:
        return (gain, place) if along == "x" else (place, gain)

    low, high = gains < ends[0], gains > ends[1]
    inside = ~(low | high)
    ax.scatter(*point(gains[inside], across[inside]), s=6, color=colour, alpha=0.4, linewidths=0)
    for end, beyond, marker, inward in ((ends[0], low, "<v", 6), (ends[1], high, ">^", -6)):
        if beyond.any():
            places, marker = across[beyond], marker["xy".index(along)]
            arrows = {"marker": marker, "s": 14, "color": colour, "linewidths": 0, "clip_on": False}
            ax.scatter(*point(np.full(len(places), end), places), **arrows)
            farthest = gains[beyond][np.abs(gains[beyond]).argmax()]
            words = {"textcoords": "offset points", "fontsize": SMALL, "color": INK, "va": "center"}
            words["ha"] = "left" if along == "y" or inward > 0 else "right"
            offset = (inward, 0) if along == "x" else (6, inward / 2)
            ax.annotate(signed(farthest), point(end, places.mean()), offset, **words)
