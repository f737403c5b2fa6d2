"""Ceiling: how much could any use of far matches add to an SR image?

A fuser that gets a neighbourhood from far away is compared with the same fuser that gets its own neighbourhood twice.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, PositiveInt

from srlab.chapters.ceiling import figures, frames
from srlab.chapters.ceiling.fusers import Fuser
from srlab.chapters.ceiling.run import HR, Base, FuseRun, MatchRun
from srlab.data.sources import PIECES
from srlab.stats.rules import rules
from srlab.stats.words import between, count, estimate
from srlab.study.chapter import Tables
from srlab.study.records import check_rules
from srlab.study.study import Study

QUESTION = "What is there to be found far away?"
RULES = rules().ceiling


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    networks: tuple[str, ...] = ()  # released networks that refine bicubic's SR, beside bicubic itself
    trained: bool = False  # also the trunk without attention that the study trains, its first seed
    pieces: PositiveInt = RULES.first_pieces  # of 10; each is every tenth image of a benchmark
    places: PositiveInt = RULES.places
    distances: tuple[PositiveInt, ...] = RULES.distances
    fusers: tuple[Fuser, ...] = ("ridge", "cnn")
    steps: PositiveInt = RULES.steps


def bases(study: Study, settings: Settings) -> list[Base]:
    """Return every SR that is refined; none if the settings name released networks and there is no folder of weights.

    Raises InputError if a network of the settings is not in the folder of weights.
    """
    found = [Base(source="bicubic", name="bicubic")]
    if settings.trained:
        found.append(Base(source="trained", name="no_attention", weights=study.training("no_attention").hash))
    if settings.networks:
        released = study.released(study.profile.scale, settings.networks)
        found += [Base(source="released", name=name, weights=file.sha256) for name, file in released.items()]
        return found if released else []
    return found


def runs(study: Study, settings: Settings) -> list[MatchRun | FuseRun]:
    """Return the matches in HR and in every SR, piece by piece, then the fusers."""
    data, scale, own = replace(study.data, train=()), study.profile.scale, bases(study, settings)
    how = settings.model_dump(include={"places", "distances"})
    how |= {"data": data.fingerprint, "scale": scale, "device": study.device}
    fused = [
        FuseRun(
            base=base,
            benchmark=benchmark,
            pieces=tuple(piece for piece in PIECES[: settings.pieces] if piece < len(refs)),
            fuser=fuser,
            steps=settings.steps,
            **how,
        )
        for fuser in settings.fusers
        for benchmark, refs in data.benchmarks.items()
        for base in own
    ]
    matched = {match.hash: match for run in fused for pair in run.matches() for match in pair}.values()
    return [*sorted(matched, key=lambda match: PIECES.index(match.piece)), *fused]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute gains with their intervals, verdicts, and how good the matches are."""
    made = study.obtain_or_keep(runs(study, settings), "ceiling-*")
    if settings.distances == RULES.distances:
        check_rules(made, "ceiling")
    matched, fused = ([record for record in made if isinstance(record.run, kind)] for kind in (MatchRun, FuseRun))
    gains = frames.gains(frames.images(fused))
    return {
        "ceiling": gains,
        "ceiling_verdicts": frames.verdicts(gains),
        "ceiling_matches": frames.matches(matched),
    }


FIGURES = {"ceiling": figures.ceiling, "ceiling_distances": figures.distances}


def answer(tables: Tables) -> str:
    """Summarise what far matches add, whether the control sees, and what this says of the claims."""
    gains, verdicts, matched = (tables[name] for name in ("ceiling", "ceiling_verdicts", "ceiling_matches"))
    nearest = gains["distance"].min()
    near, judged, matched = (frame[frame["distance"] == nearest] for frame in (gains, verdicts, matched))
    lines = [f"A match at least {nearest} LR pixels away adds to the SR of", ""]
    for (benchmark, fuser), own in near.groupby(["benchmark", "fuser"], sort=False):
        found = own[own["content"] == "SR"].set_index(["base", "match"])
        words = [
            f"{figures.shown(base)} {_said(found.loc[base, 'seen'])} matched in SR, "
            f"{_said(found.loc[base, 'perfect'])} matched in HR"
            for base in own["base"].unique()
        ]
        images = count(int(own["images"].min()), "image")
        lines.append(f"- {benchmark}, {figures.FUSERS[fuser]}, {images}: {'; '.join(words)}.")
    control = near[(near["match"] == "perfect") & (near["content"] == "HR")]["gain_db"]
    perfect = matched["base"] == HR.name
    shares = (between(100 * matched.loc[chosen, "explained"], 0) for chosen in (perfect, ~perfect))
    lines += [
        "",
        "Every gain is over the same fuser, of equal parameters, with its own neighbourhood twice. This fuser alone "
        f"changes the SR by {between(near['own_db'], sign=True)} dB. Intervals are simultaneous at 95 %. HR content "
        f"matched in HR, the positive control, gains {between(control)} dB. The best match explains "
        "{} % of a patch's HR if HR is matched, and {} % if SR is.".format(*shares),
        "",
        "Against the gains that papers claim:",
        "",
    ]
    for verdict, own in judged.groupby("verdict", sort=False):
        cells = [
            f"{between(each['claim_db'])} dB for {figures.shown(base)} ({benchmark}, {figures.FUSERS[fuser]})"
            for (base, benchmark, fuser), each in own.groupby(["base", "benchmark", "fuser"], sort=False)
        ]
        lines.append(f"- {verdict}: {'; '.join(cells)}.")
    lines += ["", "A fuser of one match is no bound on every network: others might use several, or more around them."]
    return "\n".join(lines)


def _said(row: pd.Series) -> str:
    return f"{estimate(row['gain_db'], row['low_db'], row['high_db'])} dB"
