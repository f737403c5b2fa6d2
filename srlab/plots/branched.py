"""The figure of the branched experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.labels import tell
from srlab.plots.marks import rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.branched import LOCAL
from srlab.stats.frames import count


@rc_context(HOUSE)
def branched(gains: pd.DataFrame, seeds: pd.DataFrame, gates: pd.DataFrame) -> Figure:
    """What each arm adds to a trained trunk, the best first, and how far each layer's gate opened.

    Parameters
    ----------
    gains, seeds, gates : DataFrame
        As of the functions of these names in `srlab.stats.branched`.
    """
    figure = blank(DOUBLE, 0.22 * len(gains) + 1.6)
    gain, opened = figure.subplots(1, 2, sharey=True, width_ratios=[5, 2])
    margin = gains["margin_db"].iloc[0]
    gain.axvspan(-margin, margin, color="#e6e6e6", zorder=0)
    gain.axvline(0, color=INK, linewidth=0.8)
    for y, row in enumerate(gains.itertuples()):
        style = look(row.arm.split()[0]) | {"linestyle": "none"}
        own = seeds.loc[seeds["arm"] == row.arm, "gain_db"]
        gain.scatter(own, np.full(len(own), y + 0.25), s=7, color=style["color"], alpha=0.5, linewidths=0)
        if np.isfinite(row.high_db - row.low_db):
            gain.hlines(y, row.low_db, row.high_db, color=style["color"], linewidth=2)
        gain.plot(row.gain_db, y, **style)
        _gates(opened, gates[gates["arm"] == row.arm], y, style)
    names = [f"{arm} (second control)" if arm == LOCAL else arm for arm in gains["arm"]]
    rows(gain, names)
    for label, arm in zip(gain.get_yticklabels(), gains["arm"], strict=True):
        label.set_fontstyle("italic" if arm == LOCAL else "normal")
    gain.set(xlabel="Y-PSNR − that of the trunk gone on with alone (dB)", title="(a) what each arm adds")
    opened.set(xlabel="0: closed, 1: as from scratch", title="(b) gates")
    opened.set_xlim(left=0)
    opened.tick_params(length=0, axis="y")
    arms = gains[gains["arm"] != LOCAL]
    best = arms.loc[arms["gain_db"].idxmax()]
    trunks, images = int(gains["seeds"].min()), int(gains["images"].iloc[0])
    tell(
        figure,
        f"Attention adds {best['gain_db']:+.3f} dB to a trained trunk at most ({best['arm']}); "
        f"{_within(arms, margin)} of {count(len(arms), 'arm')} lie within ±{margin:g} dB of nothing",
        f"{count(trunks, 'trunk')} (small dots), {count(images, 'image')}. (a) Bars: 95 % intervals over trunks, all "
        f"at once; an arm lies within where its whole bar does; grey: no effect, ±{margin:g} dB. (b) A marker a "
        "layer, mean over trunks.",
    )
    return figure


def _within(arms: pd.DataFrame, margin: float) -> int:
    """How many arms have an interval that lies wholly within the margin."""
    return int(((arms["low_db"] > -margin) & (arms["high_db"] < margin)).sum())


def _gates(ax: Axes, gates: pd.DataFrame, y: int, style: dict) -> None:
    layers = gates.groupby("layer", sort=False)["open"].mean()
    ax.scatter(layers, np.full(len(layers), y), s=9, color=style["color"], marker=style["marker"], linewidths=0.8)
