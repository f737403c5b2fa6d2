"""The study's headline findings: sentences for README and the report, each made from tables and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from srlab.findings.frames import ALL, MARGIN, count, late_gains
from srlab.findings.recall import VALUE
from srlab.findings.statistics import SEEDS
from srlab.findings.verdicts import LOOKS
from srlab.looking.at_work import UNIFORM
from srlab.study.claims_timing import OURS

#: Networks as their papers build them: more than attention parts them from the trunk.
OWN = ("esc", "sscan", "hit_srf")
#: Layers whose operations grow as the number of pixels L, by construction.
LINEAR = ("lspn", "lcoan", "nlsn", "enlcn", "windown", "convattnn", "fgcan")


@dataclass(frozen=True)
class Headline:
    """One finding.

    Attributes
    ----------
    pages : tuple of str
        The notebooks whose answers say more.
    tables : tuple of str
        What it is made from. Where a profile has not all of them, it has no such finding.
    tell : callable
        Makes the sentences of these tables; "" where they lack what it compares.
    """

    pages: tuple[str, ...]
    tables: tuple[str, ...]
    tell: Callable[..., str]


def reached(table: pd.DataFrame, curves: pd.DataFrame) -> str:
    """How far above bicubic enlargement networks end, and whether training had settled."""
    bicubic = table[table["model"] == "bicubic"].set_index("benchmark")["psnr_y"]
    networks = table[table["model"] != "bicubic"]
    gains = networks.assign(
        sum_db=(networks["psnr_y"] - networks["benchmark"].map(bicubic)) * networks["images"]
    )
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
    """What attention adds to a trained trunk."""
    return (
        f"**Does attention add to a trained trunk?** Attached to {count(int(gains['seeds'].min()), 'trunk')}, "
        f"against going on without it: {judged(gains, 'arm')}. All intervals lie within "
        f"±{gains[['low_db', 'high_db']].abs().to_numpy().max():.3f} dB."
    )


def claimed(rows: pd.DataFrame) -> str:
    """Which verdict the papers' claims got."""
    told = []
    for kind in LOOKS:
        own = rows[rows["verdict"] == kind]
        if len(own):
            told.append(f"{len(own)} {kind}")
    return (
        f"**Do the papers' claims hold here?** Of {count(len(rows), 'comparison')} for "
        f"{count(rows['id'].nunique(), 'claim')}: {', '.join(told)}."
    )


def crossings(curves: pd.DataFrame) -> str:
    """From which size of map on LCoA's layers are faster than their rivals', and as much faster as claimed."""
    judged_at = curves[(curves["id"] == "lcoa-time") & (curves["code"] == OURS) & curves["judged"]]
    told = []
    for row in judged_at.itertuples():
        first, claim = (
            "never" if np.isnan(pixels) else f"from {round(pixels**0.5)}² px on"
            for pixels in (row.from_no_effect, row.from_claim)
        )
        told.append(f"`{row.against}` faster {first}, by the claimed {row.claimed:.0f} % {claim}")
    if not told:
        return ""
    return f"**From which size on does LCoA save time?** By our code, its ten layers against ten of {'; '.join(told)}."


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
    return (
        f"**Is attention at work?** What {UNIFORM} make of networks, in place of their own. {' '.join(told)}"
    )


def pattern(timing: pd.DataFrame) -> str:
    """What the sparse pattern and sharing do to time, and storing weights to both."""
    layers = timing[timing["part"] == "non-local layers"]
    layers = layers[layers["size"] == layers["size"].max()].set_index("model")
    if "nlan" not in layers.index:
        return ""

    def ratio(column: str, first: str, second: str) -> float:
        return layers.loc[first, column] / layers.loc[second, column]

    arms = {"lspn": "the sparse pattern alone", "nlan_shared": "sharing alone", "lcoan": "both"}
    told = [
        f"{words} (`{arm}`) {ratio('median_ms', arm, 'nlan'):.2f}"
        for arm, words in arms.items()
        if arm in layers.index
    ]
    stored = [
        f"`{model}` {ratio('median_ms', f'{model} (stored)', model):.2f} times the time and "
        f"{ratio('peak_mib', f'{model} (stored)', model):.1f} times the memory"
        for model in ("lcoan", "nlan_shared")
        if f"{model} (stored)" in layers.index
    ]
    size = f"{layers['size'].iloc[0]:g}"
    return (
        f"**Sparse or shared?** Of the time of dense attention (`nlan`, {size}×{size} px) these shares remain: "
        f"{', '.join(told)}."
    ) + (f" Weights that are stored instead of computed again cost {'; '.join(stored)}." if stored else "")


def found(groups: pd.DataFrame) -> str:
    """Which networks give back detail whose only copy lies far away, by groups that intervals keep apart."""
    place = f"Of lost detail whose only copy lies {VALUE:g} LR pixels away, networks give back"
    if groups["seeds"].min() < SEEDS:
        told = f"{_shares(groups['recall'])}, of {count(int(groups['seeds'].min()), 'seed')}, which gives no verdict"
    else:
        told = "; ".join(
            f"{_named(own, 'arm')} {_shares(own['recall'])}" for _, own in groups.groupby("group", sort=True)
        )
        told += f" ({count(int(groups['group'].max()), 'group')}; 95 % intervals over seeds touch within groups only)"
    return f"**Who finds the other tile?** {place}: {told}."


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
    told = [
        f"{side}×{side} {plain.loc[side, 'median_ms'] / fused.loc[side, 'median_ms']:.1f} times the time and "
        f"{plain.loc[side, 'peak_mib'] / fused.loc[side, 'peak_mib']:.1f} times the memory"
        for side in sorted(fused.index)
    ]
    return (
        f"**Do large windows pay?** The plain formula costs, against the fused kernel, at {', '.join(told)}. In "
        f"quality, against the smallest windows: {judged(gains, 'side')}."
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
        f"**Growth.** From {_side(limits['from_px'])} px on, layers that are linear in the pixels by "
        f"construction measure time ∝ L^{linear.min():.2f} (`{linear.idxmin()}`) to L^{linear.max():.2f} "
        f"(`{linear.idxmax()}`){others}. The linear ones measure {low:.2f} to {high:.2f} from "
        f"{_side(small['from_px'])} to {_side(small['to_px'])} px, where a call's fixed costs weigh: an "
        f"exponent is of its sizes only."
    )


def kinds(gains: pd.DataFrame) -> str:
    """On which kinds of image attention gains."""
    each = gains[gains["benchmark"] != ALL]
    on = each.assign(where=each["model"] + " on " + each["benchmark"])
    return f"**Does any kind of image gain?** Against the trunk without attention: {judged(on, 'where')}."


HEADLINES = (
    Headline(("18_branched",), ("branched_gains",), branched),
    Headline(("claims",), ("claims",), claimed),
    Headline(("claims",), ("cost_claims",), crossings),
    Headline(("19_recall",), ("recall_groups",), found),
    Headline(("06_comparison",), ("comparison", "comparison_curves"), reached),
    Headline(("06_comparison",), ("comparison_gains",), attention),
    Headline(("17_at_work",), ("at_work_losses",), at_work),
    Headline(("02_lsp_and_coa", "05_time_and_memory"), ("timing",), pattern),
    Headline(
        ("03_clusters", "04_window", "08_centroids", "09_depth_of_sharing"),
        ("clusters_gains", "window_gains", "centroids_gains", "depth_gains"),
        options,
    ),
    Headline(("11_windows_and_routing",), ("backends_costs", "sides_gains"), windows),
    Headline(("12_scale_and_size", "05_time_and_memory"), ("limits_growth", "growth"), growth),
    Headline(("13_kinds_of_image",), ("kinds_gains",), kinds),
)


def judged(gains: pd.DataFrame, by: str) -> str:
    """What may be said about mean gains, in as few words as name every one that is told apart.

    Of several benchmarks, about all of them together. A gain whose whole interval lies within the margin of
    `srlab/study/claims.yaml` is no effect, even if the interval leaves out zero.

    Parameters
    ----------
    gains : DataFrame
        As of `srlab.findings.differences`.
    by : str
        The column that names what is compared.
    """
    if (gains["benchmark"] == ALL).any():
        gains = gains[gains["benchmark"] == ALL]
    seeds = int(gains["seeds"].min())
    if seeds < SEEDS:
        span = _span(*(f"{gain:+.3f}" for gain in gains["gain_db"].agg(["min", "max"])))
        return f"{span}, of {count(seeds, 'seed')}, which gives no verdict"
    none = (gains["low_db"] >= -MARGIN) & (gains["high_db"] <= MARGIN)
    apart = gains["told_apart"] & ~none
    better, worse = gains[apart & (gains["gain_db"] > 0)], gains[apart & (gains["gain_db"] < 0)]
    open_ = gains[~none & ~apart]
    told = [_found(own, by, word) for own, word in ((better, "better"), (worse, "worse")) if len(own)]
    if none.any():
        told.append(f"{_named(gains[none], by)}: no effect beyond ±{MARGIN:g} dB")
    if len(open_):
        widest = open_[["low_db", "high_db"]].abs().to_numpy().max()
        told.append(f"{len(open_)} of {len(gains)} not told apart (95 % intervals within ±{widest:.2f} dB)")
    return "; ".join(told)


def _found(own: pd.DataFrame, by: str, word: str) -> str:
    span = _span(*(f"{gain:.3f}" for gain in own["gain_db"].abs().agg(["min", "max"])))
    return f"{_named(own, by)} {word}, by {span}"


def _span(low: str, high: str) -> str:
    return f"{low} dB" if low == high else f"{low} to {high} dB"


def _shares(shares: pd.Series) -> str:
    low, high = (f"{max(share, 0):.2f}" for share in shares.agg(["min", "max"]))
    return low if low == high else f"{low} to {high}"


def _named(own: pd.DataFrame, by: str) -> str:
    return ", ".join(f"`{value}`" for value in own[by])


def _side(pixels: pd.Series) -> str:
    side = round(pixels.iloc[0] ** 0.5)
    return f"{side}×{side}"


def headlines(study_folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """The findings that a study's tables hold: sentences, in Markdown, and the pages that say more."""
    found = []
    for headline in HEADLINES:
        files = [study_folder / "tables" / f"{name}.csv" for name in headline.tables]
        if all(file.is_file() for file in files):
            found.append((headline.tell(*(pd.read_csv(file) for file in files)), headline.pages))
    return [(sentences, pages) for sentences, pages in found if sentences]
