"""How many seeds a profile needs, and how long they take, from runs that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from srlab.errors import InputError
from srlab.findings.frames import count, differences, quality
from srlab.findings.statistics import half_width, seeds_needed
from srlab.study.profiles import Profile
from srlab.study.records import Record, records_in
from srlab.study.study import Study
from srlab.training import Budget

#: What every other network of a comparison is an arm against.
REFERENCE = "edsr_like"
#: More seeds than this are not planned for.
MOST = 100


def pilot(study: Study, folders: Sequence[Path] | None = None) -> list[Record]:
    """The finished runs of a profile's comparison; where it has none, those of its networks in a reference.

    Runs of one budget, the profile's own where there are such, else the longest; and of one set of images.

    Parameters
    ----------
    study : Study
    folders : sequence of Path, optional
        Results to look in, one after another: the study's own, its reference and the other references by default.

    Raises
    ------
    InputError
        If no folder has runs of `REFERENCE` and of another network of the profile.
    """
    if folders is None:
        references = sorted((study.root / "results" / "reference").glob("*-*"))
        folders = [study.folder, *([study.reference] if study.reference else []), *references]
    for folder in folders:
        found = [
            record
            for model in study.profile.models
            for record in records_in(folder, f"{model}-x{study.profile.scale}-*")
            if record.run.network == study.network(model)
            and record.run.photographs is None
            and (record.folder / "images.csv").is_file()
        ]
        own = [record for record in found if record.run.budget == study.profile.training]
        if longest := max(own or found, key=lambda record: _seen(record.run.budget), default=None):
            alike = longest.run.budget, longest.run.data
            records = [record for record in found if (record.run.budget, record.run.data) == alike]
            models = {record.run.network.model for record in records}
            if REFERENCE in models and len(models) > 1:
                return records
    raise InputError(
        f"profile '{study.profile.name}': no results have runs of `{REFERENCE}` and of another of its networks to "
        f"plan from; `srlab run --profile {study.profile.name}` makes them"
    )


def _seen(budget: Budget) -> int:
    """LR pixels that training sees."""
    return budget.steps * budget.batch * budget.patch**2


def _seconds(record: Record, budget: Budget) -> float:
    """What a run of this budget takes by what the record took, but for the start of Python."""
    facts, had = record.facts, record.run.budget
    training = facts["seconds"] * _seen(budget) / _seen(had)
    logs = facts.get("log_seconds", 0) * (budget.steps / budget.log_every) / (had.steps / had.log_every)
    return training + logs + facts.get("loading_seconds", 0) + facts.get("evaluation_seconds", 0)


def plan(records: Sequence[Record], profile: Profile, within: float) -> pd.DataFrame:
    """What intervals a profile's seeds give, and how many seeds give a simultaneous half-width.

    Parameters
    ----------
    records : sequence of Record
        Of :func:`pilot`.
    profile : Profile
        What is planned; its comparison is the family.
    within : float
        The half-width that is wanted, dB.

    Returns
    -------
    DataFrame
        model, `REFERENCE` first; pilot_seeds; spread_db (over these of the mean gain), half_width_db (with the
        profile's seeds), seeds_needed (infinite if more than `MOST`), all NaN where there is no spread: of the
        reference, and of one seed; run_s (seconds that a run takes: training in proportion to the pixels seen,
        logs, evaluation, reading), run.
    """
    arms = differences(quality(records), "model", REFERENCE).groupby("model").last()
    family = len(profile.models) - 1
    rows = []
    for model in [REFERENCE, *(model for model in profile.models if model in arms.index)]:
        own = [record for record in records if record.run.network.model == model]
        spread = arms["spread_db"].get(model, np.nan)
        row = {"model": model, "pilot_seeds": len(own), "spread_db": spread}
        if np.isfinite(spread):
            row["half_width_db"] = half_width(float(spread), len(profile.seeds), family)
            row["seeds_needed"] = seeds_needed(float(spread), within, family, MOST) or np.inf
        row["run_s"] = np.mean([_seconds(record, profile.training) for record in own])
        rows.append(row | {"run": " ".join(record.run.hash for record in own)})
    columns = ["model", "pilot_seeds", "spread_db", "half_width_db", "seeds_needed", "run_s", "run"]
    return pd.DataFrame(rows, columns=columns)


def most_need(table: pd.DataFrame) -> float:
    """The seeds with which more than half of the arms of a plan have the half-width; NaN where it knows none."""
    needed = table["seeds_needed"].dropna().sort_values()
    return float(needed.iloc[len(needed) // 2]) if len(needed) else np.nan


def markdown(
    table: pd.DataFrame, records: Sequence[Record], profile: Profile, within: float, cores: int
) -> str:
    """A plan as a Markdown table, with what it rests on and how long it takes."""
    run, pilot_seeds = records[0].run, int(table["pilot_seeds"].max())
    hours = table["run_s"].sum() / 3600 / cores
    shown = pd.DataFrame(
        {
            "network": table["model"],
            "spread between seeds (dB)": _told(table["spread_db"], "{:.3f}"),
            f"half-width with {count(len(profile.seeds), 'seed')} (dB)": _told(
                table["half_width_db"], "{:.3f}"
            ),
            f"seeds for ±{within:g} dB": _told(table["seeds_needed"], "{:.0f}", f"more than {MOST}"),
            "seconds a run": _told(table["run_s"], "{:.0f}"),
        }
    )
    family = len(profile.models) - 1
    told = [
        f"Gains over `{REFERENCE}`, 95 % intervals simultaneous for {count(family, 'comparison')}; from "
        f"{count(len(records), 'run')} in {records[0].folder.parents[1].name} of {run.budget.steps} steps, "
        f"{count(pilot_seeds, 'seed')}."
    ]
    if pilot_seeds > 1:
        low, high = (
            ((pilot_seeds - 1) / scipy.stats.chi2.ppf(p, pilot_seeds - 1)) ** 0.5 for p in (0.975, 0.025)
        )
        told.append(
            f"A spread of {pilot_seeds} seeds may truly be {low:.1f} to {high:.1f} times as large (95 %), and with it "
            "the half-width."
        )
    told.append(
        f"A run's seconds are training's in proportion to the pixels seen, with logs, evaluation and reading. On "
        f"{count(cores, 'core')}, a run each, the {len(table)} networks with the profile's "
        f"{count(len(profile.seeds), 'seed')} take {len(profile.seeds) * hours:.1f} hours"
    )
    needed = most_need(table)
    if np.isfinite(needed):
        told[-1] += f", with the {needed:.0f} seeds that most arms need {needed * hours:.1f} hours."
    else:
        told[-1] += (
            "; how many seeds most arms need, these runs do not tell."
            if needed != needed
            else (f"; most arms need more than {MOST} seeds.")
        )
    return f"{shown.to_markdown(index=False, disable_numparse=True)}\n\n{' '.join(told)}\n"


def _told(column: pd.Series, form: str, infinite: str = "no interval") -> list[str]:
    return [
        "–" if number != number else infinite if np.isinf(number) else form.format(number)
        for number in column
    ]
