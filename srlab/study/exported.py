"""The weights that a study keeps: the networks of the first seed, to look at in a fresh clone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from srlab.study.runs import Run
from srlab.study.training_run import TrainingRun
from srlab.weights.checkpoints import save_network

if TYPE_CHECKING:
    from srlab.study.study import Study


def exported(study: Study) -> dict[str, Run]:
    """Return the first seed's runs by file name: comparison, branches ("-branch") and a chapter's own ("-KIND")."""
    own = [run for chapter in study.chapters for run in chapter.runs if run.trains and not isinstance(run, TrainingRun)]
    kept = [(run, "") for run in study.comparison()] + [(run, "-branch") for run in study.branches()]
    kept += [(run, f"-{run.kind}") for run in own]
    first = study.profile.seeds[0]
    return {re.sub("[ =]", "-", study.label(run)) + suffix: run for run, suffix in kept if run.seed == first}


def export_weights(study: Study) -> None:
    """Write the weights of finished runs to keep into `weights/`, in half precision."""
    for name, run in exported(study).items():
        if (record := study.record(run)).finished:
            file = study.folder / "weights" / f"{name}.safetensors"
            save_network(file, record.network().half(), run.network.model, run.scale, run.network.options)
