"""Figures of sweeps, a panel a sweep, and of recipes, a panel a network."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srlab.models.registry import label
from srlab.plots.estimates import forest, sweep
from srlab.plots.marks import from_zero
from srlab.plots.style import DOUBLE, HOUSE, bare, blank, look
from srlab.plots.text import Name, caption, name_lines
from srlab.stats.gains import paired, pooled
from srlab.stats.intervals import over_seeds
from srlab.stats.tables import NAMES
from srlab.stats.words import bar_note, count, images_and_seeds, listed, signed

#: What varies, on axes and in answers.
AXES = NAMES | {"groups": "number of units", "photographs": "training photographs", "side": "side of windows (LR px)"}
#: Columns of gains in charts and verdicts.
GAINS = {"gain_db": "value", "low_db": "low", "high_db": "high"}


def gains_of(tables: Mapping[str, pd.DataFrame], name: str, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return gains over the first value, which has 0 dB: model, x, value, low, high, seeds; and those of each seed."""
    images, gains = tables[f"{name}_images"], pooled(tables[f"{name}_gains"])
    keys = [key for key in ("model", by) if key in gains]
    gains = gains.astype({by: images[by].dtype})[[*keys, "gain_db", "low_db", "high_db", "seeds"]]
    found = images[["model", by]].drop_duplicates().merge(gains, on=keys, how="left").fillna({"gain_db": 0.0})
    each = paired(images, by, images[by].iloc[0], "model" if "model" in keys else None)
    each = each.groupby(["model", by, "seed"], sort=False)["gain_db"].mean().reset_index()
    return tuple(frame.rename(columns=GAINS | {by: "x"}) for frame in (found, each))


def compared_part(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the non-local layers, or of whole networks if one network has no such layers."""
    layers = costs[costs["part"] == "non-local layers"]
    return layers if set(layers["model"]) == set(costs["model"]) else costs[costs["part"] == "network"]


def _panel(ax: Axes, found: pd.DataFrame, by: str, words: str, dots: pd.DataFrame | None = None) -> list[Name]:
    """Draw a line a network over numbers above 0, or else a row a value; return the names of several lines."""
    zero, names = (None if words in NAMES.values() else 0.0), []
    if not pd.api.types.is_numeric_dtype(found["x"]) or found["x"].min() <= 0:
        several = bool(found["x"].duplicated().any())
        forest(ax, *(_named(each, several) for each in (found, dots) if each is not None), zero=zero)
        ax.set_xlabel(words)
        return []
    for model, own in found.sort_values("x").groupby("model", sort=False):
        sweep(ax, own, None if dots is None else dots[dots["model"] == model], model=model, zero=zero)
        names.append(Name(label(model), own["x"].iloc[-1], own["value"].iloc[-1], look(model)["color"]))
    ax.set(xlabel=AXES.get(by, by), ylabel=words)
    return names if len(names) > 1 else []


def _named(found: pd.DataFrame, several: bool) -> pd.DataFrame:
    names = [f"{each.x}, {label(each.model)}" if several else f"{each.x}" for each in found.itertuples()]
    return found.assign(name=names)


def _finish(figure: Figure, title: str, note: str, names: dict[Axes, list[Name]]) -> Figure:
    caption(figure, title, note)
    if several := {ax: own for ax, own in names.items() if own}:
        name_lines(several)
    return figure


@rc_context(HOUSE)
def sweep_quality(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the gain of each value over the first, a panel a sweep."""
    varied, names = list(tables["sweeps"].itertuples(index=False, name=None)), {}
    rows = -(-len(varied) // 3)
    figure = blank(DOUBLE, 1.9 * rows + 0.7)
    panels = list(figure.subplots(rows, min(3, len(varied)), squeeze=False).flat)
    for ax, (name, by) in zip(panels, varied, strict=False):
        found, each = gains_of(tables, name, by)
        dots = each if each["seed"].nunique() > 1 else None
        names[ax] = _panel(ax, found, by, f"gain over {found['x'].iloc[0]} (dB)", dots)
        ax.set_title(f"{name}: {listed([label(model) for model in found['model'].unique()])}")
    for ax in panels[len(varied) :]:
        bare(ax)
    images = tables[f"{varied[0][0]}_images"]
    note = f"Y-PSNR minus that of the first value, mean of {images_and_seeds(images)}; "
    note += f"{bar_note(images['seed'].nunique(), 'simultaneous within a panel; small: each seed')}."
    return _finish(figure, "Gain of each value over the first value of its option", note, names)


@rc_context(HOUSE)
def sweep_cost(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw time and peak memory by value, a row a sweep."""
    every, names = list(tables["sweeps"].itertuples(index=False, name=None)), {}
    varied = [(name, by) for name, by in every if f"{name}_costs" in tables] or every
    figure = blank(DOUBLE, 1.7 * len(varied) + 0.7)
    for axes, (name, by) in zip(figure.subplots(len(varied), 2, squeeze=False), varied, strict=True):
        costs = compared_part(tables[f"{name}_costs"]).rename(columns={by: "x"})
        times = costs.rename(columns={"q25_ms": "low", "q75_ms": "high"})
        both = {"median_ms": times, "peak_mib": costs.assign(low=costs["peak_mib"], high=costs["peak_mib"])}
        for ax, (column, own) in zip(axes, both.items(), strict=True):
            names[ax] = _panel(ax, own.assign(value=own[column]), by, NAMES[column])
            from_zero(ax, "x" if ax.get_xlabel() == NAMES[column] else "y")
            ax.set_title(f"{name}: {costs['part'].iloc[0]}")
    first = tables[f"{varied[0][0]}_costs"].iloc[0]
    note = f"LR input {first['width']}×{first['height']}; medians of {first['repeats']:g} calls; bars: quartiles."
    return _finish(figure, "Time and peak memory at each value", note, names)


@rc_context(HOUSE)
def recipes(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the change by each recipe, the one that costs most first, a panel a network."""
    table = tables["recipes"]
    chosen, models, several = table["recipe"].iloc[0], table["model"].unique(), table["seed"].nunique() > 1
    order = table[table["recipe"] != chosen].groupby("recipe")["change_db"].mean().sort_values().index
    figure = blank(DOUBLE, 1.1 + 0.18 * len(order))
    for ax, model in zip(
        figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0], models, strict=True
    ):
        own = table[table["model"] == model].assign(name=table["recipe"], value=table["change_db"])
        each = [over_seeds(own.loc[own["name"] == recipe, "value"].to_numpy()) for recipe in order]
        forest(ax, pd.DataFrame(each).assign(name=order, model=model), own if several else None)
        reached = signed(own.loc[own["name"] == chosen, "gain_db"].mean())
        ax.set(title=f"{label(model)}\n{reached} dB {chosen}", xlabel="change (dB)")
    seeds, images = table["seed"].nunique(), count(int(table["images"].iloc[0]), "image")
    note = f"Y-PSNR minus that of the recipe {chosen}; above: its gain over bicubic. {count(seeds, 'seed')}, {images}; "
    note += f"{bar_note(seeds, 'not simultaneous; small: each seed')}."
    return _finish(figure, "Change of Y-PSNR by one change of the recipe", note, {})
