"""The figure of what altered weights cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.findings.at_work import losses
from srlab.findings.frames import MARGIN, count
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look


@rc_context(HOUSE)
def at_work(drops: pd.DataFrame) -> Figure:
    """What each network loses by each change, a row of panels an experiment.

    Parameters
    ----------
    drops : DataFrame
        Of `srlab.looking.at_work.measure`.
    """
    parts = list(drops.groupby("experiment", sort=False))
    heights = [0.8 + 0.19 * own["model"].nunique() for _, own in parts]
    figure = blank(DOUBLE, sum(heights))
    rows = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, (experiment, own) in zip(rows, parts, strict=True):
        changes = list(own["change"].unique())
        panels = row.subplots(1, len(changes), sharey=True)
        for ax, change in zip(panels, changes, strict=True):
            _losses(ax, own[own["change"] == change])
            ax.set_title(change)
        images, seeds = own[["benchmark", "name"]].drop_duplicates().shape[0], own["seed"].nunique()
        over = f"{count(images, 'crop')}, {count(seeds, 'seed')}"
        over += " (dots), bars: 95 %, a panel's at once" if seeds > 1 else ": no interval"
        row.supxlabel(f"{experiment}: Y-PSNR lost (dB); {over}; grey: ±{MARGIN:g} dB", fontsize=8)
    return figure


def _losses(ax: Axes, drops: pd.DataFrame) -> None:
    """Of each network a dot a seed, their mean, and its interval as far as the panel goes."""
    ax.axvspan(-MARGIN, MARGIN, color="#e6e6e6", zorder=0)
    ax.axvline(0, color=INK, linewidth=0.8)
    found = losses(drops)
    seeds = drops.groupby(["model", "seed"], sort=False)["drop_db"].mean()
    for y, row in enumerate(found.itertuples()):
        style = look(row.model.split()[0]) | {"linestyle": "none", "markersize": 4.5}
        own = seeds.loc[row.model]
        ax.scatter(own, np.full(len(own), y + 0.36), s=6, color=style["color"], alpha=0.5, linewidths=0)
        if np.isfinite(row.high_db - row.low_db):
            ax.hlines(y, row.low_db, row.high_db, color=style["color"], linewidth=2)
        ax.plot(row.drop_db, y, **style)
    low, high = min(seeds.min(), -MARGIN), max(seeds.max(), MARGIN)
    ax.set_xlim(low - 0.3 * (high - low), high + 0.3 * (high - low))
    ax.set_yticks(range(len(found)), found["model"])
    ax.set_ylim(len(found) - 0.3, -0.6)
