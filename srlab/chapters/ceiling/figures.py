"""Figures of ceiling."""

from __future__ import annotations

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.chapters.ceiling.frames import RULES
from srlab.models.registry import label
from srlab.plots.charts import lines
from srlab.plots.estimates import forest, part
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption, name_lines
from srlab.stats.words import count, number
from srlab.study.chapter import Tables

FUSERS = {"ridge": "linear fuser", "cnn": "three-layer fuser"}
#: Words, colour and marker of the cells: match, content.
CELLS = {
    ("seen", "SR"): ("matched by SR, SR content", "#0072B2", "o"),
    ("perfect", "SR"): ("matched by HR, SR content", "#D55E00", "s"),
    ("seen", "HR"): ("matched by SR, HR content", "#56B4E9", "^"),
    ("perfect", "HR"): ("matched by HR, HR content", "#999999", "D"),
}
#: Gains up to this are drawn on a linear axis, larger ones logarithmically, dB.
LINEAR = 0.1
TICKS = (-0.1, 0.0, 0.1, 1.0)


def shown(base: str) -> str:
    """Return the name of an SR for people."""
    return "trained trunk" if base == "no_attention" else label(base)


def styled(found: pd.DataFrame) -> pd.DataFrame:
    """Sort by SR and cell, and add name, colour and marker of each row's cell."""
    cells = pd.Series(list(zip(found["match"], found["content"], strict=True)), found.index)
    found = found.assign(cell=cells.map(list(CELLS).index), order=found["base"].map(list(found["base"].unique()).index))
    for i, column in enumerate(("name", "colour", "marker")):
        found[column] = cells.map({cell: look[i] for cell, look in CELLS.items()})
    return found.sort_values(["order", "cell"], kind="stable")


@rc_context(HOUSE)
def ceiling(tables: Tables) -> Figure:
    """Draw the gain of each cell at the smallest distance: a panel a benchmark, the network's markers hollow."""
    found = tables["ceiling"]
    nearest = found["distance"].min()
    found = styled(found[found["distance"] == nearest])
    found = found.assign(value=found["gain_db"], low=found["low_db"], high=found["high_db"])
    found["name"] = found["base"].map(shown) + ": " + found["name"]
    rows = found.drop_duplicates("name")[["name", "order"]]
    benchmarks = found["benchmark"].unique()
    figure = blank(DOUBLE, 0.24 * len(rows) + 1.5)
    axes = figure.subplots(1, len(benchmarks), sharey=True, sharex=True, squeeze=False)[0]
    for ax, benchmark in zip(axes, benchmarks, strict=True):
        own = found[found["benchmark"] == benchmark]
        for series, fuser in enumerate(found["fuser"].unique()):
            drawn = own[own["fuser"] == fuser].set_index("name").reindex(rows["name"]).reset_index()
            zero = (0.0, min(RULES.claims_db), max(RULES.claims_db)) if series == 0 else None
            forest(ax, drawn, zero=zero, shift=0.3 * series, hollow=series > 0)
        ax.set_xscale("symlog", linthresh=LINEAR)
        ax.set_xticks(TICKS, [number(tick, 1) for tick in TICKS])
        ax.set(title=f"{benchmark}, {count(int(own['images'].min()), 'image')}", xlabel="gain (dB)")
    part(axes, rows["order"])
    fusers = " and, hollow below it, ".join(FUSERS[fuser] for fuser in found["fuser"].unique())
    note = (
        f"Gain of a fuser with a far neighbourhood over the same with its own twice; {fusers}. Bars: "
        f"simultaneous 95 % intervals over images. Lines: 0, and the smallest and largest gain that papers claim. The "
        f"axis is linear up to ±{LINEAR:g} dB."
    )
    caption(figure, f"What a match at least {nearest} LR pixels away can add", note)
    return figure


@rc_context(HOUSE)
def distances(tables: Tables) -> Figure:
    """Draw the linear fuser's gain against the distance: a panel an SR, one line a cell, the first benchmark."""
    found = tables["ceiling"]
    benchmark, fuser = found["benchmark"].iloc[0], found["fuser"].iloc[0]
    found = styled(found[(found["benchmark"] == benchmark) & (found["fuser"] == fuser)])
    far = sorted(found["distance"].unique())
    found = found.assign(x=found["distance"].map(far.index), y=found["gain_db"], low=found["low_db"])
    found = found.assign(high=found["high_db"])
    figure = blank(DOUBLE, 3.0)
    bases = found["base"].unique()
    names = {}
    for ax, base in zip(figure.subplots(1, len(bases), sharey=True, sharex=True, squeeze=False)[0], bases, strict=True):
        drawn = lines(ax, found[found["base"] == base])
        ax.set_yscale("symlog", linthresh=LINEAR)
        ax.set_yticks(TICKS, [number(tick, 1) for tick in TICKS])
        ax.set_xticks(range(len(far)), [str(each) for each in far])
        ax.set(title=shown(base), xlabel="distance, at least (LR px)")
        if base == bases[0]:
            ax.set_ylabel("gain (dB)")
        names = {ax: drawn}
    images = count(int(found["images"].min()), "image")
    note = (
        f"{benchmark}, {images}, {FUSERS[fuser]}; bars: simultaneous 95 % intervals over images. The axis is linear "
        f"up to ±{LINEAR:g} dB."
    )
    caption(figure, "Gain by the distance that a match must have", note)
    name_lines(names)
    return figure
