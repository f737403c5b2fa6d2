"""Released: how good are networks that others trained, at what price, and where do they look?

With a folder of released weights (SRLAB_WEIGHTS) and the papers' benchmarks (SRLAB_DATA) everything is measured here;
without weights the chapter shows the records that are kept in results/reference/.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, PositiveInt

from srlab.chapters.released import figures, frames, reach
from srlab.chapters.released.run import ReleasedRun
from srlab.chapters.released.texts import TEXTS
from srlab.study.chapter import Tables
from srlab.study.records import Record
from srlab.study.study import Study

QUESTION = "How good are released networks, at what price, and where do they look?"
#: The network with layers that reuse weights.
REUSING = "elan_light"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter."""

    networks: tuple[str, ...] = ()  # to measure; all of the folder by default
    places: PositiveInt = 32  # of reach, one an image of the last benchmark


def runs(study: Study, settings: Settings) -> list[ReleasedRun]:
    """Return every measurement of the networks in the folder of weights; none without a folder.

    Raises InputError if a network of the settings is not in the folder.
    """
    sums = {name: each.sha256 for name, each in study.released(study.profile.scale, settings.networks).items()}
    if not sums:
        return []
    data, timing = replace(study.data, train=()), study.profile.timing
    facts = {"scale": study.profile.scale, "device": study.device, "data": data.fingerprint}
    facts |= {"benchmarks": tuple(data.benchmarks)}
    each = [{name: sha256} for name, sha256 in sums.items()]
    wanted = [("quality", weights, {}) for weights in ({}, *each)]
    wanted += [("costs", sums, timing.model_dump())] if timing else []
    wanted += [("reach", weights, {"places": settings.places, **reach.settings()}) for weights in each]
    wanted += [("maps", weights, {}) for weights in each if REUSING in weights]
    return [ReleasedRun(measured=kind, weights=own, settings=numbers, **facts) for kind, own, numbers in wanted]


def records(study: Study, settings: Settings) -> dict[str, list[Record]]:
    """Return the records by kind of measurement: of the folder's weights, made if missing, or else the kept ones.

    Raises InputError if there are neither weights nor kept records.
    """
    found = study.obtain_or_keep(runs(study, settings), "released-*", "released")
    latest = {record.run.slug: record for record in reversed(found)}
    groups: dict[str, list[Record]] = {}
    for _, record in sorted(latest.items()):
        if set(record.run.weights) <= set(settings.networks or record.run.weights):
            groups.setdefault(record.run.measured, []).append(record)
    return groups


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute quality and costs (`field`), reach by place, gains against self-similarity, and maps."""
    groups = records(study, settings)
    images = frames.rows_of(groups["quality"], "images")
    run = groups["quality"][0].run
    quality = frames.quality(images, run.scale)
    similar = frames.gains(images)
    found = {
        "released_quality": quality,
        "similarity_images": similar,
        "similarity_correlations": frames.correlations(similar),
    }
    for costs in groups.get("costs", []):
        found["field"] = frames.field(quality, costs)
        found["field_published"] = frames.elsewhere(run.benchmarks[-1], run.scale)
    if reached := groups.get("reach"):
        places = frames.places(frames.rows_of(reached, "reach"), quality, run.benchmarks[-1])
        found |= {"reach_places": places, "reach_pairs": frames.pairs(places)}
    for maps in groups.get("maps", []):
        found |= {table: maps.table(table) for table in maps.run.tables}
        found |= {table: found[table].assign(run=maps.run.hash) for table in ("maps", "reused", "reused_psnr")}
    return found


FIGURES = {
    "field": figures.field,
    "reach": figures.reach,
    "similarity": figures.similarity,
    "maps": figures.maps,
    "reused": figures.reused,
}


def answer(tables: Tables) -> str:
    """Summarise quality and costs, reach, self-similarity and reused weights, as far as they were measured."""
    return "\n\n".join(text(tables) for table, text in TEXTS.items() if table in tables)
