"""Tidy data frames from records: a row an image, a step, or a measured network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from srlab.errors import InputError
from srlab.measure.evaluation import evaluate
from srlab.stats.words import count
from srlab.study.records import Record

if TYPE_CHECKING:
    from srlab.study.study import Study


def _tidy(records: Sequence[Record], table: str, options: Sequence[str]) -> pd.DataFrame:
    if not records:
        raise InputError("there is no run to show: this profile names none for it")
    frames = []
    for record in records:
        run = record.run
        known = {option: run.network.options[option] for option in options}
        facts = {"run": run.hash, "model": run.network.model, "seed": run.seed, **known}
        rows = record.table(table)
        frames.append(pd.DataFrame(facts, index=rows.index).join(rows))
    return pd.concat(frames, ignore_index=True)


def curves(records: Sequence[Record]) -> pd.DataFrame:
    """Return training curves: run, model, seed and the columns of :func:`srlab.training.train`."""
    return _tidy(records, "curve", ())


def quality(records: Sequence[Record], *options: str) -> pd.DataFrame:
    """Return evaluated images: run, model, seed, the named options, benchmark, name, psnr_y (dB), ssim_y, …"""
    return _tidy(records, "images", options)


def bicubic(study: Study) -> pd.DataFrame:
    """Evaluate the bicubic enlargement of every benchmark image: name, psnr_y (dB), ssim_y, …, benchmark."""
    benchmarks, scale = study.data.benchmarks, study.profile.scale
    frames = [evaluate(None, refs, scale).assign(benchmark=name) for name, refs in benchmarks.items()]
    return pd.concat(frames, ignore_index=True)


def costs(records: Sequence[Record], timed: Record, *options: str) -> pd.DataFrame:
    """Return the costs of training runs' networks and of their non-local layers, measured by one timing run.

    Rows are networks and parts; seeds do not change the computation.
    """
    frames, profile = [], timed.table("profile")
    for record in {timed.run.label_of(r.run.network): r for r in records}.values():
        network = record.run.network
        label = timed.run.label_of(network)
        rows = profile[profile["label"] == label].drop(columns="label")
        known = {option: network.options[option] for option in options}
        facts = {"run": timed.run.hash, "model": network.model, **known}
        frames.append(rows.assign(**facts, parameters=timed.facts["parameters"][label]))
    return pd.concat(frames, ignore_index=True)


def timings(record: Record) -> pd.DataFrame:
    """Return the costs of a timing run, labels called model, and run."""
    return record.table("profile").rename(columns={"label": "model"}).assign(run=record.run.hash)


def machine(record: Record) -> str:
    """Return the machine of a record, e.g. "CPU AMD EPYC, 2 threads"; a GPU is named without "CPU"."""
    on = record.facts["environment"]
    return f"CPU {on['name']}, {count(on['threads'], 'thread')}" if on["kind"] == "cpu" else on["name"]
