"""Branched: what does attention add to a trunk that was trained long without it?

Each arm is attached to a trained trunk behind gates that are closed at first, so that it changes nothing. All arms then
train alike: the same trunk, the same patches in the same order. Two controls do so without attention.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel

from srlab.chapters.branched import figures
from srlab.chapters.branched import gains as frames
from srlab.chapters.branched.gains import CONTROL, LOCAL
from srlab.models.registry import label
from srlab.stats.gains import MARGIN
from srlab.stats.words import between, count, number, say, signed
from srlab.study.chapter import Tables
from srlab.study.frames import by_label, labelled, named, quality
from srlab.study.records import check_rules
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "What does attention add to a trained trunk?"


class Settings(BaseModel, extra="forbid", frozen=True):
    """None: `branch` in the profile lists trunks and arms."""


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return every arm, continued from every trunk."""
    return study.branches()


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute gains over both controls, their seeds, changes since the start, and gates; refuse other rules."""
    records = by_label(study, study.branches())
    check_rules([record for own in records.values() for record in own], "quality")
    images = labelled(records, "images")
    trunks = quality([study.obtain(run) for run in study.trunks()])
    side = study.profile.side
    return {
        "branched_gains": frames.gains(images),
        "branched_seeds": frames.seeds(images),
        "branched_start": frames.start(images, trunks, side // study.profile.scale if side else np.nan),
        "branched_gates": frames.gates(records),
    }


FIGURES = {"branched": figures.branched}


def answer(tables: Tables) -> str:
    """Summarise what arms add to the control, and how far all of them lie below the trunk at the start."""
    gains, start = tables["branched_gains"], tables["branched_start"]
    change, attention = start.groupby("arm")["change_db"].mean(), gains[gains["arm"] != LOCAL]
    trunks, images = count(int(gains["seeds"].min()), "trained trunk"), count(int(gains["images"].iloc[0]), "image")
    below = f"{(start['change_db'] < 0).sum()} of {count(len(start), 'run')}"
    lines = [
        f"Attention attached to {trunks} gains {between(attention['gain_db'], 3, sign=True)} dB over the same trunk "
        f"continued without it. But {below}, controls included, end below the trunk in which they began (mean: control "
        f"{signed(change[CONTROL], 3)} dB, attention {between(change[attention['arm']], 3, sign=True)} dB). So this "
        "experiment cannot show that attention adds nothing.",
        "Over the trunk continued without attention, simultaneous 95 % intervals over trunks:\n\n"
        + say(named(gains, "arm"), MARGIN),
    ]
    if len(over := gains.dropna(subset="over_local_db")):
        ends = {"over_local_db": "value", "over_local_low_db": "low", "over_local_high_db": "high"}
        said = say(over.rename(columns=ends).assign(name=over["arm"].map(label)), MARGIN)
        lines.append(f"Over the second control, a {label(LOCAL)}:\n\n{said}")
    local = gains.set_index("arm")["gain_db"].get(LOCAL)
    conv = "" if local is None else f"; the second control gains {signed(local, 3)} dB"
    crops = "" if np.isnan(side := start["lr_side"].iloc[0]) else f" the middle {side:.0f}×{side:.0f} LR pixels of"
    lines.append(
        f"There is no positive control, an addition known to help{conv}. Test images are{crops} {images}: little room "
        "to look far."
    )
    opened = tables["branched_gates"].groupby("arm")["open"].mean().sort_values()
    if len(opened):
        least, most = (f"{number(opened[arm])} ({label(arm)})" for arm in opened.index[[0, -1]])
        lines.append(f"Gates opened from 0 to {least} to {most}; 1 is their strength in networks trained from scratch.")
    return "\n\n".join(lines)
