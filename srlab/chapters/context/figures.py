"""Figures of context."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.chapters.context.frames import RULES
from srlab.models.registry import label
from srlab.plots.charts import lines
from srlab.plots.estimates import forest
from srlab.plots.marks import about_zero
from srlab.plots.style import DOUBLE, HOUSE, blank, drawn
from srlab.plots.text import caption, name_lines
from srlab.stats.words import between, count
from srlab.study.chapter import Tables

#: Titles of the fillings.
TITLES = {
    "edge": "the network's own edge",
    "mirror": "a mirror",
    "other": "another image",
    "permuted": "its own blocks, permuted",
}


def styled(found: pd.DataFrame) -> pd.DataFrame:
    """Add name and model, for the look, of each row's network."""
    return found.assign(name=found["network"].map(label), model=drawn(found["network"].str.partition(" ")[0]))


def _scaled(ax: Axes, radii: list[int]) -> None:
    """Show losses logarithmically beyond the margin, and radii evenly."""
    about_zero(ax, RULES.margin_db)
    ax.set_xticks(range(len(radii)), [str(radius) for radius in radii])
    ax.set(xlabel="real pixels around the tile, r (LR px)")


def images(found: pd.DataFrame) -> str:
    """Write how many images a network has at least and, where another has more, at most."""
    least, most = int(found["images"].min()), int(found["images"].max())
    return count(most, "image") if least == most else f"{least} to {most} images"


@rc_context(HOUSE)
def context(tables: Tables) -> Figure:
    """Draw the loss against the radius, one line a network and one panel a benchmark: means over the fillings.

    Two panels stand in a row; an odd one, such as that of the small networks, fills the last row.
    """
    found = tables["context"]
    found = found[found["filling"].isin(RULES.fillings)]
    radii = sorted(found["radius"].unique().tolist())
    keys = ["benchmark", "network", "radius"]
    mean = found.groupby(keys, sort=False, as_index=False).agg(
        y=("loss_db", "mean"), low=("low_db", "min"), high=("high_db", "max"), images=("images", "min")
    )
    beside = mean.groupby("benchmark", sort=False)["network"].transform(lambda own: own.factorize()[0])
    mean = styled(mean.assign(x=mean["radius"].map(radii.index) + 0.08 * beside))
    benchmarks = mean["benchmark"].unique()
    rows = list(zip_longest(benchmarks[::2], benchmarks[1::2]))
    figure = blank(DOUBLE, 2.9 * len(rows) + 0.5)
    axes = figure.subplot_mosaic([[first, second or first] for first, second in rows], sharey=True)
    names = {}
    for benchmark, ax in axes.items():
        own = mean[mean["benchmark"] == benchmark]
        names[ax] = lines(ax, own)
        _scaled(ax, radii)
        ax.set_title(f"{benchmark}, {images(own)}")
    for first, _ in rows:
        axes[first].set_ylabel("loss (dB)")
    note = (
        f"Means over three fillings; bars: the outer ends of their simultaneous 95 % intervals over images. Grey: "
        f"±{RULES.margin_db:g} dB, within which the axis is linear."
    )
    caption(figure, "Loss of a network that sees only r pixels around a tile", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def fillings(tables: Tables) -> Figure:
    """Draw the loss against the radius for each filling, one panel a filling, on the first benchmark."""
    found = tables["context"]
    benchmark = found["benchmark"].iloc[0]
    found = styled(found[found["benchmark"] == benchmark])
    radii = sorted(found["radius"].unique().tolist())
    found = found.assign(
        x=found["radius"].map(radii.index), y=found["loss_db"], low=found["low_db"], high=found["high_db"]
    )
    figure = blank(DOUBLE, 4.6)
    axes = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
    names = {}
    for ax, (filling, title) in zip(axes, TITLES.items(), strict=True):
        names[ax] = lines(ax, found[found["filling"] == filling])
        _scaled(ax, radii)
        ax.set(title=f"beyond r: {title}")
        ax.label_outer()
    for ax in axes[::2]:
        ax.set_ylabel("loss (dB)")
    note = (
        f"{benchmark}, {images(found)}; bars: simultaneous 95 % intervals over images. Grey: ±{RULES.margin_db:g} dB."
    )
    caption(figure, "Loss by what stands beyond r pixels", note)
    name_lines({ax: own for ax, own in names.items() if ax in axes[1::2]})
    return figure


@rc_context(HOUSE)
def where(tables: Tables) -> Figure:
    """Draw the difference in loss between tiles with repeats far away and tiles without, one panel a radius."""
    found = styled(tables["context_where"])
    benchmark = found["benchmark"].iloc[0]
    found = found[found["benchmark"] == benchmark]
    radii = sorted(found["radius"].unique())
    figure = blank(DOUBLE, 0.3 * found["network"].nunique() + 1.5)
    for ax, radius in zip(np.atleast_1d(figure.subplots(1, len(radii), sharey=True)), radii, strict=True):
        own = found[found["radius"] == radius]
        forest(
            ax,
            own.rename(columns={"difference_db": "value", "low_db": "low", "high_db": "high"}),
            margin=RULES.margin_db,
        )
        ax.set(title=f"r = {radius}", xlabel="difference (dB)")
    first = found.iloc[0]
    note = (
        f"{benchmark}, {count(int(first['pairs']), 'pair')} of tiles alike in bicubic error: loss where far patches "
        f"explain most of a tile ({between([first['repeats_with']])} of its HR on average) less the loss where they "
        f"explain least ({between([first['repeats_without']])}). Bars: simultaneous 95 % intervals over pairs."
    )
    caption(figure, "Loss of tiles with repeats far away, less that of tiles without", note)
    return figure
