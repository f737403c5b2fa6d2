"""Ablation: do trained networks use their attention? Its weights are altered at test time; everything else stays."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, PositiveInt
from tqdm.auto import tqdm

from srlab.chapters.ablation import figures
from srlab.chapters.ablation import losses as frames
from srlab.chapters.ablation.altered import CHANGES, OWN, SHUFFLED, UNIFORM, attention_layers
from srlab.chapters.ablation.run import AblatedRun
from srlab.data.sources import PIECES
from srlab.models.registry import label
from srlab.stats.gains import MARGIN
from srlab.stats.words import between, count, estimate, listed, say
from srlab.study.chapter import Tables
from srlab.study.frames import named, quality
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "Do trained networks use their attention?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings for released networks; trained ones are those of the comparison and of the branched experiment."""

    networks: tuple[str, ...] = ()  # released networks with attention; none by default
    side: PositiveInt = 64  # LR pixels of the middle of each image; the largest window of HiT-SRF
    pieces: PositiveInt = 2  # of 10; each is every tenth image of a benchmark


def experiments(study: Study) -> dict[str, list[TrainingRun]]:
    """Return the profile's runs by experiment."""
    found = {"from scratch": study.comparison(), "branched": study.branches()}
    return {name: runs for name, runs in found.items() if runs}


def ablated(study: Study, settings: Settings) -> list[AblatedRun]:
    """Return every released network on each piece of each benchmark; none without a folder of weights."""
    scale, data = study.profile.scale, replace(study.data, train=())
    released = study.released(scale, settings.networks) if settings.networks else {}
    return [
        AblatedRun(
            network=name,
            weights=released[name].sha256,
            data=data.fingerprint,
            benchmark=benchmark,
            piece=piece,
            side=settings.side,
            scale=scale,
            device=study.device,
        )
        for name in settings.networks
        if name in released
        for piece in PIECES[: settings.pieces]
        for benchmark, refs in data.benchmarks.items()
        if piece < len(refs)
    ]


def runs(study: Study, settings: Settings) -> list[Run]:
    """Return every network from scratch, every branched arm, and the runs of released networks."""
    return [run for runs in experiments(study).values() for run in runs] + ablated(study, settings)


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute the losses of trained networks, if the profile has some, and of released ones, if the settings do."""
    found = trained(study) if experiments(study) else {}
    if settings.networks:
        made = study.obtain_or_keep(ablated(study, settings), "ablated-*")
        order = {name: place for place, name in enumerate(settings.networks)}
        made.sort(key=lambda record: (order.get(record.run.network, len(order)), record.run.benchmark))
        found["ablation_released"] = frames.released(made)
    return found


def trained(study: Study) -> dict[str, pd.DataFrame]:
    """Compute what networks lose from each seed (`ablation`), on average, and beside what attention gains."""
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
    return {"ablation": frames.seeds(drops), "ablation_losses": losses, "ablation_gains": frames.gains(images, losses)}


FIGURES = {"ablation": figures.ablation, "ablation_released": figures.released}


def answer(tables: Tables) -> str:
    """Summarise what trained and released networks lose, as far as there are tables of them."""
    texts = {"ablation_losses": of_trained, "ablation_released": of_released}
    return "\n\n".join(text(tables[name]) for name, text in texts.items() if name in tables)


def of_trained(losses: pd.DataFrame) -> str:
    """Summarise what networks lose by uniform weights, with verdicts, and by the other changes."""
    losses = named(losses)
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


def of_released(losses: pd.DataFrame) -> str:
    """Summarise what networks opened from files lose by each change, and list the significant losses."""
    digits = 2 if losses["drop_db"].abs().max() >= 1 else 3
    cells = losses["network"].map(label) + " on " + losses["benchmark"]
    cells += [f" {estimate(*cell, digits)}" for cell in losses[["drop_db", "low_db", "high_db"]].to_numpy()]
    lines = []
    for change, own in losses.groupby("change", sort=False):
        found = cells[own.index[own["significant"]]].to_list()
        span = f"- {change}: {between(own['drop_db'], digits, sign=True)} dB."
        lines.append(f"{span} Significant: {listed(found)}." if found else f"{span} No loss is significant.")
    images = count(int(losses["images"].min()), "image")
    head = (
        f"**Networks from files of weights**, Y-PSNR lost in dB ({images} a benchmark). Losses are significant in "
        f"{losses['significant'].sum()} of {len(losses)} cells. No effect beyond ±{MARGIN:g} dB in "
        f"{losses['equal'].sum()}. Brackets hold simultaneous 95 % intervals over images."
    )
    return "\n\n".join([head, "\n".join(lines)])
