"""The study's headline findings: sentences for README and the report, each made from tables and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from srlab.analysis.at_work import UNIFORM
from srlab.stats import recall
from srlab.stats.branched import LOCAL
from srlab.stats.frames import ALL, count, late_gains
from srlab.stats.judging import FEW, judged
from srlab.stats.statistics import SEEDS
from srlab.stats.verdicts import CONFIRMED, LOOKS
from srlab.study.claims_timing import OURS

#: Networks as their papers build them: more than attention parts them from the trunk.
OWN = ("esc", "sscan", "hit_srf")
#: Layers whose operations grow as the number of pixels L, by construction.
LINEAR = ("trunk_lsp", "lcoan", "nlsn", "enlcn", "trunk_window", "trunk_conv_attn", "trunk_fgca")


@dataclass(frozen=True)
class Headline:
    """One finding.

    Attributes
    ----------
    pages : tuple of str
        The notebooks whose answers say more.
    figure : str
        The one that shows it.
    tables : tuple of str
        What it is made from. Where a profile has not all of them, it has no such finding.
    tell : callable
        Makes the sentences of these tables; "" where they lack what it compares.
    """

    pages: tuple[str, ...]
    figure: str
    tables: tuple[str, ...]
    tell: Callable[..., str]


class Finding(NamedTuple):
    """What a study's tables hold of a headline.

    Attributes
    ----------
    sentences : str
        Markdown.
    pages : tuple of str
        The notebooks whose answers say more.
    figure : str
        The one that shows it.
    """

    sentences: str
    pages: tuple[str, ...]
    figure: str


def reached(table: pd.DataFrame, curves: pd.DataFrame) -> str:
    """How far above bicubic enlargement networks end, and whether training had settled."""
    bicubic = table[table["model"] == "bicubic"].set_index("benchmark")["psnr_y"]
    networks = table[table["model"] != "bicubic"]
    gains = networks.assign(sum_db=(networks["psnr_y"] - networks["benchmark"].map(bicubic)) * networks["images"])
    by_model = gains.groupby("model", sort=False)
    gain = by_model["sum_db"].sum() / by_model["images"].sum()
    late = late_gains(curves).groupby("model", sort=False)["late_db"].mean()
    return (
        f"**How far do they get?** Networks end {gain.min():.2f} (`{gain.idxmin()}`) to {gain.max():.2f} dB "
        f"(`{gain.idxmax()}`) above bicubic enlargement; in the last quarter of training PSNR of held-out patches "
        f"still rose by {late.min():z.2f} to {late.max():z.2f} dB."
    )


def attention(gains: pd.DataFrame) -> str:
    """What attention does to quality on the trunk, where nothing else differs."""
    trunk = gains[~gains["model"].isin(OWN)]
    return (
        f"**Does attention buy quality?** On the trunk, against the same trunk without attention: "
        f"{judged(trunk, 'model')}."
    )


def branched(gains: pd.DataFrame) -> str:
    """What attention adds to a trained trunk; the second control, which looks no further, is none."""
    gains = gains[gains["arm"] != LOCAL]
    return (
        f"**Does attention add to a trained trunk?** Attached to {count(int(gains['seeds'].min()), 'trunk')}, "
        f"against going on without it: {judged(gains, 'arm')}."
    )


def claimed(rows: pd.DataFrame) -> str:
    """Which verdict the papers' claims got, about quality and about costs."""
    rows = rows.assign(about=np.where(rows["quantity"] == "psnr_gain_db", "quality", "time and memory"))
    told = []
    for about, own in rows.groupby("about"):
        counts = own["verdict"].value_counts()
        each = [f"{counts.get(kind, 'none')} {kind}" for kind in LOOKS if kind in counts or kind == CONFIRMED]
        told.append(f"about {about} {', '.join(each)}")
    return (
        f"**Do the papers' claims hold here?** Of {count(len(rows), 'comparison')} for "
        f"{count(rows['id'].nunique(), 'claim')}: {'; '.join(told)}."
    )


def crossings(curves: pd.DataFrame) -> str:
    """From which size of map on LCoA's layers are as much faster than their rivals' as claimed, or faster at all."""
    judged_at = curves[(curves["id"] == "lcoa-time") & (curves["code"] == OURS) & curves["judged"]]
    if judged_at.empty:
        return ""
    claim = f"the claimed {judged_at['claimed'].iloc[0]:.0f} %"
    told: dict[str, list[str]] = {
        f"{claim} against": [],
        f"time, but never {claim}, against": [],
        "nothing against": [],
    }
    as_claimed, faster, never = told.values()
    for row in judged_at.itertuples():
        if np.isfinite(row.from_claim):
            as_claimed.append(f"`{row.against}` from {_map(row.from_claim)} px on")
        elif np.isfinite(row.from_no_effect):
            faster.append(f"`{row.against}` from {_map(row.from_no_effect)} px on")
        else:
            never.append(f"`{row.against}`")
    said = "; ".join(f"{what} {', '.join(rivals)}" for what, rivals in told.items() if rivals)
    return f"**From which size of map on does LCoA save time?** By our code its ten layers save {said}."


def at_work(losses: pd.DataFrame) -> str:
    """Whether networks lose anything when their attention weights choose nothing."""
    uniform = losses[losses["change"] == UNIFORM]
    changed = uniform.assign(
        benchmark=ALL, gain_db=-uniform["drop_db"], low_db=-uniform["high_db"], high_db=-uniform["low_db"]
    )
    told = [
        f"{experiment.capitalize()}: {judged(own, 'model')}."
        for experiment, own in changed.groupby("experiment", sort=False)
    ]
    return f"**Is attention at work?** What {UNIFORM} make of networks, in place of their own. {' '.join(told)}"


def pattern(timing: pd.DataFrame) -> str:
    """What the sparse pattern and sharing do to time, and storing weights to both."""
    layers = timing[timing["part"] == "non-local layers"]
    layers = layers[layers["size"] == layers["size"].max()].set_index("model")
    if "trunk_nla" not in layers.index:
        return ""

    def ratio(column: str, first: str, second: str) -> float:
        return layers.loc[first, column] / layers.loc[second, column]

    arms = {"trunk_lsp": "the sparse pattern alone", "trunk_nla_shared": "sharing alone", "lcoan": "both"}
    told = [
        f"{words} (`{arm}`) {ratio('median_ms', arm, 'trunk_nla'):.2f}"
        for arm, words in arms.items()
        if arm in layers.index
    ]
    stored = [
        f"`{model}` {ratio('median_ms', f'{model} (stored)', model):.2f} times the time and "
        f"{ratio('peak_mib', f'{model} (stored)', model):.1f} times the memory"
        for model in ("lcoan", "trunk_nla_shared")
        if f"{model} (stored)" in layers.index
    ]
    size = f"{layers['size'].iloc[0]:g}"
    return (
        f"**Sparse or shared?** Of the time of dense attention (`trunk_nla`, {size}×{size} px) these shares remain: "
        f"{', '.join(told)}."
    ) + (f" Weights that are stored instead of computed again cost {'; '.join(stored)}." if stored else "")


#: What the pattern's options are called where a sentence begins.
OPTIONS = {
    "clusters": "Number of clusters k",
    "window": "Window w",
    "update": "Update of centroids",
    "renewed": "Weights computed anew every n layers",
}


def options(*gains: pd.DataFrame) -> str:
    """What the pattern's options do to quality."""
    by = [next(option for option in OPTIONS if option in table) for table in gains]
    told = [f"{OPTIONS[option]}: {judged(table, option)}." for option, table in zip(by, gains, strict=True)]
    return f"**Do k, w, λ and the depth of sharing matter to quality?** {' '.join(told)}"


def windows(costs: pd.DataFrame, gains: pd.DataFrame) -> str:
    """From which side on fused windows pay, and what larger ones gain."""
    plain, fused = (costs[costs["backend"] == backend].set_index("side") for backend in ("reference", "sdpa"))
    longer, more = (plain[column] / fused[column] for column in ("median_ms", "peak_mib"))
    pays, largest = longer.index[longer > 1], longer.index.max()
    start = f"from windows of {pays.min()}×{pays.min()} on" if len(pays) else "at no side that was measured"
    return (
        f"**Do large windows pay?** The fused kernel saves time {start}; at {largest}×{largest} the plain formula takes "
        f"{longer[largest]:.1f} times as long and {more[largest]:.1f} times the memory. In quality, against the smallest "
        f"windows: {judged(gains, 'side')}."
    )


def growth(limits: pd.DataFrame, sizes: pd.DataFrame) -> str:
    """How time grows with the pixels L: exponents depend on which sizes they are of."""
    is_linear = limits["model"].isin(LINEAR)
    linear = limits[is_linear].set_index("model")["time_exponent"]
    if linear.empty:
        return ""
    others = "".join(f", `{row.model}` L^{row.time_exponent:.2f}" for row in limits[~is_linear].itertuples())
    small = sizes[(sizes["part"] == "non-local layers") & sizes["model"].isin(linear.index)]
    low, high = small["time_exponent"].agg(["min", "max"])
    return (
        f"**Growth.** From {_map(limits['from_px'].iloc[0])} px on, layers that are linear in the pixels by "
        f"construction measure time ∝ L^{linear.min():.2f} (`{linear.idxmin()}`) to L^{linear.max():.2f} "
        f"(`{linear.idxmax()}`){others}. The linear ones measure {low:.2f} to {high:.2f} from "
        f"{_map(small['from_px'].iloc[0])} to {_map(small['to_px'].iloc[0])} px, where a call's fixed costs weigh: an "
        f"exponent is of its sizes only."
    )


def kinds(gains: pd.DataFrame) -> str:
    """On which kinds of image attention gains."""
    each = gains[gains["benchmark"] != ALL]
    on = each.assign(where=each["model"] + " on " + each["benchmark"])
    return f"**Does any kind of image gain?** Against the trunk without attention: {judged(on, 'where')}."


def recipe(changes: pd.DataFrame) -> str:
    """Which changes of the recipe cost most."""
    means = changes.groupby("recipe", sort=False)["change_db"].mean()
    worst = means.iloc[1:].nsmallest(FEW)
    told = ", ".join(f"{name} ({change:+.2f} dB)" for name, change in worst.items())
    seeds = changes["seed"].nunique()
    verdict = "" if seeds >= SEEDS else f"; {count(seeds, 'seed')}, which gives no verdict on small differences"
    return (
        f"**What makes small networks learn?** Of {count(len(means) - 1, 'change')} to the recipe, one at a time, "
        f"these cost most of what {count(changes['model'].nunique(), 'network')} gain over bicubic enlargement "
        f"({changes.loc[changes['recipe'] == means.index[0], 'gain_db'].mean():.2f} dB): {told}{verdict}."
    )


HEADLINES = (
    Headline(("18_branched",), "branched", ("branched_gains",), branched),
    Headline(("claims",), "claims", ("claims",), claimed),
    Headline(("claims",), "cost_claims", ("cost_claims",), crossings),
    Headline(("19_recall",), "recall", ("recall_groups",), recall.headline),
    Headline(("06_comparison",), "comparison", ("comparison", "comparison_curves"), reached),
    Headline(("06_comparison",), "gains", ("comparison_gains",), attention),
    Headline(("17_at_work",), "at_work", ("at_work_losses",), at_work),
    Headline(("02_lsp_and_coa", "05_time_and_memory"), "sharing", ("timing",), pattern),
    Headline(
        ("03_clusters", "04_window", "08_centroids", "09_depth_of_sharing"),
        "clusters",
        ("clusters_gains", "window_gains", "centroids_gains", "depth_gains"),
        options,
    ),
    Headline(("11_windows_and_routing",), "backends", ("backends_costs", "sides_gains"), windows),
    Headline(("12_scale_and_size", "05_time_and_memory"), "limits", ("limits_growth", "growth"), growth),
    Headline(("13_kinds_of_image",), "kinds", ("kinds_gains",), kinds),
    Headline(("16_recipe",), "recipes", ("recipes",), recipe),
)


def _map(pixels: float | np.integer) -> str:
    side = round(pixels**0.5)
    return f"{side}×{side}"


def headlines(study_folder: Path) -> list[Finding]:
    """The findings that a study's tables hold, the foremost first."""
    found = []
    for headline in HEADLINES:
        files = [study_folder / "tables" / f"{name}.csv" for name in headline.tables]
        if all(file.is_file() for file in files):
            sentences = headline.tell(*(pd.read_csv(file) for file in files))
            found.append(Finding(sentences, headline.pages, headline.figure))
    return [finding for finding in found if finding.sentences]
