"""Tidy data frames from records, a row an image, a step, or a measured network; and rows for charts and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.models.registry import label
from srlab.stats.gains import paired
from srlab.stats.words import count
from srlab.study.records import Record
from srlab.study.runs import Run

if TYPE_CHECKING:
    from srlab.study.study import Study


def _tidy(records: Sequence[Record], table: str) -> pd.DataFrame:
    if not records:
        raise InputError("there is no run to show: this profile names none for it")
    frames = []
    for record in records:
        run, rows = record.run, record.table(table)
        facts = {"run": run.hash, "model": run.network.model, "seed": run.seed}
        frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def by_label(study: Study, runs: Sequence[Run]) -> dict[str, list[Record]]:
    """Obtain runs, and return their records by label, e.g. "lcoan window=24"."""
    records: dict[str, list[Record]] = {}
    for run in runs:
        records.setdefault(study.label(run), []).append(study.obtain(run))
    return records


def labelled(records: Mapping[str, Sequence[Record]], table: str) -> pd.DataFrame:
    """Return a table of all records: arm (their key), run, model, seed and the table's columns."""
    return pd.concat([_tidy(own, table).assign(arm=arm) for arm, own in records.items()], ignore_index=True)


def curves(records: Sequence[Record]) -> pd.DataFrame:
    """Return training curves: run, model, seed and the columns of :func:`srlab.training.train`."""
    return _tidy(records, "curve")


def quality(records: Sequence[Record]) -> pd.DataFrame:
    """Return evaluated images: run, model, seed, benchmark, name, psnr_y (dB), ssim_y, …"""
    return _tidy(records, "images")


def bicubic(study: Study) -> pd.DataFrame:
    """Evaluate the bicubic enlargement of every benchmark image: name, psnr_y (dB), ssim_y, …, benchmark."""
    benchmarks, scale = study.data.benchmarks, study.profile.scale
    frames = [evaluate(None, refs, scale).assign(benchmark=name) for name, refs in benchmarks.items()]
    return pd.concat(frames, ignore_index=True)


def costs(records: Sequence[Record], timed: Record) -> pd.DataFrame:
    """Return the costs of training runs' networks and of their non-local layers, measured by one timing run.

    Rows are networks and parts; seeds do not change the computation.
    """
    frames, profile = [], timed.table("profile")
    for record in {timed.run.label_of(r.run.network): r for r in records}.values():
        network = record.run.network
        name = timed.run.label_of(network)
        rows = profile[profile["label"] == name].drop(columns="label")
        facts = {"run": timed.run.hash, "model": network.model, "parameters": timed.facts["parameters"][name]}
        frames.append(rows.assign(**facts))
    return pd.concat(frames, ignore_index=True)


def timings(record: Record) -> pd.DataFrame:
    """Return the costs of a timing run, labels called model, and run."""
    return record.table("profile").rename(columns={"label": "model"}).assign(run=record.run.hash)


def machine(record: Record) -> str:
    """Return the machine of a record, e.g. "CPU AMD EPYC, 2 threads"; a GPU is named without "CPU"."""
    on = record.facts["environment"]
    return f"CPU {on['name']}, {count(on['threads'], 'thread')}" if on["kind"] == "cpu" else on["name"]


def named(rows: pd.DataFrame, by: str = "model", value: str = "gain_db") -> pd.DataFrame:
    """Add name (the label of `by`) and value, and call low_db and high_db low and high, for charts and verdicts."""
    found = rows.rename(columns={"low_db": "low", "high_db": "high"}).assign(name=rows[by].map(label))
    return found.assign(value=rows[value]) if value in rows else found


def image_gains(quality: pd.DataFrame) -> pd.DataFrame:
    """Return each image's gain over no attention, mean over seeds: benchmark, model, name (the label), value (dB)."""
    images = paired(quality, "model", "no_attention").groupby(["benchmark", "model", "name"], sort=False)
    return named(images["gain_db"].mean().reset_index())


def averaged(dots: pd.DataFrame) -> pd.DataFrame:
    """Average dots of charts over name and model, without an interval: name, model, value, low, high (NaN)."""
    return dots.groupby(["name", "model"], sort=False, as_index=False)["value"].mean().assign(low=np.nan, high=np.nan)
