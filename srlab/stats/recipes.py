"""What a recipe does: networks trained by it, and with one thing of it changed at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from srlab.stats.frames import over_bicubic
from srlab.study.records import Record


def by_recipe(sweep: Mapping[str, Sequence[Record]], bicubic: pd.DataFrame) -> pd.DataFrame:
    """What networks gain by each recipe, and by how much that is less than by the first.

    Parameters
    ----------
    sweep : mapping of str to sequence of Record
        Training runs by recipe; the first recipe is the one that the others change.
    bicubic : DataFrame
        Evaluation of bicubic enlargement, with `benchmark`.

    Returns
    -------
    DataFrame
        recipe, model, seed, run; gain_db over bicubic (Y-PSNR, mean over images) and change_db (of it, against
        the first recipe, same model and seed); steps, batch, patch (LR pixels), seconds, images.
    """
    rows = []
    for recipe, records in sweep.items():
        for record in records:
            run, budget = record.run, record.run.budget
            gains = over_bicubic(record.images, bicubic)["gain_db"]
            row = {"recipe": recipe, "model": run.network.model, "seed": run.seed, "run": run.hash}
            row |= {"gain_db": gains.mean()}
            row |= {"steps": budget.steps, "batch": budget.batch, "patch": budget.patch}
            rows.append(row | {"seconds": record.facts["seconds"], "images": len(gains)})
    frame = pd.DataFrame(rows)
    first = frame[frame["recipe"] == frame["recipe"].iloc[0]].set_index(["model", "seed"])["gain_db"]
    by = pd.MultiIndex.from_frame(frame[["model", "seed"]])
    frame.insert(5, "change_db", frame["gain_db"] - first.loc[by].to_numpy())
    return frame


def changes(frame: pd.DataFrame) -> pd.DataFrame:
    """A recipe a row: what each network gains over bicubic by it, and how it changes their mean.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`by_recipe`.

    Returns
    -------
    DataFrame
        recipe, steps, batch, patch, a column a model (dB over bicubic, mean over seeds), change_db (mean over
        models), seconds (of training, all models), run (all of the row).
    """
    by = frame.groupby("recipe", sort=False)
    gains = frame.pivot_table("gain_db", "recipe", "model", sort=False).round(2)
    facts = by.agg(
        steps=("steps", "first"), batch=("batch", "first"), patch=("patch", "first"),
        change_db=("change_db", "mean"), seconds=("seconds", "sum"), run=("run", " ".join),
    )  # fmt: skip
    facts["seconds"] = facts["seconds"].round().astype(int)
    left, right = facts[["steps", "batch", "patch"]], facts[["change_db", "seconds", "run"]]
    return left.join(gains).join(right).reset_index()
