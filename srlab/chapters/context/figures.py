"""Figures of context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from srlab.chapters.context.frames import RULES
from srlab.models.registry import label
from srlab.plots.charts import lines
from srlab.plots.estimates import forest
from srlab.plots.marks import DECADES, about_zero
from srlab.plots.style import DOUBLE, HOUSE, blank, drawn
from srlab.plots.text import caption, name_lines
from srlab.stats.words import between, count
from srlab.study.chapter import Tables

#: The most networks that one panel shows, and the columns of panels of one network each.
TOGETHER, COLUMNS = 4, 5
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


def _scaled(ax: Axes, radii: list[int], ticks: Sequence[float] = DECADES) -> None:
    """Show losses logarithmically beyond the margin, with ticks at the radii."""
    about_zero(ax, RULES.margin_db, ticks)
    ax.set_xticks(radii)
    ax.set(xlabel="real pixels around the tile, r (LR px)")


def images(found: pd.DataFrame) -> str:
    """Write how many images a network has at least and, where another has more, at most."""
    least, most = int(found["images"].min()), int(found["images"].max())
    return count(most, "image") if least == most else f"{least} to {most} images"


@rc_context(HOUSE)
def context(tables: Tables) -> Figure:
    """Draw the loss against the radius, with means over the fillings: one line a network and one panel a benchmark.

    Two panels stand in a row. A benchmark with more networks than `TOGETHER` has a panel for each of them below.
    """
    found = tables["context"]
    found = found[found["filling"].isin(RULES.fillings)]
    radii = sorted(found["radius"].unique().tolist())
    keys = ["benchmark", "network", "radius"]
    mean = found.groupby(keys, sort=False, as_index=False).agg(
        y=("loss_db", "mean"), y_low=("low_db", "min"), y_high=("high_db", "max"), images=("images", "min")
    )
    mean = styled(mean.assign(x=mean["radius"]))
    benchmarks = dict(list(mean.groupby("benchmark", sort=False)))
    together = [name for name, own in benchmarks.items() if own["name"].nunique() <= TOGETHER]
    rows = [together[i : i + 2] for i in range(0, len(together), 2)]
    rows += [[name] for name in benchmarks if name not in together]
    heights = [2.9 if name in together else 0.7 + 1.35 * _lines(benchmarks[name]) for name, *_ in rows]
    figure = blank(DOUBLE, sum(heights) + 0.5)
    names = {}
    for part, row in zip(np.atleast_1d(figure.subfigures(len(rows), 1, height_ratios=heights)), rows, strict=True):
        if row[0] not in together:
            _apart(part, benchmarks[row[0]], radii)
            continue
        for ax, name in zip(part.subplots(1, len(row), sharey=True, squeeze=False)[0], row, strict=True):
            names[ax] = lines(ax, benchmarks[name])
            _scaled(ax, radii)
            ax.set(title=f"{name}, {images(benchmarks[name])}", ylabel="loss (dB)" if name == row[0] else "")
    note = (
        f"Means over three fillings; bands: the outer ends of their simultaneous 95 % intervals over images. Grey: "
        f"±{RULES.margin_db:g} dB, within which the axis is linear."
    )
    caption(figure, "Loss of a network that sees only r pixels around a tile", note)
    if names:
        name_lines(names)
    return figure


def _lines(own: pd.DataFrame) -> int:
    """Count the lines of panels that the networks of a benchmark fill."""
    return -(-own["name"].nunique() // COLUMNS)


def _apart(part: SubFigure, own: pd.DataFrame, radii: list[int]) -> None:
    """Draw a panel for each network of a benchmark."""
    grid = part.subplots(_lines(own), COLUMNS, sharex=True, sharey=True, squeeze=False)
    networks = list(own.groupby("name", sort=False))
    apart = [radius for radius in radii if radius == 0 or radius > max(radii) / 5]  # numbers that do not touch
    for place, (ax, (name, rows)) in enumerate(zip(grid.flat, networks, strict=False)):
        first, last = place % COLUMNS == 0, place + COLUMNS >= len(networks)
        lines(ax, rows)
        _scaled(ax, apart, (-1.0, -0.1, 0.0, 0.1, 1.0))
        ax.set(title=name, xlabel="r (LR px)" if last else "", ylabel="loss (dB)" if first else "")
        ax.tick_params(labelbottom=last, labelleft=first)
    for ax in grid.flat[len(networks) :]:
        ax.set_axis_off()
    middle = grid[0, COLUMNS // 2]
    middle.set_title(f"{own['benchmark'].iloc[0]}, {images(own)}\n{middle.get_title()}")


@rc_context(HOUSE)
def fillings(tables: Tables) -> Figure:
    """Draw the loss against the radius for each filling, one panel a filling, on the first benchmark."""
    found = tables["context"]
    benchmark = found["benchmark"].iloc[0]
    found = styled(found[found["benchmark"] == benchmark])
    radii = sorted(found["radius"].unique().tolist())
    found = found.assign(x=found["radius"], y=found["loss_db"], y_low=found["low_db"], y_high=found["high_db"])
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
        f"{benchmark}, {images(found)}; bands: simultaneous 95 % intervals over images. Grey: ±{RULES.margin_db:g} dB."
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
        own = own.assign(value=own["difference_db"], low=own["low_db"], high=own["high_db"])
        forest(ax, own, margin=RULES.margin_db)
        ax.set(title=f"r = {radius}", xlabel="difference (dB)")
    first = found.iloc[0]
    note = (
        f"{benchmark}, {count(int(first['pairs']), 'pair')} of tiles alike in bicubic error: loss where far patches "
        f"explain most of a tile ({between([first['repeats_with']])} of its HR on average) less the loss where they "
        f"explain least ({between([first['repeats_without']])}). Bars: simultaneous 95 % intervals over pairs."
    )
    caption(figure, "Loss of tiles with repeats far away, less that of tiles without", note)
    return figure
