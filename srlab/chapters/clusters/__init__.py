"""Clusters: what only k-means has: evenness of clusters, their content, and the movement of centroids in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
from pydantic import BaseModel, Field, PositiveInt

from srlab.chapters.clusters import figures, frames
from srlab.models.on_trunk import UnitInterval
from srlab.stats.words import count, listed, number, percent
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "Do clusters collapse, and what do they hold?"
#: Photographs to divide.
IMAGES = 8


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    clusters: tuple[PositiveInt, ...] = Field((16, 64), min_length=1)  # LCoA's k
    windows: tuple[PositiveInt, ...] = ()  # w, in tokens
    # Factors λ of the centroids' moving average, beside centroids that stay frozen after the first batch.
    decays: tuple[UnitInterval, ...] = ()


def arms(study: Study, settings: Settings) -> dict[str, dict[str, list[TrainingRun]]]:
    """Return the runs of every seed by arm, in groups: `clusters`, `window`, `centroids`."""
    k = {f"k = {each}": {"clusters": each} for each in settings.clusters}
    w = {f"w = {each}": {"window": each} for each in settings.windows}
    update = {f"λ = {each:g}": {"ema_decay": each} for each in settings.decays}
    frozen = {"frozen": {"centroid_update": "frozen"}} if update else {}
    groups = {"clusters": k, "window": w, "centroids": frozen | update}
    return {
        group: {arm: study.over_seeds("lcoan", **options) for arm, options in own.items()}
        for group, own in groups.items()
        if own
    }


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return the runs of every arm."""
    return [run for group in arms(study, settings).values() for own in group.values() for run in own]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute evenness and drift of each group of networks, and other ways of k-means for the largest k.

    The tables: GROUP_evenness; of runs that kept centroids GROUP_drift, clusters_training; cluster_ways_sizes and
    cluster_ways_evenness.
    """
    refs, found = study.pictures[:IMAGES], {}
    for group, own in arms(study, settings).items():
        records = {arm: [study.obtain(run) for run in runs] for arm, runs in own.items()}
        found[f"{group}_evenness"] = frames.evenness(records, refs)
        if group != "window":
            found[f"{group}_drift"] = frames.drift(records)
        if group == "clusters":
            found["clusters_training"] = frames.evenness_over_training(records, refs)
            widest = records[f"k = {max(settings.clusters)}"]
            found["cluster_ways_sizes"], found["cluster_ways_evenness"] = frames.ways(widest, refs)
    return {name: table for name, table in found.items() if len(table)}


FIGURES = {
    "cluster_evenness": figures.cluster_evenness,
    "cluster_ways": figures.cluster_ways,
    "cluster_drift": figures.cluster_drift,
    "cluster_maps": figures.cluster_maps,
    "typical_patches": figures.typical,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Report evenness by k, the cause of empty clusters, and the movement of centroids."""
    paragraphs = [_evenness(tables["clusters_evenness"]), _ways(tables["cluster_ways_sizes"])]
    if "window_evenness" in tables:
        pure = _medians(tables["window_evenness"], "pure_windows", percent)
        paragraphs.append(f"Windows with a single cluster: {pure}.")
    moved = [tables[name] for name in ("clusters_drift", "centroids_drift") if name in tables]
    if moved:
        paragraphs.append(_drift(pd.concat(moved)))
    if "clusters_training" in tables:
        training = tables["clusters_training"]
        shares = _medians(training[training["step"] == training["step"].min()], "elsewhere", percent)
        paragraphs.append(f"Tokens that the first step's centroids have in another cluster than the last: {shares}.")
    return "\n\n".join(paragraphs)


def _medians(table: pd.DataFrame, column: str, words: Callable[[float], str]) -> str:
    """List the median of each arm."""
    medians = table.groupby("arm", sort=False)[column].median()
    return listed([f"{words(value)} ({arm})" for arm, value in medians.items()])


def _evenness(table: pd.DataFrame) -> str:
    images, seeds = count(table["name"].nunique(), "image"), count(table["seed"].nunique(), "seed")
    return (
        f"Clusters without a token in an image: {_medians(table, 'empty', '{:g}'.format)}. Gini coefficient of sizes "
        f"(0: all equal): {_medians(table, 'gini', number)}. Windows with a single cluster, so with neighbours in "
        f"reading order: {_medians(table, 'pure_windows', percent)} (medians over {images} and {seeds})."
    )


def _ways(sizes: pd.DataFrame) -> str:
    middle = figures.ways_together(sizes).groupby("way", sort=False)[["empty", "largest", "effective"]].median()
    lines = [
        f"- {row.Index}: {row.empty:g} empty, {percent(row.largest)} of the tokens in the largest, "
        f"{number(row.effective, 1)} effective clusters"
        for row in middle.itertuples()
    ]
    times = middle.loc["anew from points", "effective"] / middle["effective"].iloc[0]
    said = f"K-means anew from points makes {number(times, 1)} times as many effective clusters of the same tokens"
    said += ", so the tokens do not force uneven clusters" if times > 1.5 else ", so the tokens are uneven themselves"
    said += f". The start and the update are not separated. All images together, k = {sizes['clusters'].iloc[0]}:"
    return "\n".join([said, "", *lines])


def _drift(table: pd.DataFrame) -> str:
    last = table[table["step"] == table["step"].max()]
    return (
        f"From step {table['step'].min()} to {last['step'].iloc[0]} the median centroid turned by "
        f"{_medians(last, 'median', '{:.1f}°'.format)}. Centroids at rest since the kept step before: "
        f"{_medians(last, 'still', percent)}."
    )
