"""Recall: can a mechanism restore detail if the only intact copy lies far away and only content leads to it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, PositiveFloat, field_validator

from srlab.analysis.images import TaskImage
from srlab.chapters.recall import figures, frames
from srlab.chapters.recall.hero import recall_hero, recall_hero_narrow
from srlab.chapters.recall.images import RecallTask
from srlab.chapters.recall.looks import write_looks
from srlab.chapters.recall.measure import settings_hash
from srlab.chapters.recall.run import RecallRun
from srlab.chapters.recall.scenes import recall_images_to_show
from srlab.models.registry import entry, label, trunk_networks
from srlab.stats.rules import rules
from srlab.stats.words import between, count, estimate, listed, number, percent
from srlab.study.frames import labelled
from srlab.study.profile import BudgetChange, Value, on_the_trunk
from srlab.study.records import Record, check_rules
from srlab.study.study import Study

QUESTION = "Who finds the other tile?"
RULES = rules().recall
#: The two leagues: settings with as many keys per query as the rules say, and the papers' settings.
EQUAL, PUBLISHED = "equal keys", "published settings"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    training: BudgetChange = {}  # of the profile's budget; `patch` is the task's side
    models: tuple[str, ...] = ()  # networks on the trunk, with the profile's options; all by default
    embedding: tuple[str, ...] = ()  # of these, also the other embedding: tied, or untied
    published: dict[str, dict[str, Value]] = {}  # the papers' settings: {nlsn: {window: 144, rounds: 4}}
    rates: dict[str, PositiveFloat] = {}  # learning rates by arm ("trunk_nla tied=1"); the budget's for others
    task: RecallTask = RecallTask()  # the images to train on

    _models = field_validator("models", "embedding")(on_the_trunk)

    def arms(self) -> Iterator[tuple[str, str, dict[str, Value]]]:
        """Yield the league, the network and the options of each arm."""
        for model in self.models or trunk_networks():
            yield EQUAL, model, {}
            if model in self.embedding:
                yield EQUAL, model, {"tied": not entry(model).options["tied"]}
        for model, options in self.published.items():
            yield PUBLISHED, model, options


def recall_run(study: Study, settings: Settings, model: str, seed: int | None = None, **options: object) -> RecallRun:
    """Return the run that trains `model` on recall images; the first seed by default."""
    run = RecallRun(
        network=study.network(model, **options),
        scale=study.profile.scale,
        task=settings.task,
        settings=settings_hash(),
        budget=study.profile.budget(**settings.training, patch=settings.task.side),
        seed=study.profile.seeds[0] if seed is None else seed,
        device=study.device,
    )
    rate = settings.rates.get(study.label(run), run.budget.learning_rate)
    return run.model_copy(update={"budget": run.budget.model_copy(update={"learning_rate": rate})})


def runs(study: Study, settings: Settings) -> list[RecallRun]:
    """Return every arm from every seed, seed by seed."""
    arms = list(settings.arms())
    return [recall_run(study, settings, model, seed, **own) for seed in study.profile.seeds for _, model, own in arms]


def records(study: Study, settings: Settings) -> dict[str, dict[str, list[Record]]]:
    """Return records by league and arm: of the seeds that all arms have finished, or else of every seed, made first."""
    every = runs(study, settings)
    missing = {run.seed for run in every if not study.has(study.record(run))}
    seeds = [seed for seed in study.profile.seeds if seed not in missing] or study.profile.seeds
    found: dict[str, dict[str, list[Record]]] = {}
    for league, model, own in settings.arms():
        for seed in seeds:
            run = recall_run(study, settings, model, seed, **own)
            found.setdefault(league, {}).setdefault(study.label(run), []).append(study.obtain(run))
    return found


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute recall over distance, the groups of each league, the embeddings, single runs and training curves."""
    leagues = records(study, settings)
    check_rules([record for arms in leagues.values() for own in arms.values() for record in own], "recall")
    tiles, curves = (
        pd.concat([labelled(arms, table).assign(league=league) for league, arms in leagues.items()], ignore_index=True)
        for table in ("tiles", "curve")
    )
    seeds = frames.seeds(tiles, curves)
    return {
        "recall": frames.distances(tiles),
        "recall_groups": frames.groups(seeds),
        "recall_embedding": frames.embedding(seeds[seeds["league"] == EQUAL]),
        "recall_seeds": seeds,
        "recall_curves": frames.curves(curves),
    }


def scenes(study: Study, settings: Settings) -> dict[str, TaskImage]:
    """Return some test images, for the explorers."""
    return recall_images_to_show(lambda study, model: recall_run(study, settings, model))


def looks(study: Study, settings: Settings) -> Path | None:
    """Write where networks look on these images, for the study's page."""
    return write_looks(study, scenes(study, settings))


FIGURES = {
    "recall": figures.recall,
    "recall_groups": figures.recall_groups,
    "recall_embedding": figures.recall_embedding,
    "recall_hero": recall_hero,
    "recall_hero_narrow": recall_hero_narrow,
    "recall_keys": figures.recall_keys,
    "recall_curves": figures.recall_curves,
}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Summarise recall and invention of each arm, the groups, and pattern against embedding."""
    groups, embedding = tables["recall_groups"], tables["recall_embedding"]
    seeds, lines = int(groups["seeds"].min()), []
    for league, own in groups.groupby("league", sort=False):
        found = [
            f"- {label(row.arm)}: {estimate(row.recall, row.low, row.high, 2)}; "
            f"{estimate(row.invented, row.invented_low, row.invented_high, 2)}"
            for row in own.itertuples()
        ]
        lines.append(
            f"{league.capitalize()} ({count(seeds, 'seed')}): recall of copies {RULES.far} to {RULES.bins[-1]} LR "
            "pixels away, and invention on tiles without a copy:"
        )
        lines.append("\n".join(found))
        ranked = own[own["group"] > 0]
        if len(ranked):
            apart = "; ".join(listed([label(arm) for arm in each["arm"]]) for _, each in ranked.groupby("group"))
            lines.append(f"Groups with simultaneous {percent(RULES.level)} intervals that do not overlap: {apart}.")
    unsettled = tables["recall_seeds"].groupby("arm", sort=False)["settled"].agg(lambda settled: (~settled).sum())
    if unsettled.any():
        rising = [f"{label(arm)} ({n} of {seeds} seeds)" for arm, n in unsettled[unsettled > 0].items()]
        lines.append(f"Still rising at the end of training, so without a rank: {listed(rising)}.")
    invents = groups.loc[(groups["seeds"] >= RULES.seeds) & (groups["invented_high"] < RULES.invents), "arm"]
    if len(invents):
        lines.append(f"Write detail that they cannot know: {listed([label(arm) for arm in invents])}.")
    lines.append(
        "Recall 0 is no help and 1 a perfect copy; invention 0 leaves a tile unchanged, and −1 is random detail. "
        f"A copy in the next tile of an empty image: recall {between(groups['near'])}."
    )
    if len(embedding):
        lines.append(_pattern_or_embedding(embedding))
    if seeds < RULES.seeds:
        have = "there is 1" if seeds == 1 else f"there are {seeds}"
        lines.append(f"Groups and verdicts need {RULES.seeds} seeds; {have}.")
    return "\n\n".join(lines)


def _pattern_or_embedding(table: pd.DataFrame) -> str:
    """Word the differences between embeddings of one pattern, beside those between patterns of one embedding."""
    spread = {name: number(table[name].max() - table[name].min()) for name in ("tied", "untied")}
    found = [
        f"- {label(row.model)}: {number(row.tied)} tied, {number(row.untied)} untied, difference "
        f"{estimate(row.difference, row.low, row.high, 2)}: {row.verdict}"
        for row in table.itertuples()
    ]
    words = (
        "Pattern or embedding? One embedding for queries and keys (tied) instead of two changes a pattern's recall by "
        f"{between(table['difference'], sign=True)}"
    )
    if len(table) > 1:
        words += f"; patterns differ by up to {spread['tied']} with one, and by up to {spread['untied']} with two"
    return "\n\n".join([words + ":", "\n".join(found)])
