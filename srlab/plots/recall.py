"""Figures of the recall experiment: who finds the other tile, along each dial, at what price, and when in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from scipy.optimize import isotonic_regression

from srlab.findings.frames import count
from srlab.findings.recall import DIAL, VALUE
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look

#: What each dial turns, as axes say it.
DIALS = {
    "beside": "near",
    "distance": "distance (LR px)",
    "distractors": "other tiles",
    "side": "side (LR px)",
    "apart": "colours apart",
    "copies": "copies",
}
#: Numbers in cells whose interval is wider than ± this are in italics.
WIDE = 0.1


@rc_context(HOUSE)
def recall(groups: pd.DataFrame, seeds: pd.DataFrame) -> Figure:
    """Which networks find a copy far away, in groups that intervals keep apart, and what their queries see of it.

    Parameters
    ----------
    groups, seeds : DataFrame
        As of the functions of these names in `srlab.findings.recall`.
    """
    figure = blank(DOUBLE, 0.2 * len(groups) + 1.2)
    found, sees, weighs = figure.subplots(1, 3, sharey=True, width_ratios=[5, 2, 2])
    for y, row in enumerate(groups.itertuples()):
        style = look(row.model) | {"linestyle": "none"}
        own = seeds.loc[seeds["arm"] == row.arm, "recall"]
        found.scatter(own, np.full(len(own), y + 0.28), s=7, color=style["color"], alpha=0.5, linewidths=0)
        if np.isfinite(row.high - row.low):
            found.hlines(y, row.low, row.high, color=style["color"], linewidth=2)
        found.plot(row.recall, y, **style)
        for ax, share in ((sees, row.found), (weighs, row.weight)):
            if np.isfinite(share):
                ax.barh(y, share, height=0.6, color=style["color"])
            else:
                ax.text(0.03, y, "none" if np.isnan(row.found) else "no softmax", va="center", fontsize=7, color=INK)
    for y in np.flatnonzero(np.diff(groups["group"])) + 0.5:
        for ax in (found, sees, weighs):
            ax.axhline(y, color=INK, linewidth=0.8, linestyle=":")
    found.set_yticks(range(len(groups)), groups["arm"])
    found.set_ylim(len(groups) - 0.4, -0.7)
    found.set_xlim(-0.12, 1.12)
    found.set_xlabel("recall: share of the lost detail given back")
    sees.set_xlabel("damaged pixels that\nsee their copy (share)")
    weighs.set_xlabel("weight on the copy's tile\n(share, best layer)")
    for ax in (sees, weighs):
        ax.set_xlim(0, 1)
        ax.tick_params(length=0, axis="y")
    made, number = int(groups["group"].max()), int(groups["seeds"].min())
    title = f"A tile's copy {VALUE:g} LR px away"
    title += f": {count(made, 'group')}, between which no intervals touch" if made > 1 else ""
    bars = "large: mean; bars: 95 %, over seeds" if number > 1 else "one seed: no interval"
    images = count(int(groups["images"].iloc[0]), "image")
    found.set_title(f"{count(number, 'seed')} (dots), {images} each; {bars}", fontsize=7)
    figure.suptitle(title, fontsize=9)
    return figure


@rc_context(HOUSE)
def recall_dials(recalled: pd.DataFrame) -> Figure:
    """Recall of each network and variant at each value of each dial, as numbers in colours, the best at `VALUE` first.

    Parameters
    ----------
    recalled : DataFrame
        As of `srlab.findings.recall.recalled`.
    """
    there = recalled[(recalled["dial"] == DIAL) & (recalled["value"] == VALUE)]
    arms = list(there.sort_values("recall", ascending=False, kind="stable")["arm"])
    tables = {dial: recalled[recalled["dial"] == dial].pivot(index="arm", columns="value") for dial in DIALS}
    widths = [table["recall"].shape[1] for table in tables.values()]
    figure = blank(DOUBLE, 0.17 * len(arms) + 1.1)
    axes = figure.subplots(1, len(DIALS), sharey=True, width_ratios=widths)
    for ax, (dial, table) in zip(axes, tables.items(), strict=True):
        table = table.reindex(arms)
        cells = table["recall"].to_numpy()
        ax.imshow(cells, cmap="YlGnBu", vmin=0, vmax=1, aspect="auto")
        wide = (table["high"] - table["low"]).replace(np.inf, 0).to_numpy() > 2 * WIDE
        for (y, x), share in np.ndenumerate(cells):
            style = {"fontsize": 7, "ha": "center", "va": "center", "fontstyle": "italic" if wide[y, x] else "normal"}
            ax.text(x, y, f"{max(share, 0):.2f}".removeprefix("0"), color="white" if share > 0.55 else INK, **style)
        ax.set_xticks(range(cells.shape[1]), [f"{value:g}" for value in table["recall"].columns])
        ax.set_xlabel(DIALS[dial])
        ax.grid(visible=False)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[0].set_yticks(range(len(arms)), arms)
    axes[0].set_xticks([])
    certain = recalled["seeds"].max() > 1
    told = f"italics: 95 % interval over seeds wider than ±{WIDE:g}" if certain else "no interval"
    figure.suptitle(f"Recall, one dial at a time: {_counted(recalled)}; {told}", fontsize=8)
    return figure


@rc_context(HOUSE)
def recall_cost(costs: pd.DataFrame) -> Figure:
    """Recall against how many keys a query sees: a panel a network with several sizes, the others in grey.

    Where no network has several, all in one panel.

    Parameters
    ----------
    costs : DataFrame
        As of `srlab.findings.recall.costs`.
    """
    several = [model for model, own in costs.groupby("model", sort=False) if len(own) > 1]
    figure = blank(DOUBLE, 2.6)
    axes = figure.subplots(1, max(1, len(several)), sharex=True, sharey=True, squeeze=False)[0]
    for ax, model in zip(axes, several or ["all"], strict=True):
        own = costs[costs["model"] == model] if several else costs
        others = costs.drop(own.index)
        ax.scatter(others["seen"], others["recall"], s=8, color="#cccccc", linewidths=0)
        places = spread(own["recall"], 0.11)
        for row, y in zip(own.itertuples(), places, strict=True):
            style = look(row.model) | {"linestyle": "none"}
            if np.isfinite(row.high - row.low):
                ax.vlines(row.seen, row.low, row.high, color=style["color"], linewidth=1.5)
            ax.plot(row.seen, row.recall, **style)
            words = row.arm.removeprefix(row.model if several else "").strip().replace("=", " ") or "as in the profile"
            ax.annotate(words, (row.seen, y), (5, 0), textcoords="offset points", fontsize=7, va="center")
        ax.set_title(model if several else "", color=look(model)["color"] if several else INK)
    ends = costs["seen"].agg(["min", "max"])
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xlim(ends["min"] / 1.5, ends["max"] * (30 if several else 3))
        ax.xaxis.set_major_locator(LogLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylim(-0.15, 1.25)
    axes[0].set_ylabel(f"recall {VALUE:g} LR px away")
    figure.supxlabel("keys that a query sees in a layer (mean, each as often as it is seen)", fontsize=8)
    bars = "bars: 95 %, over seeds" if costs["seeds"].max() > 1 else "no interval"
    told = f"{_counted(costs)}; {bars}"
    told += "; grey: the others" if several else ""
    figure.suptitle(f"What a query must look at to find a copy ({told})", fontsize=8)
    return figure


@rc_context(HOUSE)
def recall_curves(curves: pd.DataFrame) -> Figure:
    """Recall in training: a line a seed, named at its end.

    Parameters
    ----------
    curves : DataFrame
        As of `srlab.findings.recall.curves`.
    """
    figure = blank(DOUBLE, 3.4)
    ax = figure.subplots()
    for (model, _), own in curves.groupby(["model", "seed"], sort=False):
        ax.plot(own["step"], own["recall"], **look(model) | {"marker": "none", "linewidth": 0.9, "alpha": 0.8})
    last = curves["step"].max()
    ends = curves[curves["step"] == last].groupby("model", sort=False)["recall"].mean()
    for (model, end), y in zip(ends.items(), spread(ends, 0.055), strict=True):
        ax.plot([last, 1.03 * last], [end, y], color=look(model)["color"], linewidth=0.5)
        ax.text(1.04 * last, y, model, color=look(model)["color"], fontsize=7, va="center")
    ax.set_xlim(0, 1.22 * last)
    ax.set_xticks([tick for tick in MaxNLocator(6).tick_values(0, last) if tick <= last])
    ax.set_ylim(-0.15, 1.1)
    ax.set_xlabel("step of training")
    ax.set_ylabel("recall of training images (1 − loss)")
    ax.set_title(f"When networks begin to find: {count(curves['seed'].nunique(), 'seed')}, a line each")
    return figure


def _counted(recalled: pd.DataFrame) -> str:
    """How many seeds and images, and of variants, which have more than a network's name, how many if fewer."""
    named = recalled["arm"] == recalled["model"]
    seeds, fewer = int(recalled.loc[named, "seeds"].min()), recalled.loc[~named, "seeds"].min()
    of_variants = f" ({fewer:g} of variants)" if fewer < seeds else ""
    return f"{count(seeds, 'seed')}{of_variants}, {count(int(recalled['images'].max()), 'image')} each"


def spread(values: pd.Series, apart: float) -> np.ndarray:
    """Places for labels: as near to the values as leaves so much room between any two."""
    order = np.argsort(values.to_numpy(), kind="stable")
    steps = apart * np.arange(len(values))
    # The nearest rising sequence with such steps: what is left of isotonic regression once the steps are taken away.
    rising = isotonic_regression(values.to_numpy()[order] - steps).x
    places = np.empty(len(values))
    places[order] = rising + steps
    return places
