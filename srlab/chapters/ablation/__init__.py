"""Ablation: do trained networks use their attention? Its weights are altered at test time; everything else stays."""

from __future__ import annotations

import pandas as pd
from pydantic import BaseModel
from tqdm.auto import tqdm

from srlab.chapters.ablation import figures
from srlab.chapters.ablation import losses as frames
from srlab.chapters.ablation.altered import CHANGES, OWN, SHUFFLED, UNIFORM, attention_layers
from srlab.stats.gains import MARGIN
from srlab.stats.words import between, count, listed, say
from srlab.study.chapter import Tables
from srlab.study.frames import named, quality
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "Do trained networks use their attention?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """None: the networks are those of the comparison and of the branched experiment."""


def experiments(study: Study) -> dict[str, list[TrainingRun]]:
    """Return the profile's runs by experiment."""
    found = {"from scratch": study.comparison(), "branched": study.branches()}
    return {name: runs for name, runs in found.items() if runs}


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return every network from scratch and every branched arm."""
    return [run for runs in experiments(study).values() for run in runs]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute what networks lose on each image (`ablation`), on average, and beside what attention gains."""
    drops, images, crops = [], {}, frames.crops(study.data.benchmarks, study.profile.scale)
    for experiment, own in experiments(study).items():
        records = [study.obtain(run) for run in own]
        labels = {run.hash: study.label(run) for run in own}
        images[experiment] = quality(records).assign(model=lambda found, labels=labels: found["run"].map(labels))
        for record in tqdm(records, desc=f"altered attention, {experiment}", unit="network"):
            network, run = record.network(), record.run
            if attention_layers(network):
                lost = frames.lost(network, crops, run.scale)
                facts = {"experiment": experiment, "model": labels[run.hash], "seed": run.seed, "run": run.hash}
                drops.append(pd.DataFrame(facts, index=lost.index).join(lost))
    drops = pd.concat(drops, ignore_index=True)
    losses = frames.losses(drops)
    return {"ablation": drops, "ablation_losses": losses, "ablation_gains": frames.gains(images, losses)}


FIGURES = {"ablation": figures.ablation}


def answer(tables: Tables) -> str:
    """Summarise what networks lose by uniform weights, with verdicts, and by the other changes."""
    losses = named(tables["ablation_losses"])
    losses = losses.assign(value=-losses["drop_db"], low=-losses["high"], high=-losses["low"])
    ranges, parts = [], []
    for experiment, own in losses.groupby("experiment", sort=False):
        by_change = {change: own[own["change"] == change] for change in CHANGES}
        span = {change: f"{between(rows['value'], 3, sign=True)} dB" for change, rows in by_change.items()}
        ranges.append(f"{span[UNIFORM]} ({experiment})")
        crops, seeds = count(int(own["images"].iloc[0]), "crop"), count(int(own["seeds"].min()), "seed")
        parts += [
            f"**{experiment.capitalize()}**, change of Y-PSNR by uniform weights ({crops}, {seeds}):",
            say(by_change[UNIFORM], MARGIN),
            f"By shuffled keys {span[SHUFFLED]}, by the own 7×7 only {span[OWN]}.",
        ]
    lost = losses.query("change == @UNIFORM and significant and value < 0")["name"].to_list()
    found = f"Networks with a significant loss: {listed(lost)}." if lost else "No loss is significant."
    first = f"Uniform weights change Y-PSNR by {listed(ranges)}. {found} Without a loss, choosing keys gains nothing."
    return "\n\n".join([first, *parts])
