"""The figure of what altered weights cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.labels import tell
from srlab.plots.marks import rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.at_work import losses
from srlab.stats.frames import MARGIN, count


@rc_context(HOUSE)
def at_work(drops: pd.DataFrame) -> Figure:
    """What each network loses by each change, a row of panels an experiment.

    Parameters
    ----------
    drops : DataFrame
        Of `srlab.analysis.at_work.measure`.
    """
    parts = list(drops.groupby("experiment", sort=False))
    heights = [0.8 + 0.19 * own["model"].nunique() for _, own in parts]
    figure = blank(DOUBLE, sum(heights) + 0.7)
    bands = figure.subfigures(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    over, dearest = [], []
    for band, (experiment, own) in zip(bands, parts, strict=True):
        changes = list(own["change"].unique())
        panels = band.subplots(1, len(changes), sharey=True)
        for ax, change in zip(panels, changes, strict=True):
            _losses(ax, own[own["change"] == change])
            ax.set(title=change, xlabel="Y-PSNR lost (dB)")
        panels[0].set_ylabel(experiment)
        images, seeds = own[["benchmark", "name"]].drop_duplicates().shape[0], own["seed"].nunique()
        over.append(f"{experiment}: {count(images, 'crop')}, {count(seeds, 'seed')}" + ", no interval" * (seeds == 1))
        found = losses(own)
        most = found.loc[found["drop_db"].idxmax()]
        dearest.append(f"{experiment} {most['drop_db']:+.3f} dB ({most['model']}, {most['change']})")
    tell(
        figure,
        f"The most that altered attention costs: {'; '.join(dearest)}",
        f"{'; '.join(over)}. Large: mean; small: a seed; bars: 95 % intervals over seeds, a panel's all at once. "
        f"Grey: no effect, ±{MARGIN:g} dB.",
    )
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
    rows(ax, found["model"].tolist())
