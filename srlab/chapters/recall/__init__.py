"""Recall: can a mechanism restore detail if the only intact copy lies far away and only content leads to it?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pydantic import BaseModel, field_validator

from srlab.analysis.images import TaskImage
from srlab.chapters.recall import figures, frames
from srlab.chapters.recall.images import RecallTask
from srlab.chapters.recall.measure import settings_hash
from srlab.chapters.recall.run import RecallRun
from srlab.chapters.recall.scenes import recall_images_to_show
from srlab.models.registry import label, trunk_networks
from srlab.stats.intervals import LEVEL, SEEDS
from srlab.stats.words import between, count, listed, number, percent
from srlab.study.frames import by_label, labelled
from srlab.study.profile import BudgetChange, Value, on_the_trunk
from srlab.study.study import Study

QUESTION = "Who finds the other tile?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    training: BudgetChange = {}  # of the profile's budget; `patch` is the task's side
    models: tuple[str, ...] = ()  # networks on the trunk; all by default
    variants: dict[str, dict[str, tuple[Value, ...]]] = {}  # from the first seed: {lcoan: {window: [24, 48]}}
    task: RecallTask = RecallTask()  # the images to train on

    _models = field_validator("models")(on_the_trunk)


def recall_run(study: Study, settings: Settings, model: str, seed: int | None = None, **options: object) -> RecallRun:
    """Return the run that trains `model` on recall images; the first seed by default."""
    return RecallRun(
        network=study.network(model, **options),
        scale=study.profile.scale,
        task=settings.task,
        settings=settings_hash(),
        budget=study.profile.budget(**settings.training, patch=settings.task.side),
        seed=study.profile.seeds[0] if seed is None else seed,
        device=study.device,
    )


def runs(study: Study, settings: Settings) -> list[RecallRun]:
    """Return every network from every seed, then the variants from the first seed."""
    models = settings.models or trunk_networks()
    variants = [
        recall_run(study, settings, model, **{option: value})
        for model, options in settings.variants.items()
        for option, values in options.items()
        for value in values
    ]
    return [recall_run(study, settings, model, seed) for model in models for seed in study.profile.seeds] + variants


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute recall by factor (`recall`), the groups of networks, their seeds, costs and training curves."""
    records = by_label(study, runs(study, settings))
    images = labelled(records, "recall")
    recall = frames.recall(images)
    return {
        "recall": recall,
        "recall_groups": frames.groups(recall),
        "recall_seeds": frames.seeds(images),
        "recall_costs": frames.costs(recall),
        "recall_curves": frames.curves(labelled(records, "curve")),
    }


def scenes(study: Study, settings: Settings) -> dict[str, TaskImage]:
    """Return an image for each distance, for the explorers."""
    return recall_images_to_show(lambda study, model: recall_run(study, settings, model))


FIGURES = {
    "recall": figures.recall,
    "recall_images": figures.recall_images,
    "recall_look": figures.recall_look,
    "recall_factors": figures.recall_factors,
    "recall_cost": figures.recall_cost,
    "recall_curves": figures.recall_curves,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Summarise recall at the distance that was chosen before the runs, and what each network invents."""
    groups, recall = tables["recall_groups"], tables["recall"]
    seeds, images = int(groups["seeds"].min()), int(groups["images"].iloc[0])
    arms = [f"{label(row.arm)} {number(row.recall)}" for row in groups.itertuples()]
    found = (
        f"Recall of one copy {frames.DISTANCE:g} LR pixels away ({count(seeds, 'seed')}, {count(images, 'image')} "
        f"each; 0 is no help, 1 a perfect copy): {listed(arms)}."
    )
    near = recall[(recall["factor"] == "beside") & recall["arm"].isin(groups["arm"])]
    invented = groups.set_index("arm")["invented"]
    worst = invented[invented < frames.INVENTS].sort_values()
    lines = [
        found if seeds >= SEEDS else f"{found} A verdict needs {SEEDS} seeds.",
        f"A copy in the next tile, without anything else in the image: recall {between(near['recall'])}.",
        "Tiles without a copy, where −1 is the score of a random tile's detail: "
        + (
            f"{listed([f'{label(arm)} {number(score)}' for arm, score in worst.items()])} write detail that they "
            f"cannot know; the others score {between(invented.drop(worst.index))}."
            if len(worst)
            else f"every network scores {between(invented)}."
        ),
    ]
    if groups["group"].max() > 1:
        apart = "; ".join(listed([label(arm) for arm in own["arm"]]) for _, own in groups.groupby("group"))
        lines.append(f"Groups with {percent(LEVEL)} intervals that do not overlap (not simultaneous): {apart}.")
    lines.append(
        "One distance and aligned tiles decide this order. Windows as wide as the distance cannot reach a copy. "
        "Networks with two embeddings (dense, FGCA, windows) learn to match later than those with one (LSP, LCoA, "
        "NLSA). The order is one of these settings at this budget, not of the mechanisms."
    )
    return "\n\n".join(lines)
