"""Figures of the comparison."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from srlab.analysis.contrasts import contrast
from srlab.chapters.comparison.frames import COSTS, summary
from srlab.models.registry import label
from srlab.plots.charts import front, lines, points
from srlab.plots.estimates import forest
from srlab.plots.images import crops
from srlab.plots.marks import from_zero
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import Name, caption, name_lines, name_points
from srlab.stats.gains import MARGIN, late_gains, pareto, pooled
from srlab.stats.words import bar_note, count, images_and_seeds, number
from srlab.study.frames import averaged, image_gains, named
from srlab.study.study import Study

#: Side of the part in the crops, LR pixels.
SIDE = 32


@rc_context(HOUSE)
def comparison(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the gain over bicubic enlargement against latency, memory and parameters, with Pareto fronts."""
    found = named(summary(tables).reset_index()).assign(y=lambda rows: rows["value"])
    seeds = tables["comparison_images"]["seed"].nunique()
    if seeds > 1:
        found = found.assign(y_low=found["lowest_db"], y_high=found["highest_db"])
    figure = blank(DOUBLE, 3.9)
    panels = figure.subplots(1, 3, sharey=True)
    names = {}
    for ax, (cost, words) in zip(panels, COSTS.items(), strict=True):
        own = found.assign(x=found[cost])
        front(ax, pareto(own, "x", "y"), until=own["x"].max())
        if cost == "median_ms":
            own = own.assign(x_low=own["q25_ms"], x_high=own["q75_ms"])
        names[ax] = points(ax, own)
        from_zero(ax, "x")
        ax.margins(y=0.12)
        ax.set_xlabel(words)
    panels[0].set_ylabel("Y-PSNR − bicubic (dB)")
    upright = "upright bars: lowest to highest seed" if seeds > 1 else "no upright bars with one seed"
    timed = found.iloc[0]
    note = f"Mean of {images_and_seeds(tables['comparison_images'])}; {upright}. Latency and memory: whole network, "
    note += f"one LR image of {timed['width']:g}×{timed['height']:g} pixels, median of "
    note += f"{count(int(timed['repeats']), 'call')}; level bars: quartiles. Grey: Pareto front."
    caption(figure, "Gain over bicubic enlargement against latency, memory and parameters", note)
    name_points(names)
    return figure


@rc_context(HOUSE)
def gains(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the gain of every network over the trunk without attention, a panel a benchmark."""
    found, dots = named(tables["comparison_gains"]), image_gains(tables["comparison_images"])
    order = pooled(found).sort_values("gain_db", ascending=False)["model"]
    benchmarks = list(dots["benchmark"].unique())
    figure = blank(DOUBLE, 0.24 * len(order) + 1.4)
    [panels] = figure.subplots(1, len(benchmarks), sharey=True, squeeze=False)
    for ax, benchmark in zip(panels, benchmarks, strict=True):
        own = found[found["benchmark"] == benchmark].set_index("model").loc[order].reset_index()
        forest(ax, own, dots[dots["benchmark"] == benchmark], margin=MARGIN, clip=True)
        ax.set(title=f"{benchmark} ({count(int(own['images'].iloc[0]), 'image')})", xlabel="gain in Y-PSNR (dB)")
    seeds = int(found["seeds"].min())
    note = f"Large: mean; small: each image (mean of {count(seeds, 'seed')}), arrows beyond the axis; "
    note += f"{bar_note(seeds, 'simultaneous in a panel')}. Grey: gains within ±{MARGIN:g} dB count as no effect."
    caption(figure, "Gain of each network over the trunk without attention", note)
    return figure


@rc_context(HOUSE)
def convergence(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw PSNR on held-out patches in training, and its gain in the last quarter of the steps."""
    curves = tables["comparison_curves"]
    late = named(late_gains(curves), value="late_db")
    figure = blank(DOUBLE, 3.6)
    psnr, gained = figure.subplots(1, 2, width_ratios=[3, 2])
    _validation(psnr, named(curves))
    forest(gained, averaged(late).sort_values("value", ascending=False), late)
    gained.set_xlabel("gain of the last quarter (dB)")
    seeds = curves["seed"].nunique()
    band = f"Line: mean of {count(seeds, 'seed')}, band: lowest to highest" if seeds > 1 else "One seed, no band"
    note = f"{band}; colours and markers as at the right. PSNR of RGB patches with their borders: its order can differ "
    note += "from that of Y-PSNR on whole images."
    caption(figure, "PSNR of held-out patches in training, and what the last quarter of the steps added", note)
    return figure


@rc_context(HOUSE)
def training(curves: pd.DataFrame) -> Figure:
    """Draw PSNR on held-out patches in training, a line a seed, of `srlab.study.frames.curves`."""
    figure = blank(DOUBLE, 2.9)
    ax = figure.subplots()
    names = _validation(ax, curves.assign(name="seed " + curves["seed"].astype(str)))
    models = ", ".join(label(model) for model in curves["model"].unique())
    note = "A line a seed. PSNR of RGB patches by averaged weights, borders included."
    caption(figure, f"PSNR of held-out patches in training: {models}", note)
    name_lines({ax: names})
    return figure


def _validation(ax: Axes, curves: pd.DataFrame) -> list[Name]:
    """Draw validation PSNR by step, a line and its range over seeds a name; the first rise is cut off."""
    steps = curves.groupby(["name", "model", "step"], sort=False)["validation_psnr"].agg(["mean", "min", "max"])
    found = steps.reset_index().rename(columns={"step": "x", "mean": "y", "min": "y_low", "max": "y_high"})
    if curves["seed"].nunique() == 1:
        found = found.drop(columns=["y_low", "y_high"])
    names = lines(ax, found)
    ax.set_ylim(bottom=curves.groupby("name")["validation_psnr"].quantile(0.25).min())
    ax.set(xlabel="step of training", ylabel="RGB-PSNR of held-out patches (dB)")
    return names


def where_most_differs(study: Study, networks: dict[str, nn.Module | None], side: int = SIDE) -> Figure:
    """Draw the part of the study's photographs, `side` LR pixels a side, where networks differ most.

    Networks are by the name to show; None is bicubic interpolation.
    """
    part = contrast(networks, study.pictures, study.profile.scale, side)
    note = f"×{study.profile.scale}, first seed. Box: {side}×{side} LR pixels with the largest standard deviation of Y "
    note += f"over networks (mean {number(part.spread, 1)} of 255 levels). PSNR: Y of the part. Below: SR − HR of Y, "
    note += "red too light, blue too dark."
    return crops(part, "The part of the photographs where the networks differ most", note)


def differing(study: Study, settings: object) -> Figure:
    """Draw where the networks of the comparison differ most, beside bicubic enlargement."""
    runs = [study.training(model) for model in study.profile.models]
    networks = {label(run.network.model): study.obtain_weights(run).network() for run in runs}
    return where_most_differs(study, {"bicubic": None} | networks)
