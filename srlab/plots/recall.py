"""Figures of the recall experiment: who finds the other tile, along each dial, at what price, and when in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.plots.labels import Name, name_lines, name_points, tell
from srlab.plots.marks import powers
from srlab.plots.style import DOUBLE, HOUSE, INK, blank, look
from srlab.stats.frames import count
from srlab.stats.recall import DIAL, VALUE

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
        As of the functions of these names in `srlab.stats.recall`.
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
    ends = groups[["low", "high"]].replace([-np.inf, np.inf], np.nan)
    found.set_xlim(np.nanmin([-0.12, ends["low"].min()]) - 0.02, np.nanmax([1.12, ends["high"].max()]) + 0.02)
    found.set_xlabel("recall: share of the lost detail given back")
    sees.set_xlabel("damaged pixels that\nsee their copy (share)")
    weighs.set_xlabel("weight on the copy's tile\n(share, best layer)")
    for ax in (sees, weighs):
        ax.set_xlim(0, 1)
        ax.tick_params(length=0, axis="y")
    made = int(groups["group"].max())
    far = f"{VALUE:g} LR pixels away"
    parted = f": {count(made, 'group')}, between which no intervals touch" if made > 1 else ""
    parts = "; dotted lines part groups" if made > 1 else ""
    note = f"Large: mean; small: each of {_counted(groups)}; {_bars(groups)}{parts}. Tests on images of 80×80."
    tell(figure, f"Who finds a tile's only copy {far}{parted}", note)
    return figure


@rc_context(HOUSE)
def recall_dials(recalled: pd.DataFrame) -> Figure:
    """Recall of each network and variant at each value of each dial, as numbers in colours, the best at `VALUE` first.

    Parameters
    ----------
    recalled : DataFrame
        As of `srlab.stats.recall.recalled`.
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
    italics = f" Italics: 95 % interval over seeds wider than ±{WIDE:g}." if recalled["seeds"].max() > 1 else ""
    surest = there[there["seeds"] == there["seeds"].max()]
    name = surest.loc[surest["recall"].idxmax(), "arm"]
    best = recalled[recalled["arm"] == name].reset_index(drop=True)
    far, worst = best.loc[best["value"].where(best["dial"] == DIAL).idxmax()], best.loc[best["recall"].idxmin()]
    message = f"{name} gives back {max(far['recall'], 0):.2f} from {far['value']:g} LR pixels away, and least, "
    message += f"{max(worst['recall'], 0):.2f}, at {DIALS[worst['dial']]} {worst['value']:g}"
    near = "near: one pair in the next tile, alone; colours apart: of neighbouring levels, of 1"
    tell(figure, message, f"Recall, mean of {_counted(recalled)}; below 0 shown as 0.{italics} {near}.")
    return figure


@rc_context(HOUSE)
def recall_cost(costs: pd.DataFrame) -> Figure:
    """Recall against how many keys a query sees: a panel a network with several sizes, the others in grey.

    Where no network has several, all in one panel.

    Parameters
    ----------
    costs : DataFrame
        As of `srlab.stats.recall.costs`.
    """
    several = [model for model, own in costs.groupby("model", sort=False) if len(own) > 1]
    figure = blank(DOUBLE, 2.6)
    axes = figure.subplots(1, max(1, len(several)), sharex=True, sharey=True, squeeze=False)[0]
    names: dict[Axes, list[Name]] = {}
    low, high = costs["seen"].min() / 2, costs["seen"].max() * 2
    for ax, model in zip(axes, several or ["all"], strict=True):
        own = costs[costs["model"] == model] if several else costs
        others = costs.drop(own.index)
        ax.scatter(others["seen"], others["recall"], s=8, color="#cccccc", linewidths=0)
        for row in own.itertuples():
            style = look(row.model) | {"linestyle": "none"}
            if np.isfinite(row.high - row.low):
                ax.vlines(row.seen, row.low, row.high, color=style["color"], linewidth=1.5)
            ax.plot(row.seen, row.recall, **style)
            words = row.arm.removeprefix(row.model if several else "").strip().replace("=", " ") or "as usual"
            names.setdefault(ax, []).append(Name(words, row.seen, row.recall, style["color"]))
        ax.set_title(model if several else "", color=look(model)["color"] if several else INK)
    axes[0].set_ylim(-0.2, 1.3)
    axes[0].set_ylabel(f"recall {VALUE:g} LR px away")
    axes[len(axes) // 2].set_xlabel("keys that a query sees in a layer (mean, each as often as it is seen)")
    powers(axes[0], [10**decade for decade in range(1, 6) if low < 10**decade < high])
    axes[0].set_xlim(low, high)
    grey = " Grey: the others." if several else ""
    few = costs.loc[costs["recall"] >= 0.9]
    message = "What a query must look at to find a copy"
    if len(few):
        least = few.loc[few["seen"].idxmin()]
        message += f": {least['seen']:.0f} keys do for {least['arm']}, if they are the right ones"
    tell(figure, message, f"{_counted(costs)}; {_bars(costs)}.{grey}")
    name_points(names)
    return figure


@rc_context(HOUSE)
def recall_curves(curves: pd.DataFrame) -> Figure:
    """Recall in training: a line a seed, named at its end.

    Parameters
    ----------
    curves : DataFrame
        As of `srlab.stats.recall.curves`.
    """
    figure = blank(DOUBLE, 3.4)
    ax = figure.subplots()
    for (model, _), own in curves.groupby(["model", "seed"], sort=False):
        ax.plot(own["step"], own["recall"], **look(model) | {"marker": "none", "linewidth": 0.9, "alpha": 0.8})
    last = curves["step"].max()
    ends = curves[curves["step"] == last].groupby("model", sort=False)["recall"].mean()
    ax.set_xlim(0, last)
    ax.set_ylim(-0.15, 1.1)
    ax.set_xlabel("step of training")
    ax.set_ylabel("recall of training images (1 − loss)")
    first = curves[curves["recall"] >= 0.5].groupby("model")["step"].min().sort_values()
    message = "When networks begin to find"
    if len(first):
        message += f": half by step {first.iloc[0]:g} ({first.index[0]}) to {first.iloc[-1]:g} ({first.index[-1]})"
    if never := len(ends) - len(first):
        message += f"; {never} of {len(ends)} never"
    tell(
        figure,
        message,
        f"A line a seed; {count(curves['seed'].nunique(), 'seed')}. Of the last {_steps(curves)} steps each.",
    )
    name_lines({ax: [Name(model, last, end, look(model)["color"]) for model, end in ends.items()]})
    return figure


def _steps(curves: pd.DataFrame) -> str:
    return f"{np.diff(np.unique([0, *curves['step']])).min():g}"


def _bars(recalled: pd.DataFrame) -> str:
    return "bars: 95 % over seeds, each by itself" if recalled["seeds"].max() > 1 else "one seed, so no interval"


def _counted(recalled: pd.DataFrame) -> str:
    """How many seeds and images, and of variants, which have more than a network's name, how many if fewer."""
    named = recalled["arm"] == recalled["model"]
    seeds, fewer = int(recalled.loc[named, "seeds"].min()), recalled.loc[~named, "seeds"].min()
    of_variants = f" ({fewer:g} of variants)" if fewer < seeds else ""
    return f"{count(seeds, 'seed')}{of_variants}, {count(int(recalled['images'].max()), 'image')} each"
