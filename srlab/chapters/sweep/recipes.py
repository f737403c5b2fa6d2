"""Recipes: tables and verdict on networks trained with one thing of the profile's recipe changed at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from srlab.models.registry import label
from srlab.stats.gains import over_bicubic
from srlab.stats.intervals import SEEDS, over_seeds
from srlab.stats.words import between, count, estimate, listed, signed
from srlab.study.records import Record


def by_recipe(made: Sequence[tuple[str, Record]], bicubic: pd.DataFrame) -> pd.DataFrame:
    """Compute the gain of each run over bicubic, and its change against the first recipe.

    Columns: recipe, model, seed, run, gain_db (mean over images), change_db, steps, batch, patch, seconds, images.
    """
    rows = []
    for recipe, record in made:
        run, budget = record.run, record.run.budget
        gains = over_bicubic(record.table("images"), bicubic)["gain_db"]
        row = {"recipe": recipe, "model": run.network.model, "seed": run.seed, "run": run.hash}
        row |= {"gain_db": gains.mean(), "steps": budget.steps, "batch": budget.batch, "patch": budget.patch}
        rows.append(row | {"seconds": record.facts["seconds"], "images": len(gains)})
    frame = pd.DataFrame(rows)
    first = frame[frame["recipe"] == frame["recipe"].iloc[0]].set_index(["model", "seed"])["gain_db"]
    by = pd.MultiIndex.from_frame(frame[["model", "seed"]])
    frame.insert(5, "change_db", frame["gain_db"] - first.loc[by].to_numpy())
    return frame


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarise :func:`by_recipe`, a recipe a row.

    Columns: recipe, steps, batch, patch, each model (dB over bicubic, mean over seeds), change_db (mean over models),
    seconds (of training, all models), run (all of the row).
    """
    by = frame.groupby("recipe", sort=False)
    gains = frame.pivot_table("gain_db", "recipe", "model", sort=False).round(2)
    first, seconds = by[["steps", "batch", "patch"]].first(), by["seconds"].sum().round().astype(int)
    means = by["change_db"].mean().to_frame().assign(seconds=seconds, run=by["run"].agg(" ".join))
    return first.join(gains).join(means).reset_index()


def answer(table: pd.DataFrame) -> list[str]:
    """Report the gain of the chosen recipe, and the changes by the others, the costliest first."""
    chosen, images, seeds = table["recipe"].iloc[0], int(table["images"].iloc[0]), table["seed"].nunique()
    reached = table[table["recipe"] == chosen].groupby("model", sort=False)["gain_db"].mean()
    means = table[table["recipe"] != chosen].groupby(["recipe", "seed"])["change_db"].mean().unstack()
    found = [(name, over_seeds(own, len(means))) for name, own in zip(means.index, means.to_numpy(), strict=True)]
    found.sort(key=lambda each: each[1].value)
    by_model = listed([f"{label(model)} {signed(gain)}" for model, gain in reached.items()])
    ends = between([change.value for _, change in found], sign=True)
    verdict = f"{SEEDS} seeds are needed for a verdict."
    if seeds >= SEEDS:
        verdict = f"{sum(change.excludes_zero for _, change in found)} of {len(found)} changes are significant."
    opening = (
        f"By the recipe {chosen}, networks end {between(reached)} dB above bicubic: {by_model} "
        f"({count(seeds, 'seed')}, {count(images, 'image')}). One change moves their mean by {ends} dB. {verdict}"
    )
    return [opening, "\n".join(f"- {name}: {estimate(*change, digits=2)} dB" for name, change in found)]
