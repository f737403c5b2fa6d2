"""Comparison: the quality of every network of a profile against its latency, memory and parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import BaseModel

from srlab.chapters.comparison import figures, frames
from srlab.errors import InputError
from srlab.models.registry import label, trunk_networks
from srlab.stats.gains import MARGIN, differences, late_gains, pareto, pooled
from srlab.stats.intervals import SEEDS
from srlab.stats.words import between, count, listed, number, say, signed
from srlab.study import frames as tidy
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "Which network gives the most quality for its time and memory?"
#: The network with which the others are compared.
CONTROL = "no_attention"


class Settings(BaseModel, extra="forbid", frozen=True):
    """None: the networks are the profile's `models` from its `seeds`."""


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return every network of the profile from every seed."""
    return study.comparison()


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute quality, costs, training curves, gains over the control, and the spread between seeds."""
    if CONTROL not in study.profile.models:
        raise InputError(f"models: {listed(study.profile.models)}; '{CONTROL}' is needed to compare them with")
    records = [study.obtain(run) for run in runs(study, settings)]
    quality = tidy.quality(records)
    costs = tidy.costs(records, study.obtain(study.costs()))
    bicubic = tidy.bicubic(study)
    return {
        "comparison": frames.overview(quality, costs, bicubic),
        "comparison_images": quality,
        "comparison_costs": costs,
        "comparison_curves": tidy.curves(records),
        "comparison_gains": differences(quality, reference=CONTROL),
        "comparison_pairing": frames.spreads(quality, CONTROL),
        "bicubic_images": bicubic,
        "spent": frames.spent(records),
    }


FIGURES = {
    "comparison": figures.comparison,
    "gains": figures.gains,
    "convergence": figures.convergence,
    "crops": figures.differing,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Summarise quality beside costs, gains over the control, and the limits of both."""
    found, baseline, curves = frames.summary(tables), tables["bicubic_images"], tables["comparison_curves"]
    order = found["gain_db"].sort_values(ascending=False)
    fronts = {
        words.partition(" (")[0]: listed([label(model) for model in pareto(found, cost).index])
        for cost, words in frames.COSTS.items()
    }
    gains = tidy.named(pooled(tables["comparison_gains"]))
    seeds = int(gains["seeds"].min())
    own, paired = tables["comparison_pairing"][["spread_db", "paired_spread_db"]].median()
    late = late_gains(curves).groupby("model")["late_db"].mean()
    own_design = [label(model) for model in found.index if model not in trunk_networks()]
    design = f" ({listed(own_design)} have designs and sizes of their own)" if own_design else ""
    lines = [
        f"{count(len(found), 'network')} of {between(found['kparameters'], 0)} thousand parameters differ from "
        f"bicubic enlargement ({number(baseline['psnr_y'].mean())} dB, {count(len(baseline), 'image')}) by "
        f"{between(order, sign=True)} dB. The Pareto front of mean Y-PSNR holds, against latency, "
        f"{fronts['latency']}; against memory, {fronts['peak memory']}; against parameters, {fronts['parameters']}."
        + ("" if seeds >= SEEDS else f" Fewer than {SEEDS} seeds give no verdict."),
        f"Above bicubic, in dB: {'; '.join(f'{label(model)} {signed(gain)}' for model, gain in order.items())}.",
        f"Against the trunk without attention{design}:",
        say(gains, MARGIN),
        f"Standard deviation between seeds, median over networks: {number(own, 3)} dB for the mean Y-PSNR, "
        f"{number(paired, 3)} dB for the gain over the trunk without attention."
        if np.isfinite(own)
        else "The standard deviation between seeds needs two seeds.",
        f"In the last quarter of training, PSNR of held-out patches changed by {between(late, sign=True)} dB; smaller "
        "differences may reverse with longer training. The order holds for small networks and a short training, not "
        "for the networks of the papers.",
    ]
    return "\n\n".join(lines)
