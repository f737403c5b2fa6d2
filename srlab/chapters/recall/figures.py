"""Figures of recall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.analysis import explore
from srlab.analysis.images import picture
from srlab.chapters.recall.frames import DISTANCE, at_distance
from srlab.models.registry import label
from srlab.plots.charts import bars, heat, lines, points
from srlab.plots.estimates import forest, part
from srlab.plots.images import pictures
from srlab.plots.maps import attention
from srlab.plots.marks import powers
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption, name_lines, name_points
from srlab.stats.words import bar_note, count
from srlab.study.frames import named
from srlab.study.study import Study

#: The factors, as axes name them.
FACTORS = {
    "beside": "near",
    "distance": "distance (LR px)",
    "distractors": "other tiles",
    "side": "side (LR px)",
    "apart": "colours apart",
    "copies": "copies",
}
#: Numbers with an interval wider than ± this are in italics.
WIDE = 0.1
#: Networks to show on an image, as far as the profile trains them.
SHOWN = ("lcoan", "trunk_nla", "trunk_fgca", "trunk_window", "trunk_conv_attn")


@rc_context(HOUSE)
def recall(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall of a copy far away, and what the damaged pixels reach of it."""
    groups, seeds = tables["recall_groups"], tables["recall_seeds"]
    figure = blank(DOUBLE, 0.2 * len(groups) + 1.2)
    found, reach, weight = panels = figure.subplots(1, 3, sharey=True, width_ratios=[5, 2, 2])
    forest(found, *(named(each, "arm", "recall") for each in (groups, seeds)), zero=None)
    words = np.where(groups["found"].isna(), "none", "no softmax")
    bars(reach, groups.assign(value=groups["found"], missing=words))
    bars(weight, groups.assign(value=groups["weight"], missing=words))
    part(panels, groups["group"])
    ends = groups[["low", "high"]].replace([-np.inf, np.inf], np.nan)
    found.set_xlim(np.nanmin([-0.14, ends["low"].min() - 0.02]), np.nanmax([1.14, ends["high"].max() + 0.02]))
    found.set_xlabel("recall: share of the lost detail given back")
    reach.set(xlabel="damaged pixels with\ntheir copy in view (share)", xlim=(0, 1))
    weight.set(xlabel="weight on the copy's tile\n(share, best layer)", xlim=(0, 1))
    parts = "; dotted: intervals above and below do not overlap" if groups["group"].max() > 1 else ""
    note = f"Large: mean; small: each of {_counted(groups)}; {_bars(groups)}{parts}. Tests on images of 80×80."
    caption(figure, f"Recall of a tile's only copy {DISTANCE:g} LR pixels away", note)
    return figure


def _scene(study: Study) -> tuple[explore.Scene, list[str]]:
    networks = {run.network.model for run in study.chapter("recall").runs}
    scene = explore.open_scene(study, f"recall: copies {DISTANCE:g} px away")
    return scene, [model for model in SHOWN if model in networks] or sorted(networks)[:2]


def recall_images(study: Study, settings: object) -> Figure:
    """Draw a damaged tile and its copy: LR, HR, and the SR of some networks."""
    scene, models = _scene(study)
    made = {"LR": scene.lr, "HR": scene.hr} | {label(model): scene.traced(model).sr for model in models}
    parts = [(name, picture(scene.task.around(each))) for name, each in made.items()]
    note = f"{scene.title}. Above: LR and HR; below: SR from LR, first seed. Flat tiles are damaged in LR; a damaged "
    note += "tile without an intact tile of its colour cannot be restored."
    title = "A damaged tile and its only intact copy, of the same colour, far away"
    return pictures([parts[:2], parts[2:]], title, note)


def recall_look(study: Study, settings: object) -> Figure:
    """Draw the attention of a pixel of the first damaged tile in some networks."""
    scene, models = _scene(study)
    return attention([explore.look(scene, model, *scene.start) for model in models])


@rc_context(HOUSE)
def recall_factors(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall of each network and variant at each value of each factor."""
    table = tables["recall"]
    there = at_distance(table).sort_values("recall", ascending=False, kind="stable")
    arms = list(there["arm"])
    by_factor = {factor: table[table["factor"] == factor].pivot(index="arm", columns="value") for factor in FACTORS}
    by_factor = {factor: own.reindex(arms) for factor, own in by_factor.items() if len(own)}
    figure = blank(DOUBLE, 0.17 * len(arms) + 1.1)
    widths = [own["recall"].shape[1] for own in by_factor.values()]
    axes = figure.subplots(1, len(by_factor), sharey=True, width_ratios=widths)
    for ax, (factor, own) in zip(axes, by_factor.items(), strict=True):
        cells = own["recall"].set_axis([label(arm) for arm in arms])
        words = cells.clip(lower=0).map(lambda share: f"{share:.2f}".removeprefix("0"))
        wide = (own["high"] - own["low"]).replace(np.inf, 0) > 2 * WIDE
        heat(ax, cells, words=words, italic=wide)
        ax.set_xticklabels([f"{value:g}" for value in cells.columns])
        ax.set_xlabel(FACTORS[factor])
    axes[0].set_xticks([])
    italics = f" Italics: 95 % interval over seeds wider than ±{WIDE:g}." if table["seeds"].max() > 1 else ""
    near = "near: one pair in the next tile, alone; colours apart: neighbouring levels, of 1"
    note = f"Mean of {_counted(table)}; below 0 shown as 0.{italics} {near}."
    caption(figure, "Recall by distance, other tiles, image size, likeness and copies", note)
    return figure


@rc_context(HOUSE)
def recall_cost(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall against the number of keys of a query, networks and variants."""
    costs = tables["recall_costs"]
    figure = blank(DOUBLE, 3.2)
    ax = figure.subplots()
    columns = {"seen": "x", "value": "y", "low": "y_low", "high": "y_high"}
    names = points(ax, named(costs, "arm", "recall").rename(columns=columns))
    low, high = costs["seen"].min() / 2, costs["seen"].max() * 2
    powers(ax, [10**decade for decade in range(1, 6) if low < 10**decade < high])
    ax.set(xlim=(low, high), ylim=(-0.2, 1.3), ylabel=f"recall {DISTANCE:g} LR px away")
    ax.set_xlabel("keys of a query in a layer (mean, with repetitions)")
    caption(figure, "Recall against the number of keys of a query", f"{_counted(costs)}; {_bars(costs)}.")
    name_points({ax: names})
    return figure


@rc_context(HOUSE)
def recall_curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw recall in training, mean over seeds with the range."""
    curves, seeds = tables["recall_curves"], tables["recall_curves"]["seed"].nunique()
    found = curves.groupby(["model", "step"], sort=False)["recall"].agg(["mean", "min", "max"]).reset_index()
    found = named(found).assign(x=found["step"], y=found["mean"])
    if seeds > 1:
        found = found.assign(y_low=found["min"], y_high=found["max"])
    figure = blank(DOUBLE, 3.6)
    ax = figure.subplots()
    names = lines(ax, found, marks=False)
    ax.set(xlim=(0, curves["step"].max()), ylim=(-0.15, 1.1), xlabel="step of training")
    ax.set_ylabel("recall on training images (1 − loss)")
    reached = curves[curves["recall"] >= 0.5].groupby("model")["step"].min()
    networks = count(curves["model"].nunique(), "network")
    band = "band: lowest to highest seed" if seeds > 1 else "no band"
    note = (
        f"Mean of {count(seeds, 'seed')}; {band}; mean over {np.diff(np.unique([0, *curves['step']])).min():g} steps."
    )
    caption(figure, f"{len(reached)} of {networks} give back half of the lost detail in training", note)
    name_lines({ax: names})
    return figure


def _bars(table: pd.DataFrame) -> str:
    return bar_note(int(table["seeds"].max()), "not simultaneous")


def _counted(table: pd.DataFrame) -> str:
    """Count seeds and images, and the seeds of variants if fewer."""
    named = table["arm"] == table["model"]
    seeds, fewer = int(table.loc[named, "seeds"].min()), table.loc[~named, "seeds"].min()
    of_variants = f" ({fewer:g} for variants)" if fewer < seeds else ""
    return f"{count(seeds, 'seed')}{of_variants}, {count(int(table['images'].max()), 'image')} each"
