"""Claims: the papers' headline claims against measurements, by rules that are older than the runs.

Claims and rules: srlab/stats/claims.yaml. Verdicts: srlab/chapters/claims/verdicts.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pydantic import BaseModel, PositiveInt

from srlab.chapters.claims import costs, figures
from srlab.chapters.claims.full_size import FULL_SIZE
from srlab.chapters.claims.judged import examine, trained
from srlab.chapters.claims.timed import timing_runs
from srlab.chapters.claims.verdicts import CONFIRMED, GAIN
from srlab.chapters.claims.words import contrasts, markdown
from srlab.stats.words import count
from srlab.study.profile import Size, Value
from srlab.study.runs import Run
from srlab.study.study import Study

QUESTION = "Do the papers' claims hold here?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter: what is measured otherwise than claims.yaml states."""

    sides: tuple[PositiveInt, ...] = ()  # of maps, px; the rules' by default
    growth_sides: tuple[PositiveInt, ...] = ()
    networks: tuple[Size, ...] = (64, 128, (180, 320))  # LR inputs of the published networks
    processes: PositiveInt | None = None  # fresh ones; the rules' number by default; fewer give no verdict
    compiled: bool = True  # the fused windows of ESC, as published; on a CPU this needs a C++ compiler
    options: dict[str, dict[str, Value]] = {}  # of networks, by name, instead of the published ones


def runs(study: Study, settings: Settings) -> list[Run]:
    """Return the measurements of time and memory, and the training runs that contrasts compare."""
    return [*timing_runs(study, settings), *(run for own in trained(study).values() for run in own)]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute costs over size (`cost_claims`), local slopes (`cost_slopes`), and every claim's verdict (`claims`)."""
    timed = [study.obtain(run) for run in timing_runs(study, settings)]
    records = {record.run.about.removeprefix("claims-"): record for record in timed}
    curves, slopes = costs.curves(records), costs.slopes(records, settings.growth_sides)
    return {"claims": examine(study, timed, curves, slopes), "cost_claims": curves, "cost_slopes": slopes}


FIGURES = {"claims": figures.claims, "cost_claims": figures.cost_claims}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Count verdicts, each contrast once, and print the table of claims."""
    once = contrasts(tables["claims"], tables["cost_slopes"])
    gains, full = once["quantity"] == GAIN, once["basis"] == FULL_SIZE
    confirmed = int(((once["verdict"] == CONFIRMED) & (~gains | full)).sum())
    compared = f"{count(len(once), 'comparison')} for {count(once['claim'].nunique(), 'claim')}"
    paragraphs = [
        f"Of {compared}, {confirmed} confirm the claim. Quality of networks as released: "
        f"{_counted(once[gains & full])}. Quality of small networks after a small budget: "
        f"{_counted(once[gains & ~full])}. Time, memory and growth: {_counted(once[~gains])}.",
        "Small networks contradict no claim about quality: the papers' networks are larger, trained longer, and often "
        "of another scale. Claims about time and memory on GPUs are judged on this machine.",
        markdown(once),
    ]
    return "\n\n".join(paragraphs)


def _counted(rows: pd.DataFrame) -> str:
    return ", ".join(f"{number} {words}" for words, number in rows["shown"].value_counts().items())
