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
from srlab.stats.frames import ALL, count, differences
from srlab.stats.sentences import signed, verdict
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


def swept(gains: pd.DataFrame, option: str, reference: object, costs: pd.DataFrame, even: pd.DataFrame) -> str:
    """What an option does to quality, time, memory and the clusters."""
    alone = costs[costs["part"] == LAYERS].sort_values(option)
    first, last = alone.iloc[0], alone.iloc[-1]
    gini = even.groupby(option)[["gini", "pure_windows"]].median()
    return (
        f"{verdict(gains, option, reference)} From {option} {first[option]} to {last[option]} the non-local "
        f"layers take {first['median_ms']:.1f} to {last['median_ms']:.1f} ms and {first['peak_mib']:.1f} to "
        f"{last['peak_mib']:.1f} MiB; the Gini coefficient of cluster sizes goes from "
        f"{gini['gini'].iloc[0]:.2f} to {gini['gini'].iloc[-1]:.2f}, and the share of tokens whose window is "
        f"all of one cluster from {gini['pure_windows'].iloc[0]:.0%} to {gini['pure_windows'].iloc[-1]:.0%} "
        "(medians)."
    )


def centroids(gains: pd.DataFrame, reference: str, drift: pd.DataFrame, even: pd.DataFrame) -> str:
    """What the update of centroids does to quality, drift and evenness."""
    turned = drift.groupby("update", sort=False)["degrees"].median()
    gini = even.groupby("update", sort=False)["gini"].median()
    told = "; ".join(f"{update}: {turned[update]:.1f}°, {gini[update]:.2f}" for update in turned.index)
    return (
        f"{verdict(gains, 'update', reference)} How far the median centroid turned in training, and the "
        f"median Gini coefficient of cluster sizes: {told}."
    )


def depth(similarity: pd.DataFrame, gains: pd.DataFrame, reference: object) -> str:
    """How alike layers are, and what computing weights anew more seldom does to quality."""
    told = []
    apart = similarity[similarity["first"] < similarity["second"]]
    for (model, kind), own in apart.groupby(["model", "kind"], sort=False):
        words = "CKA of features" if kind == "features" else "cosine of maps"
        near = own.loc[own["second"] - own["first"] == 1, "similarity"].mean()
        far = own.loc[own["second"] - own["first"] == (own["second"] - own["first"]).max(), "similarity"].mean()
        told.append(f"`{model}`, {words}: {near:.2f} between neighbours, {far:.2f} between the first and the last")
    return (
        f"{'; '.join(told)} (means over {count(similarity['image'].nunique(), 'image')} and "
        f"{count(similarity['seed'].nunique(), 'seed')}; where a network shares its weights the cosine is 1 "
        f"by construction, and where weights are nearly even it is near 1 whatever they say). "
        f"{verdict(gains, 'renewed', reference)}"
    )


def units(quality: pd.DataFrame, costs: pd.DataFrame) -> str:
    """What more units gain and cost, and what attention gains at each number of them."""
    network = costs[costs["part"] == "network"].set_index(["model", "groups"])["median_ms"]
    numbers = sorted(quality["groups"].unique())
    told = []
    gains = _pooled(differences(quality, "groups", numbers[0], within="model"))
    for row in gains[gains["groups"] == numbers[-1]].itertuples():
        told.append(
            f"`{row.model}` with {numbers[-1]} units instead of {numbers[0]}: {signed(row)} dB at "
            f"{network[row.model, numbers[-1]] / network[row.model, numbers[0]]:.1f} times the latency"
        )
    gains = _pooled(differences(quality, within="groups")).sort_values("groups")
    attention = [f"{row.groups}: {signed(row)}" for row in gains.itertuples()]
    return (
        f"{'; '.join(told)}. What attention (`lcoan` − `no_attention`) gains at each number of units: "
        f"{', '.join(attention)} dB. {_seeds(quality)}"
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


def photographs(quality: pd.DataFrame) -> str:
    """What each network gains from more photographs."""
    counts = sorted(quality["photographs"].unique())
    gains = _pooled(differences(quality, "photographs", counts[0], within="model"))
    most = gains[gains["photographs"] == counts[-1]]
    told = [f"`{row.model}` {signed(row)} dB" for row in most.itertuples()]
    return (
        f"From {counts[0]} to {counts[-1]} photographs: {'; '.join(told)}. {_seeds(quality)} Each set was "
        f"drawn once: what is peculiar to its photographs is in the difference and not in the interval."
    )


def recipes(changes: pd.DataFrame) -> str:
    """What the chosen recipe reaches, which change of it costs most, and which cost nothing that can be seen.

    Parameters
    ----------
    changes : DataFrame
        Of :func:`srlab.stats.recipes.by_recipe`.
    """
    names = list(changes["recipe"].unique())
    chosen = changes[changes["recipe"] == names[0]].groupby("model", sort=False)["gain_db"].mean()
    means = changes.groupby("recipe", sort=False)["change_db"].mean().loc[names[1:]].sort_values()
    told = ", ".join(f"{name} {change:+.2f} dB" for name, change in means.items())
    worst = changes.loc[changes["gain_db"].idxmin()]
    fewest = changes.loc[changes["recipe"] == names[0], "gain_db"]
    by_model = ", ".join(f"`{model}` {gain:+.2f}" for model, gain in chosen.items())
    images, seeds = int(changes["images"].iloc[0]), changes["seed"].nunique()
    return (
        f"By the recipe as chosen {count(len(chosen), 'network')} end {fewest.min():.2f} to {fewest.max():.2f} dB "
        f"above bicubic ({by_model}; {count(images, 'image')}, {count(seeds, 'seed')}). "
        f"With one thing changed at a time their mean changes by: {told}. The lowest of all, `{worst['model']}` "
        f"with “{worst['recipe']}”, ends {worst['gain_db']:+.2f} dB from bicubic."
        + (" With one seed, differences of a tenth of a dB may be chance." if seeds == 1 else "")
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
