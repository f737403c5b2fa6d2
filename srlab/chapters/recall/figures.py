"""Figures of recall."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.chapters.recall.frames import RULES, tied
from srlab.models.registry import label
from srlab.plots.charts import bars, heat, lines, points
from srlab.plots.estimates import forest, part
from srlab.plots.marks import powers
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption, name_lines, name_points
from srlab.stats.words import bar_note, count
from srlab.study.frames import named

#: The network that every panel shows.
CONTROL = "no_attention"
FAR = f"{RULES.far} to {RULES.bins[-1]} LR pixels away"


def _panels(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide arms: tied and untied embeddings, the others, and further leagues; the control is in all of them."""
    first = table["league"] == table["league"].iloc[0]
    kind = table["arm"].map(tied)
    control = table["arm"] == CONTROL
    parts = {
        "one embedding (tied)": first & kind.eq(True),
        "two embeddings (untied)": first & kind.eq(False),
        "others": first & kind.isna() & ~control,
    }
    parts |= {league: table["league"] == league for league in table.loc[~first, "league"].unique()}
    found = {name: table[chosen | control] for name, chosen in parts.items() if chosen.any()}
    return found if len(found) > 1 else {"": table}


def _laid_out(table: pd.DataFrame, ylabel: str) -> tuple[Figure, list[tuple[Axes, str, pd.DataFrame]]]:
    """Lay out the panels of `_panels`, two a row; return each panel's axes, title and rows."""
    panels = _panels(table)
    rows, columns = (len(panels) + 1) // 2, min(2, len(panels))
    figure = blank(DOUBLE, 2.6 * rows + 0.8)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    for ax in axes.ravel()[len(panels) :]:
        ax.set_axis_off()
    return figure, [(ax, *panel) for ax, panel in zip(axes.ravel(), panels.items(), strict=False)]


@rc_context(HOUSE)
def recall(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall over the distance to the copy, one line an arm."""
    table = tables["recall"]
    found = table.assign(x=(table["from_px"] + table["to_px"]) / 2, y=table["recall"])
    figure, panels = _laid_out(found, "recall")
    names = {}
    for ax, title, own in panels:
        short, arm = title.endswith("tied)"), pd.factorize(own["arm"])[0]
        aside = own["x"] + 0.7 * (arm - arm.max() / 2)  # so that no bar hides another
        names[ax] = lines(ax, own.assign(name=own["model" if short else "arm"].map(label), x=aside))
        ax.set(title=title, xlabel="distance to the copy (LR px)", xlim=(RULES.bins[0], RULES.bins[-1]))
        ax.set_ylim(min(-0.1, found["y"].min() - 0.05), 1.05)
    bins = ", ".join(f"{low}–{high}" for low, high in pairwise(RULES.bins))
    note = (
        f"Means over {count(int(table['seeds'].min()), 'seed')} and over tiles in bins {bins} LR px; "
        f"{_bars(table)}, drawn side by side. Recall: share of the lost detail given back, 0 no help, 1 a perfect copy."
    )
    caption(figure, "Recall of a tile's only copy, by its distance", note)
    name_lines(names)
    return figure


@rc_context(HOUSE)
def recall_groups(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw each arm's recall far away and its invention, and what damaged pixels reach."""
    groups, seeds = tables["recall_groups"], tables["recall_seeds"]
    figure = blank(DOUBLE, 0.2 * len(groups) + 1.3)
    found, invented, near, reached = panels = figure.subplots(1, 4, sharey=True, width_ratios=[4, 3, 2, 2])
    forest(found, *(named(each, "arm", "recall") for each in (groups, seeds)))
    ends = groups.drop(columns=["low", "high"]).rename(columns={"invented_low": "low", "invented_high": "high"})
    forest(invented, *(named(each, "arm", "invented") for each in (ends, seeds)))
    bars(near, groups.assign(value=groups["near"].clip(lower=0), missing=""))
    bars(reached, groups.assign(value=groups["found"], missing="none"))
    part(panels, groups["group"] + 100 * pd.factorize(groups["league"])[0])
    found.set_xlabel(f"recall, copies\n{FAR}")
    invented.set_xlabel("invention, tiles\nwithout a copy")
    invented.locator_params("x", nbins=4)
    near.set(xlabel="recall, copy\nbeside, alone", xlim=(0, 1))
    reached.set(xlabel="far copy in\nview (share)", xlim=(0, 1))
    parts = " Dotted: between groups and leagues." if groups["group"].max() > 1 else ""
    note = (
        f"Large: mean of {count(int(groups['seeds'].min()), 'seed')}; small: each seed; {_bars(groups)}. Invention: 0 "
        f"leaves a tile unchanged, −1 is random detail.{parts}"
    )
    caption(figure, "Recall of far copies, and detail written where no copy exists", note)
    return figure


@rc_context(HOUSE)
def recall_embedding(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall of each pattern with tied and untied embeddings, and the difference."""
    table = tables["recall_embedding"]
    figure = blank(DOUBLE, 0.3 * len(table) + 1.5)
    if table.empty:
        caption(figure, "Is it the pattern or the embedding?", "No mechanism of this study has both embeddings.")
        return figure
    cells, invented, apart = figure.subplots(1, 3, width_ratios=[2, 2, 4])
    for ax, columns, title in (
        (cells, ["tied", "untied"], f"recall, copies\n{FAR}"),
        (invented, ["invented_tied", "invented_untied"], "invention, tiles\nwithout a copy"),
    ):
        own = table[columns].set_axis(table["model"].map(label)).set_axis(["tied", "untied"], axis=1)
        words = own.map(lambda value: f"{value:z.2f}".replace("-", "−"))
        heat(ax, own.abs().clip(upper=1) if ax is invented else own.clip(0, 1), words=words)
        ax.set_xlabel(title)
    invented.set_yticks([])
    forest(apart, named(table, "model", "difference"), margin=RULES.margin)
    apart.set_xlabel("recall, tied less untied")
    apart.yaxis.tick_right()
    note = (
        f"Mean of {count(int(table['seeds'].min()), 'seed')}, equal keys; {_bars(table)}; grey: ±{RULES.margin:g}. "
        "Tied: one embedding for queries and keys, as in LSP and NLSA; untied: two, as in dense attention and windows."
    )
    caption(figure, "Is it the pattern or the embedding?", note)
    return figure


@rc_context(HOUSE)
def recall_keys(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall of far copies against the number of keys of a query."""
    table = tables["recall_groups"].dropna(subset="seen")
    figure = blank(DOUBLE, 3.2)
    ax = figure.subplots()
    columns = {"seen": "x", "value": "y", "low": "y_low", "high": "y_high"}
    names = points(ax, named(table, "arm", "recall").rename(columns=columns))
    low, high = table["seen"].min() / 2, table["seen"].max() * 2
    powers(ax, [10**decade for decade in range(1, 6) if low < 10**decade < high])
    ax.set(xlim=(low, high), ylim=(-0.2, 1.3), ylabel=f"recall, copies {FAR}")
    ax.set_xlabel("keys of a query in a layer (mean, with repetitions)")
    seeds = count(int(table["seeds"].min()), "seed")
    caption(figure, "Recall against the number of keys of a query", f"Mean of {seeds}; {_bars(table)}.")
    name_points({ax: names})
    return figure


@rc_context(HOUSE)
def recall_curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall in training, one line a seed."""
    curves = tables["recall_curves"]
    every = int(np.diff(np.unique([0, *curves["step"]])).min())
    runs = curves.groupby("run", sort=False)
    mean = runs["recall"].transform(lambda recall: recall.rolling(RULES.settle_steps // every, 1).mean())
    found = curves.assign(x=curves["step"], y=mean, end=runs["step"].transform("max"))
    gaps = found.groupby("run", sort=False).tail(1).assign(y=np.nan)  # between the lines of an arm
    found = pd.concat([found, gaps]).sort_values(["end", "seed", "step"], kind="stable")
    figure, panels = _laid_out(found, "recall on training images")
    names = {}
    for ax, title, own in panels:
        names[ax] = lines(ax, own.assign(name=own["arm"].map(label)), marks=False)
        ax.set(title=title, xlabel="step of training", ylim=(-0.15, 1.1))
    seeds = count(curves["seed"].nunique(), "seed")
    note = f"1 − loss, mean over the last {RULES.settle_steps} steps; {seeds}, one line each. Training ends when "
    note += f"{RULES.settle_steps} steps bring less than {RULES.settle_gain:g}."
    caption(figure, "Recall in training", note)
    name_lines(names)
    return figure


def _bars(table: pd.DataFrame) -> str:
    return bar_note(int(table["seeds"].min()))
