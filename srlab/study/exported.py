"""The weights that a study keeps: the networks of the first seed, to look at in a fresh clone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from srlab.study.runs import Run
from srlab.study.training_run import TrainingRun
from srlab.weights.checkpoints import save_network

if TYPE_CHECKING:
    from srlab.study.study import Study


def exported(study: Study) -> dict[str, Run]:
    """Return the runs of the first seed with weights to keep, by the file's name.

    They are the comparison, the branches ("-branch") and the runs of a chapter's own kind ("-KIND").
    """
    of = {"": study.comparison(), "-branch": study.branches()}
    for chapter in study.chapters:
        for run in chapter.runs:
            if run.trains and not isinstance(run, TrainingRun):
                of.setdefault(f"-{run.kind}", []).append(run)
    return {
        re.sub("[ =]", "-", study.label(run)) + suffix: run
        for suffix, runs in of.items()
        for run in runs
        if run.seed == study.profile.seeds[0]
    }


def export_weights(study: Study) -> list[Path]:
    """Write the weights of finished runs to keep into `weights/`, in half precision."""
    written = []
    for name, run in exported(study).items():
        if study.record(run).finished:
            path = study.folder / "weights" / f"{name}.safetensors"
            network = study.record(run).network().half()
            save_network(path, network, run.network.model, run.scale, run.network.options)
            written.append(path)
    return written
