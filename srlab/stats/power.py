"""How many seeds a profile needs, and how long they take, from runs that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from srlab.errors import InputError
from srlab.stats.frames import count, differences, quality
from srlab.stats.statistics import half_width, seeds_needed
from srlab.study.records import Record, records_in
from srlab.study.runs import TrainingRun
from srlab.study.study import Study
from srlab.training import Budget

#: What arms are compared with; where it is missing, the first network of the experiment.
REFERENCE = "no_attention"
#: More seeds than this are not planned for.
MOST = 100


class Plan(NamedTuple):
    """What is known about the seeds of one experiment.

    Attributes
    ----------
    experiment : {"from scratch", "branched"}
    records : list of Record
        From which it is known.
    table : DataFrame
        Of :func:`arms`; empty without records.
    seeds : int
        That the profile has.
    trunk_s : float
        Seconds that the trunk of one seed takes, of which its arms go on; NaN where no run tells.
    """

    experiment: str
    records: list[Record]
    table: pd.DataFrame
    seeds: int
    trunk_s: float = 0.0


def plans(study: Study, within: float, folders: Sequence[Path] | None = None) -> list[Plan]:
    """A plan for each experiment of a profile; one of which no run is there has no records.

    Parameters
    ----------
    study : Study
    within : float
        The half-width that is wanted, dB.
    folders : sequence of Path, optional
        As for :func:`pilot`.

    Raises
    ------
    InputError
        If there are runs of none.
    """
    found, seeds = [], len(study.profile.seeds)
    for experiment, runs in (("from scratch", study.comparison()), ("branched", study.branches())):
        records = pilot(study, runs, folders) if runs else []
        table = arms(study, runs, records, within) if records else pd.DataFrame()
        trunks = study.trunks() if experiment == "branched" else []
        told = [_seconds(record, trunks[0].budget) for record in pilot(study, trunks, folders)] if trunks else [0.0]
        if runs:
            trunk_s = float(np.mean(told)) if told else np.nan
            found.append(Plan(experiment, records, table, seeds, trunk_s))
    if not any(plan.records for plan in found):
        name = study.profile.name
        raise InputError(
            f"profile '{name}': no results have runs of its networks to plan from; `srlab run --profile {name}` "
            "makes them"
        )
    return found


def pilot(study: Study, runs: Sequence[TrainingRun], folders: Sequence[Path] | None = None) -> list[Record]:
    """Finished runs of the same networks, which may be of another budget, other seeds and images, and other data.

    All of one folder, one budget and one set of images; where there are several, the asked budget goes before
    others and a longer before a shorter.

    Parameters
    ----------
    study : Study
    runs : sequence of TrainingRun
        Of one experiment.
    folders : sequence of Path, optional
        Results to look in, one after another: the study's own, its reference, and the other references by default.

    Returns
    -------
    list of Record
        In the order of `runs`, by seed; empty if no folder has any, or none of what the others are compared with.
    """
    if folders is None:
        references = sorted((study.root / "results" / "reference").glob("*-*"))
        folders = [study.folder, *([study.reference] if study.reference else []), *references]
    networks = {study.label(run): run.network for run in runs}
    branched = any(run.start_from for run in runs)
    for folder in folders:
        found = [
            record
            for record in records_in(folder, f"*-x{study.profile.scale}-seed*")
            if record.run.network in networks.values()
            and bool(record.run.start_from) == branched
            and record.run.photographs is None
            and (record.folder / "images.csv").is_file()
        ]
        asked = [record for record in found if record.run.budget == runs[0].budget]
        longest = max(asked or found, key=lambda record: _seen(record.run.budget), default=None)
        if longest is not None:
            alike = longest.run.budget, longest.run.data, longest.run.benchmarks
            records = [r for r in found if (r.run.budget, r.run.data, r.run.benchmarks) == alike]
            known = [record.run.network for record in records]
            there = [label for label, network in networks.items() if network in known]
            if _reference(networks) in there and len(there) >= min(2, len(networks)):
                order = list(networks.values())
                return sorted(records, key=lambda record: (order.index(record.run.network), record.run.seed))
    return []


def _reference(labels: Sequence[str] | dict) -> str:
    return REFERENCE if REFERENCE in labels else next(iter(labels))


def _seen(budget: Budget) -> int:
    """LR pixels that training sees."""
    return budget.steps * budget.batch * budget.patch**2


def _seconds(record: Record, budget: Budget) -> float:
    """What a run of this budget takes by what the record took, but for the start of Python."""
    facts, had = record.facts, record.run.budget
    training = facts["seconds"] * _seen(budget) / _seen(had)
    logs = facts.get("log_seconds", 0) * (budget.steps / budget.log_every) / (had.steps / had.log_every)
    return training + logs + facts.get("loading_seconds", 0) + facts.get("evaluation_seconds", 0)


def arms(study: Study, runs: Sequence[TrainingRun], records: Sequence[Record], within: float) -> pd.DataFrame:
    """What intervals an experiment's seeds give, and how many seeds give a simultaneous half-width.

    Parameters
    ----------
    study : Study
    runs : sequence of TrainingRun
        The experiment; its arms are the family.
    records : sequence of Record
        Of :func:`pilot`.
    within : float
        The half-width that is wanted, dB.

    Returns
    -------
    DataFrame
        network, what the others are compared with first; pilot_seeds; spread_db (over these of the mean gain),
        half_width_db (with the profile's seeds), seeds_needed (infinite if more than `MOST`), all NaN where there
        is no spread: of the first, and of one seed; run_s (seconds that a run takes: training in proportion to
        the pixels seen, logs, evaluation, reading), run.
    """
    labels = list(dict.fromkeys(study.label(run) for run in runs))
    reference, named = _reference(labels), {record.run.hash: study.label(record.run) for record in records}
    images = quality(records).assign(network=lambda frame: frame["run"].map(named))
    gains = differences(images, "network", reference).groupby("network").last()
    rows = []
    for label in [reference, *(label for label in labels if label in gains.index)]:
        own = [record for record in records if named[record.run.hash] == label]
        spread = float(gains["spread_db"].get(label, np.nan))
        row = {"network": label, "pilot_seeds": len(own), "spread_db": spread}
        if np.isfinite(spread):
            family = len(labels) - 1
            row["half_width_db"] = half_width(spread, len(study.profile.seeds), family)
            row["seeds_needed"] = seeds_needed(spread, within, family, MOST) or np.inf
        row["run_s"] = np.mean([_seconds(record, runs[0].budget) for record in own])
        rows.append(row | {"run": " ".join(record.run.hash for record in own)})
    columns = ["network", "pilot_seeds", "spread_db", "half_width_db", "seeds_needed", "run_s", "run"]
    return pd.DataFrame(rows, columns=columns)


def most_need(table: pd.DataFrame) -> float:
    """The seeds with which more than half of the arms have the half-width; NaN where no spread is known."""
    needed = table["seeds_needed"].dropna().sort_values()
    return float(needed.iloc[len(needed) // 2]) if len(needed) else np.nan


def markdown(plan: Plan, within: float, cores: int) -> str:
    """A plan as a Markdown table, with what it rests on and how long it takes."""
    table, records, seeds = plan.table, plan.records, count(plan.seeds, "seed")
    if not records:
        return f"What is {plan.experiment}: no run is there to plan it from.\n"
    shown = pd.DataFrame(
        {
            "network": table["network"],
            "spread between seeds (dB)": _told(table["spread_db"], "{:.3f}"),
            f"half-width with {seeds} (dB)": _told(table["half_width_db"], "{:.3f}"),
            f"seeds for ±{within:g} dB": _told(table["seeds_needed"], "{:.0f}", f"more than {MOST}"),
            "seconds a run": _told(table["run_s"], "{:.0f}"),
        }
    )
    pilot_seeds = int(table["pilot_seeds"].max())
    told = [
        f"Gains over `{table['network'].iloc[0]}`, {plan.experiment}; 95 % intervals, simultaneous. From "
        f"{count(len(records), 'run')} in {records[0].folder.parents[1].name} of {records[0].run.budget.steps} steps, "
        f"{count(pilot_seeds, 'seed')}."
    ]
    if pilot_seeds > 1:
        free = pilot_seeds - 1
        low, high = ((free / scipy.stats.chi2.ppf(share, free)) ** 0.5 for share in (0.975, 0.025))
        told.append(
            f"A spread of {count(pilot_seeds, 'seed')} may truly be {low:.1f} to {high:.1f} times as large (95 %), and "
            "with it the half-width."
        )
    told.append("Seconds: training in proportion to the pixels seen, with logs, evaluation and reading.")
    networks = count(len(table), "network")
    what = networks if plan.trunk_s == 0 else f"trunks and {networks}"
    hours, needed = (table["run_s"].sum() + plan.trunk_s) / 3600 / cores, most_need(table)
    if np.isnan(hours):
        told.append("What trunks take, no run tells.")
    else:
        on = f"On {count(cores, 'core')}, a run each, {what} with the profile's {seeds} take"
        more = f", with the {needed:.0f} that most arms need {needed * hours:.1f}" if np.isfinite(needed) else ""
        told.append(f"{on} {plan.seeds * hours:.1f} hours{more}.")
    if not np.isfinite(needed):
        more = f"Most arms need more than {MOST} seeds."
        told.append(more if needed == np.inf else "How many seeds arms need, runs of one seed do not tell.")
    return f"{shown.to_markdown(index=False, disable_numparse=True)}\n\n{' '.join(told)}\n"


def _told(column: pd.Series, form: str, infinite: str = "no interval") -> list[str]:
    return ["–" if np.isnan(x) else infinite if np.isinf(x) else form.format(x) for x in column.astype(float)]
