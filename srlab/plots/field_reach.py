"""How far released networks reach: a point a place, beside their PSNR, and beside what they gain there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.field import appearance
from srlab.plots.labels import Name, name_points, signed, tell
from srlab.plots.marks import rows
from srlab.plots.style import DOUBLE, HOUSE, INK, blank
from srlab.stats.field_reach import MEASURE, middles, within
from srlab.stats.frames import count

INDEX = "diffusion index"
#: Columns of radii, how far from the middle of a network's row they stand, and whether they are hollow.
RADII = (("lam_50", -0.12, False), ("lam_90", -0.12, False), ("erf_50", 0.18, True), ("erf_90", 0.18, True))


@rc_context(HOUSE)
def reach(places: pd.DataFrame) -> Figure:
    """Reach of each network, its radii in pixels, PSNR of the data set against it, and gains of places against theirs.

    Parameters
    ----------
    places : DataFrame
        As of `srlab.stats.field_reach.places`.
    """
    middle = middles(places)
    models = list(middle["model"])
    figure = blank(DOUBLE, 5.4)
    (wide, pixels), (psnr, gains) = figure.subplots(2, 2, height_ratios=[4, 5])
    for ax in (wide, pixels):
        rows(ax, models)
    for y, model in enumerate(models):
        own = places[places["model"] == model]
        style = _style(model)
        _spread(wide, y, own[MEASURE], style)
        for column, shift, hollow in RADII:
            _quartiles(pixels, own[column], y + shift, style | ({"markerfacecolor": "white"} if hollow else {}))
        gains.plot(own[MEASURE], own["gain_db"], **style | {"markersize": 3.5, "alpha": 0.7, "markeredgewidth": 0})
    wide.set(xlabel=f"{INDEX} (100: all pixels of the crop alike)", title="(a) how widely")
    side = int(places["side"].iloc[0])
    pixels.axvline(side / 2, color=INK, linewidth=0.8, linestyle="--")
    pixels.set(xlabel="radius that holds 50 %, 90 % (LR px)", title="(b) how far", xlim=(0, None))
    names = []
    for row in middle.itertuples():
        style = _style(row.model)
        low, high = places.loc[places["model"] == row.model, MEASURE].quantile([0.25, 0.75])
        psnr.plot([low, high], 2 * [row.dataset_psnr], color=style["color"], linewidth=1)
        psnr.plot(getattr(row, MEASURE), row.dataset_psnr, **style)
        names.append(Name(row.model, getattr(row, MEASURE), row.dataset_psnr, style["color"]))
    dataset = places["dataset"].iloc[0]
    psnr.margins(x=0.2, y=0.25)
    psnr.set(xlabel=f"{INDEX}, median", ylabel=f"Y-PSNR on {dataset} (dB)", title="(c) wider and better?")
    found = ", ".join(f"{row.model} {signed(row.rho)}" for row in within(places).itertuples())
    gains.set(xlabel=INDEX, ylabel="gain over bicubic there (dB)", title="(d) place by place")
    best = places["model"].iloc[0]  # networks stand by falling PSNR
    order = "the order" if models == list(places["model"].unique()) else "not the order"
    tell(
        figure,
        f"{models[0]} draws most widely and {models[-1]} least, {middle[MEASURE].iloc[0]:.1f} against "
        f"{middle[MEASURE].iloc[-1]:.1f}; {best} has the highest PSNR, and reach is {order} of PSNR",
        f"{count(places['name'].nunique(), 'place')} of {dataset}, one an image, where bicubic enlargement errs most; "
        f"crops of {side}×{side} LR px (dashed: their edge). (a) Local attribution, {places['steps'].iloc[0]} steps; a dot "
        "a place; box: quartiles, median. (b) Filled: local attribution; hollow: effective receptive field; each 50 % left, "
        f"90 % right. (b), (c) Medians, bars: quartiles. (d) Spearman's ρ within networks: {found}.",
    )
    name_points({psnr: names})
    return figure


def _style(model: str) -> dict:
    colour, marker = appearance(model)
    return {"color": colour, "marker": marker, "linestyle": "none"}


def _spread(ax: Axes, y: int, values: pd.Series, style: dict) -> None:
    """A dot a place, and a box between their quartiles with their median."""
    ax.scatter(values, y + np.linspace(0.05, 0.35, len(values)), s=6, color=style["color"], alpha=0.5, linewidths=0)
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    ax.hlines(y - 0.15, low, high, color=style["color"], linewidth=5, alpha=0.5)
    ax.plot(middle, y - 0.15, **style)


def _quartiles(ax: Axes, values: pd.Series, y: float, style: dict) -> None:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    ax.hlines(y, low, high, color=style["color"], linewidth=1)
    ax.plot(middle, y, **style)
