"""Frames become sentences that claim no more than the spread allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from srlab.analysis.centroids import (
    ClusterMap,
    ClusterView,
    total_sizes,
    typical_patches,
)
from srlab.analysis.sorting import effective
from srlab.stats.frames import ALL, count
from srlab.stats.statistics import SEEDS, Estimate
from srlab.study.records import Record


def measured_cost(record: Record) -> str:
    """What a record's times and memory are measurements of."""
    on, costs = record.facts["environment"], record.profile
    sizes = ", ".join(f"1×3×{size}×{size}" for size in sorted(costs["size"].unique().tolist()))
    return (
        f"**How cost is measured.** On {on['name']} ({on['kind']}, {on['threads']} threads, torch "
        f"{on['torch']}), float32, LR inputs of shape {sizes}; {costs['warmup'].iloc[0]:.0f} warm-up and "
        f"{costs['repeats'].iloc[0]:.0f} timed calls, of which median and quartiles are given; peak memory "
        f"is what a call holds beyond what was there before it. The non-local layers alone run one after "
        f"another on random features of their width."
    )


#: What options are called in sentences.
WORDS = {
    "clusters": "k =",
    "window": "w =",
    "update": "centroids with",
    "renewed": "weights computed anew every n layers with n =",
    "side": "windows of side",
}


def verdict(differences: pd.DataFrame, by: str = "model", reference: object = "no_attention") -> str:
    """What may be said about mean gains: which intervals leave out zero, and how far the others reach.

    Of several benchmarks, about all of them together.
    """
    if (differences["benchmark"] == ALL).any():
        differences = differences[differences["benchmark"] == ALL]
    seeds = int(differences["seeds"].min())
    low, high = (f"{gain:+.3f}" for gain in (differences["gain_db"].min(), differences["gain_db"].max()))
    span = f"{low} dB" if low == high else f"between {low} and {high} dB"
    found = f"mean gain in Y-PSNR over {WORDS.get(by, by)} `{reference}` is {span}"
    if seeds < SEEDS:
        return (
            f"**No verdict.** The {found}, but {count(seeds, 'seed')} cannot tell a network from its luck: "
            f"{SEEDS} or more can."
        )
    apart = differences[differences["told_apart"]]
    others = differences[~differences["told_apart"]]
    told = [f"The {found}, over {seeds} seeds."]
    if len(apart):
        each = "; ".join(
            f"`{getattr(row, by)}` is {'better' if row.gain_db > 0 else 'worse'} {_on(row.benchmark)}, {signed(row)} dB"
            for row in apart.itertuples()
        )
        family = count(len(differences), "comparison")
        told.append(f"**Told apart** (95 % intervals over seeds, simultaneous for {family}): {each}.")
    if len(others):
        names = ", ".join(f"`{value}`" for value in others[by])
        widest = np.ceil(1000 * others[["low_db", "high_db"]].abs().to_numpy().max()) / 1000
        told.append(f"**Not told apart** within ±{widest:.3f} dB: {names}.")
    return " ".join(told)


def _on(benchmark: str) -> str:
    return "on all benchmarks" if benchmark == ALL else f"on {benchmark}"


def signed(row: object) -> str:
    """The gain of a row of `srlab.stats.differences` with its interval, where it has one."""
    return f"{Estimate(row.gain_db, row.low_db, row.high_db):+.3f}"


NOT_KEPT = "not recorded: the run kept no centroids of its training"


def describe_typical(maps: Sequence[ClusterMap], clusters: Sequence[int], columns: int = 10, side: int = 15) -> str:
    """How much the clusters that `patch_sheet` shows hold, and where their typical tokens lie, in words."""
    sizes = total_sizes(maps)
    patches = [each for cluster in clusters for each in typical_patches(maps, cluster, columns, side)]
    shapes = [each.clusters.shape for each in maps]
    outermost = [
        patch.row in (0, shapes[patch.image][0] - 1) or patch.col in (0, shapes[patch.image][1] - 1)
        for patch in patches
    ]
    rim = sum(2 * (height + width) - 4 for height, width in shapes) / sizes.sum()
    edge = "."
    if np.mean(outermost) > 2 * rim:
        edge = ": clusters tell the image's edge, at which convolutions see padding, from the rest."
    return (
        f"Of {count(len(sizes), 'cluster')} {np.count_nonzero(sizes)} are in use in "
        f"{count(len(maps), 'image')}, and the {len(clusters)} shown hold "
        f"{sizes[list(clusters)].sum() / sizes.sum():.1%} of all tokens. Of the {len(patches)} typical "
        f"tokens {np.mean(outermost):.0%} lie on the outermost pixels of their image, of all tokens "
        f"{rim:.0%}{edge}"
    )


def describe_cluster(view: ClusterView) -> str:
    """One cluster at one step, in a sentence."""
    size, tokens = view.now.sizes[view.cluster], view.now.sizes.sum()
    held = (
        f"{view.title} at step {view.step}: cluster {view.cluster} holds {size:,} of {tokens:,} tokens "
        f"({size / tokens:.1%})"
    )
    if view.drift is None:
        return f"{held}; its drift was {NOT_KEPT}."
    at = view.drift[view.drift["step"] == view.step].set_index("cluster")["from_first"]
    return (
        f"{held}; its centroid has turned by {at[view.cluster]:.1f}° since step {view.drift['step'].min()} "
        f"(median of all {at.median():.1f}°)."
    )


def describe_ways(sizes: pd.DataFrame, evenness: pd.DataFrame) -> str:
    """How evenly each way of k-means divides the same tokens, and what leaves clusters empty, in words.

    Parameters
    ----------
    sizes, evenness : DataFrame
        As of `srlab.analysis.centroids.ways`, of one k.
    """
    each = sizes.groupby(["way", "seed"], sort=False)["tokens"]
    tokens, k = each.sum().iloc[0], sizes["clusters"].iloc[0]
    found = pd.DataFrame(
        {
            "empty": each.agg(lambda held: (held == 0).sum()),
            "largest": each.max() / tokens,
            "effective": each.agg(lambda held: effective(held.to_numpy())),
        }
    )
    middle = found.groupby("way", sort=False).median()
    image = evenness.groupby("way", sort=False)[["empty", "effective"]].median()
    lines = [
        f"- **{way}**: {row['empty']:g} of {k} clusters are empty, the largest holds {row['largest']:.1%}, "
        f"and all are as even as {row['effective']:.1f} of one size; in a single image "
        f"{image.loc[way, 'empty']:g} are empty, and they are as even as {image.loc[way, 'effective']:.1f}"
        for way, row in middle.iterrows()
    ]
    times = middle["effective"] / middle["effective"].iloc[0]
    _, iterated, reseeded, points, spread = times
    said = "the tokens themselves lie unevenly"
    if points > 1.5:
        said = "what makes clusters uneven is where training left the centroids, not the tokens or the start"
    return "\n".join(
        [
            f"{tokens:,} tokens of {count(evenness['name'].nunique(), 'image')}, "
            f"{count(sizes['seed'].nunique(), 'seed')} (medians):",
            "",
            *lines,
            "",
            f"Counted as clusters of one size, the same tokens fill {points:.1f} times as many when divided "
            f"anew from points ({spread:.1f} times by k-means++): {said}. More iterations from the trained "
            f"centroids fill {iterated:.1f} times as many, with re-seeding {reseeded:.1f} times.",
        ]
    )


def describe_drift(records: Sequence[Record], drift: pd.DataFrame, evenness: pd.DataFrame) -> str:
    """How centroids moved in training and what came of it, in words.

    Parameters
    ----------
    records : sequence of Record
        Those that were asked for; of which none was kept is said.
    drift, evenness : DataFrame
        As of `srlab.analysis.centroids.drift` and `evenness_over_training`.
    """
    lines = []
    missing = [r.run.name for r in records if r.run.hash not in set(drift["run"])]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        lines.append(f"- Not recorded, since these runs kept no centroids: {names}.")
    for k, own in drift.groupby("clusters"):
        begin, end = own["step"].min(), own["step"].max()
        low, middle, high = own.loc[own["step"] == end, "from_first"].quantile([0.25, 0.5, 0.75])
        still = (own.loc[own["step"] == end, "from_previous"] == 0).mean()
        before = own.loc[own["step"] < end, "step"].max()
        images = evenness[evenness["clusters"] == k]
        at = images.groupby("step")[["gini", "elsewhere"]].median()
        lines.append(
            f"- k = {k}: from step {begin} to {end} half of the centroids turned by {middle:.1f}° or more "
            f"(quartiles {low:.1f}° and {high:.1f}°); {still:.0%} stood still from step {before} on (a "
            f"centroid moves only by tokens that are its own). By the centroids of step {begin}, "
            f"{at.loc[begin, 'elsewhere']:.1%} of tokens would be in another cluster; the Gini coefficient "
            f"goes from {at.loc[begin, 'gini']:.3f} to {at.loc[end, 'gini']:.3f} (medians over "
            f"{count(images['name'].nunique(), 'image')}, {count(own['run'].nunique(), 'run')})."
        )
    return "\n".join(lines)
