"""Context: how many dB does a trained network lose if it sees only r LR pixels around a tile?

No network is trained for this: a tile is cut off from its image beyond r pixels, and the network's error in the tile is
compared with its own error on the whole image.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, PositiveInt

from srlab.chapters.context import figures, frames
from srlab.chapters.context.run import ContextRun
from srlab.data.sources import PIECES
from srlab.models.registry import label
from srlab.stats.rules import rules
from srlab.stats.words import between, estimate, listed
from srlab.study.chapter import Tables
from srlab.study.records import check_rules
from srlab.study.study import Study

QUESTION = "How many dB lie beyond r pixels?"
RULES = rules().context
#: The radius of the headline, LR pixels.
FAR = 32


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    networks: tuple[str, ...] = ()  # released networks; all of the folder of weights by default
    trained: bool = False  # also the networks that the study trains, from their first seed
    pieces: PositiveInt = RULES.first_pieces  # of 10; each is every tenth image of a benchmark
    tile: PositiveInt = RULES.tile
    around: PositiveInt = RULES.around
    near: PositiveInt = RULES.near
    radii: tuple[int, ...] = RULES.radii


def runs(study: Study, settings: Settings) -> list[ContextRun]:
    """Return every network on each piece of each benchmark, piece by piece.

    Raises InputError if a network of the settings is not in the folder of weights.
    """
    released = study.released(study.profile.scale, settings.networks)
    networks = [("released", name, file.sha256) for name, file in released.items()]
    if settings.trained:
        seed = study.profile.seeds[0]
        networks += [("trained", study.label(run), run.hash) for run in study.comparison() if run.seed == seed]
    data = replace(study.data, train=())
    how = settings.model_dump(include={"tile", "around", "near", "radii"})
    return [
        ContextRun(
            source=source,
            network=name,
            weights=weights,
            data=data.fingerprint,
            benchmark=benchmark,
            piece=piece,
            scale=study.profile.scale,
            device=study.device,
            **how,
        )
        for piece in PIECES[: settings.pieces]
        for benchmark in data.benchmarks
        for source, name, weights in networks
        if piece < len(data.benchmarks[benchmark])
    ]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute losses with their intervals, verdicts, and the comparison of tiles with and without repeats far away."""
    made = study.obtain_or_keep(runs(study, settings), "context-*")
    order = {name: place for place, name in enumerate(study.profile.benchmarks)}
    made.sort(key=lambda record: (-record.run.scale, order.get(record.run.benchmark, 0), record.run.network))
    if settings.radii == RULES.radii:
        check_rules(made, "context")
    images = frames.images(made)
    losses = frames.losses(images)
    return {
        "context": losses,
        "context_verdicts": frames.verdicts(losses),
        "context_where": frames.where(images),
    }


FIGURES = {"context": figures.context, "context_fillings": figures.fillings, "context_where": figures.where}


def answer(tables: Tables) -> str:
    """Summarise from which radius on nothing is lost, where a loss is certain, and whether repeats matter."""
    verdicts, losses = tables["context_verdicts"], tables["context"]
    lines = []
    for benchmark, own in verdicts.groupby("benchmark", sort=False):
        found = []
        for network, judged in own.groupby("network", sort=False):
            nothing = judged[judged["verdict"] == "nothing"]["radius"]
            lost, far = judged[judged["verdict"] == "loss"], judged[judged["radius"] == FAR]
            words = [label(network)]
            if len(lost):
                last = lost.loc[lost["radius"].idxmax()]
                span = between([last["least_db"], last["most_db"]])
                words.append(f"loses {span} dB beyond {last['radius']:.0f} LR pixels")
            if len(nothing):
                words.append(f"loses nothing beyond {nothing.min():.0f}")
            elif not len(lost):
                words.append("is undecided at every radius")
            if (far["verdict"] == "undecided").any():
                ends = between([far["low_db"].min(), far["high_db"].max()], 3)
                words.append(f"at {FAR} the intervals span {ends} dB")
            found.append(" ".join([words[0], ", ".join(words[1:])]))
        lines.append(f"{benchmark} ({figures.images(own)}): {'; '.join(found)}.")
    lines.append(
        f"“Nothing” means that with each of three fillings the simultaneous 95 % interval lies within "
        f"±{RULES.margin_db:g} dB; a loss is certain if each of these intervals lies above zero. Real pixels beyond r "
        "were replaced by a mirror, by another image, or by the image's own blocks in random order."
    )
    at = losses[losses["radius"].eq(FAR) & losses["filling"].isin(RULES.fillings)]
    if len(at):
        widest = at.loc[(at["high_db"] - at["low_db"]).idxmax()]
        lines.append(
            f"Widest interval at {FAR} LR pixels: {label(widest['network'])} on {widest['benchmark']}, "
            f"{widest['filling']}, {estimate(widest['loss_db'], widest['low_db'], widest['high_db'])} dB."
        )
    compared = tables["context_where"]
    compared = compared[compared["radius"].gt(0) & compared["pairs"].gt(1)]
    if len(compared):
        apart = compared[(compared["low_db"] > 0) | (compared["high_db"] < 0)]
        cells = [f"{label(row.network)} at {row.radius} ({row.benchmark})" for row in apart.itertuples()]
        lines.append(
            f"Tiles with repeats at least {RULES.near} LR pixels away lose more or less than tiles without in "
            f"{len(apart)} of {len(compared)} cells{': ' + listed(cells) if cells else ''}. Only "
            f"{between(compared['pairs'], 0)} pairs of tiles a benchmark are alike in bicubic error; intervals reach "
            f"±{(compared['high_db'] - compared['low_db']).max() / 2:.2f} dB, so this shows little."
        )
    return "\n\n".join(lines)
