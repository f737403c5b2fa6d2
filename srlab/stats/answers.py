"""What the study found, question by question, in sentences made from its data; nothing here is typed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown

from srlab.files import write_text
from srlab.measure.limits import MEASURED
from srlab.stats.cost_frames import growth
from srlab.stats.frames import ALL, count
from srlab.stats.sentences import verdict
from srlab.stats.statistics import (
    SEEDS,
    ratio_of_medians,
)
from srlab.study.records import Record

LAYERS = "non-local layers"


def times_as_long(timing: Record, pairs: Sequence[tuple[str, str]], part: str = LAYERS) -> str:
    """How many times as long, and as much memory, the first of each pair takes as the second.

    On the largest input. Pairs of which one was not timed are left out.
    """
    times = timing.times[timing.times["part"] == part]
    times = times[times["size"] == times["size"].max()].sort_values("repeat")
    costs = timing.profile[timing.profile["part"] == part]
    peak = costs[costs["size"] == costs["size"].max()].set_index("label")["peak_mib"]
    told = []
    for first, second in pairs:
        if not {first, second} <= set(peak.index):
            continue
        rounds = (times.loc[times["label"] == label, "ms"] for label in (first, second))
        ratio = ratio_of_medians(*rounds)
        told.append(
            f"`{first}` takes {ratio:.2f} times as long as `{second}` and {peak[first] / peak[second]:.2f} "
            f"times its memory"
        )
    size = f"{times['size'].max():g}"
    return (
        f"On {size}×{size} px, {part} ({timing.run.repeats} rounds in turn, 95 % interval in brackets): "
        f"{'; '.join(told)}."
    )


def windows(backends: Record, sides: pd.DataFrame, gains: pd.DataFrame, smallest: int) -> str:
    """Where the fused kernel pays, and what larger windows gain."""
    told = []
    for side in sorted(sides["side"].unique()):
        pair = (f"{side} reference", f"{side} sdpa")
        rounds = [_rounds(backends, label) for label in pair]
        peak = sides[sides["side"] == side].set_index("backend")["peak_mib"]
        ratio = ratio_of_medians(*rounds)
        told.append(
            f"{side}×{side}: {ratio:.1f} times as long, {peak['reference'] / peak['sdpa']:.1f} times the memory"
        )
    return (
        f"The plain formula against the fused kernel, one layer, {backends.run.repeats} rounds in turn: "
        f"{'; '.join(told)}. {verdict(gains, 'side', smallest)}"
    )


def routing(costs: pd.DataFrame) -> str:
    """BRA against FGCA on the largest map, with as many chosen windows."""
    largest = costs[costs["size"] == costs["size"].max()]
    told = []
    for top, own in largest.groupby("top"):
        bra = own[own["mechanism"] == "trunk_bra"].iloc[0]
        for fgca in own[own["mechanism"] == "trunk_fgca"].itertuples():
            told.append(
                f"top {top:g}, M = {fgca.window:g}: {bra['median_ms'] / fgca.median_ms:.2f} times the time "
                f"and {bra['peak_mib'] / fgca.peak_mib:.2f} times the memory"
            )
    size = f"{largest['size'].iloc[0]:g}"
    return f"BRA against FGCA on a map of {size}×{size} px: {'; '.join(told)}."


def limits(found: pd.DataFrame) -> str:
    """Exponents of growth with their intervals, and the largest map that each mechanism took."""
    done = found[found["state"] == MEASURED]
    exponents = growth(done[done["height"] * done["width"] >= 64**2]).set_index("model")
    told = []
    for model, own in found.groupby("model", sort=False):
        taken, failed = own[own["state"] == MEASURED], own[own["state"] != MEASURED]
        grows = ""
        if model in exponents.index:
            row = exponents.loc[model]
            grows = f"time ∝ L^{row['time_exponent']:.2f}"
            if np.isfinite(row["time_low"]):
                grows += f" [{row['time_low']:.2f}, {row['time_high']:.2f}]"
            grows += ", "
        largest = f"{taken['width'].iloc[-1]}×{taken['height'].iloc[-1]} px" if len(taken) else "none"
        end = "all sizes measured" if failed.empty else f"then {failed['state'].iloc[0]}"
        told.append(f"`{model}`: {grows}largest map {largest}, {end}")
    return f"One layer alone, L pixels, 95 % interval in brackets: {'; '.join(told)}."


def roofline(costs: pd.DataFrame) -> str:
    """How far each mechanism is from the floor of its device."""
    over = (costs["median_ms"] / costs["floor_ms"]).set_axis(costs["model"]).sort_values()
    told = ", ".join(f"`{model}` {times:.1f}" for model, times in over.items())
    first = costs.iloc[0]
    return (
        f"Roofs measured in the same run: {first['gflops_per_s']:.0f} GFLOP/s and {first['gib_per_s']:.1f} "
        f"GiB/s, float32. Times over the floor that arithmetic and bytes set: {told}."
    )


def _rounds(timing: Record, label: str) -> pd.Series:
    times = timing.times[(timing.times["label"] == label) & (timing.times["part"] == LAYERS)]
    return times.sort_values("repeat")["ms"]


def _pooled(gains: pd.DataFrame) -> pd.DataFrame:
    """The rows of all benchmarks together; those of the only one, if it is one."""
    return gains[gains["benchmark"] == (ALL if (gains["benchmark"] == ALL).any() else gains["benchmark"].iloc[0])]


def _seeds(quality: pd.DataFrame) -> str:
    seeds = quality["seed"].nunique()
    if seeds < SEEDS:
        return f"With {count(seeds, 'seed')} no verdict is drawn."
    return "Where an interval (95 %, over seeds, simultaneous) holds zero, this budget cannot tell the two apart."


def answer(text: str, study_folder: Path, name: str) -> Markdown:
    """Keep what a notebook found, in a sentence or two made from its data, for the report.

    Parameters
    ----------
    text : str
        Markdown.
    study_folder : Path
        Receives answers/NAME.md.
    name : str
        The notebook's.
    """
    write_text(study_folder / "answers" / f"{name}.md", text + "\n")
    return Markdown(text)
