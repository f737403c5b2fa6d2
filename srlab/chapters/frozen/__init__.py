"""Frozen: what does attention add to the finished features of a trained network?

Features and image of the network stay as they are. Each arm trains a layer on top and two convolutions that make a
correction of the image, so that no arm can damage the network. Beside the arms stand three controls: nothing, a local
layer with as many parameters, and one more unit of convolutions, which has to help.
"""

from __future__ import annotations

import pandas as pd
from pydantic import BaseModel, PositiveInt, field_validator

from srlab.chapters.frozen import figures, frames
from srlab.chapters.frozen.frames import CONTROLS, NOTHING, RULES
from srlab.chapters.frozen.run import FrozenRun
from srlab.models import entry
from srlab.models.registry import label
from srlab.stats.words import between, count, estimate, listed, say, signed
from srlab.study.chapter import Tables
from srlab.study.profile import BudgetChange, known, on_the_trunk
from srlab.study.records import check_rules
from srlab.study.study import Study

QUESTION = "What does attention add to finished features?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    networks: tuple[str, ...] = ()  # released networks that are the bases
    trained: bool = False  # also the trunk without attention that the study trains, from its first seed
    models: tuple[str, ...] = ("trunk_nla", "trunk_lsp", "nlsn", "trunk_window", "trunk_fgca")  # lend their attention
    training: BudgetChange = {}  # from the profile's, for the arms
    patches: PositiveInt = 2048  # finished once, to draw from; heads overfit to a few hundred

    _networks = field_validator("networks")(known)
    _models = field_validator("models")(on_the_trunk)


def runs(study: Study, settings: Settings) -> list[FrozenRun]:
    """Return every arm and control on every base, base by base and seed by seed; none without weights."""
    released = study.released(study.profile.scale, settings.networks) if settings.networks else {}
    bases = [("released", name, file.sha256, entry(name).options["channels"]) for name, file in released.items()]
    if settings.trained:
        trunk = study.training("no_attention")
        bases.append(("trained", "no_attention", trunk.hash, trunk.network.options["channels"]))
    return [
        FrozenRun(
            source=source,
            base=base,
            weights=weights,
            network=study.network(model, channels=channels, groups=1, blocks=1),
            data=study.data.fingerprint,
            patches=settings.patches,
            budget=study.profile.budget(**settings.training),
            seed=seed,
            scale=study.profile.scale,
            device=study.device,
        )
        for source, base, weights, channels in bases
        for seed in study.profile.seeds
        for model in (RULES.local, RULES.positive, *settings.models)
    ]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute gains at each third, their seeds and verdicts; refuse records of other rules."""
    made = study.obtain_or_keep(runs(study, settings), "frozen-*")
    check_rules(made, "frozen")
    images = frames.images(made)
    gains = frames.gains(images)
    return {
        "frozen": frames.verdicts(gains),
        "frozen_thirds": gains,
        "frozen_seeds": frames.seeds(images),
        "frozen_benchmarks": frames.benchmarks(images),
    }


FIGURES = {"frozen": figures.frozen, "frozen_thirds": figures.thirds}


def all_lose(judged: pd.DataFrame) -> bool:
    """Check whether every head on a base ends below the features alone."""
    return bool(judged.loc[judged["arm"] != NOTHING, "gain_db"].max() < 0)


def answer(tables: Tables) -> str:
    """Summarise, base by base, whether the experiment sees added capacity, and what attention adds to a local layer."""
    judged = tables["frozen"]
    lines = []
    for base, own in judged.groupby("base", sort=False):
        by = own.set_index("arm")
        local, unit = by.loc[RULES.local], by.loc[RULES.positive]
        n = f"{count(int(unit['images']), 'image')}, {count(int(unit['seeds']), 'seed')}"
        lines.append(
            f"{figures.shown(base)} ({n}): a local layer adds {signed(local['gain_db'], 3)} dB to the features alone; "
            f"one more unit adds {estimate(*unit[['over_local_db', 'low_db', 'high_db']])} dB to the local layer."
        )
        if all_lose(own):
            heads = own.loc[own["arm"] != NOTHING, "gain_db"]
            lines[-1] += (
                " But every head ends below the features alone, one more unit too "
                f"({between(heads, 3, sign=True)} dB). What follows compares losses: it does not show that nothing can "
                "be added."
            )
        arms = own[~own["arm"].isin(CONTROLS)]
        if (arms["verdict"] == "no verdict").all():
            lines[-1] += " There is no verdict on attention here."
            continue
        rising = arms[arms["verdict"] == "not settled"]
        if len(rising):
            lines[-1] += f" Not settled: {listed([label(arm) for arm in rising['arm']])}."
        settled = arms[arms["verdict"] != "not settled"]
        if len(settled):
            named = settled.rename(columns={"over_local_db": "value", "low_db": "low", "high_db": "high"})
            lines.append(
                "Attention over the local layer, simultaneous 95 % intervals over seeds:\n\n"
                + say(named.assign(name=named["arm"].map(label)), RULES.margin_db)
            )
    return "\n\n".join(lines)
