"""Records: what came of a run, read when asked for.

A record counts when `run.json`, written last, and everything it names are there. One that came from elsewhere, as ours
that are committed, may be without the weights that its network learnt and without single timed calls, and tells its
numbers all the same.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter
from torch import nn

from srlab.errors import InputError
from srlab.files import write_text
from srlab.measure.devices import code_commit
from srlab.study.rules import Part, rules
from srlab.study.runs import RecallRun, Run, TrainingRun
from srlab.training import Snapshots
from srlab.weights.checkpoints import load_network, load_tensors

#: What a record's folder holds until it is finished: by what rules and code its run began.
BEGUN = "begun.json"
#: What a record from elsewhere may lack.
LEFT_OUT = ("weights.safetensors", "times.csv")
#: Of weights: that this very study trained them.
HERE = "trained here"


@dataclass(frozen=True)
class Weights:
    """What a network learnt, to look at; the file is read when asked for.

    Attributes
    ----------
    run : TrainingRun or RecallRun
        By which they came about.
    file : Path
    source : str
        Whose they are: `HERE`, or for instance "reference: amd-epyc".
    """

    run: TrainingRun | RecallRun
    file: Path
    source: str

    def network(self) -> nn.Module:
        """The trained network, in evaluation mode."""
        return load_network(self.file)[0]


@dataclass(frozen=True)
class Record:
    """What came of a run; tables are read when asked for."""

    run: Run
    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """What a finished record holds; `run.json` is written last."""
        tables = {
            "training": ("curve.csv", "images.csv", "weights.safetensors"),
            "timing": ("times.csv", "profile.csv"),
            "limits": ("limits.csv",),
            "recall": ("curve.csv", "recall.csv", "weights.safetensors"),
        }
        inside = ("inside.csv",) if self.run.kind == "timing" and self.run.inside else ()
        return tuple(self.folder / name for name in (*tables[self.run.kind], *inside, "run.json"))

    @property
    def finished(self) -> bool:
        return all(file.is_file() for file in self.files)

    @property
    def readable(self) -> bool:
        """Whether all of it is there but what was learnt, and single timed calls."""
        return all(file.is_file() for file in self.files if file.name not in LEFT_OUT)

    def begin(self) -> None:
        """Make the folder, and keep by what rules and code the run began; of one that goes on that stays as it is."""
        file = self.folder / BEGUN
        if not file.exists():
            began = {"commit": code_commit(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
            write_text(file, json.dumps({"rules": rules().hashes(), "began": began}))

    @cached_property
    def facts(self) -> dict:
        """config, hash, environment, and facts such as seconds and parameters."""
        return json.loads((self.folder / "run.json").read_text())

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Training: see :func:`srlab.training.train`."""
        return pd.read_csv(self.folder / "curve.csv")

    @cached_property
    def images(self) -> pd.DataFrame:
        """Evaluation: benchmark, name, psnr_y (dB), ssim_y, psnr_rgb (dB), ssim_rgb, an image a row."""
        return pd.read_csv(self.folder / "images.csv")

    @cached_property
    def profile(self) -> pd.DataFrame:
        """Timing runs: cost, a network, part and size a row: see :func:`srlab.measure.measure_networks` and, of runs in
        fresh processes, :func:`srlab.measure.processes.measure_in_processes`."""
        return pd.read_csv(self.folder / "profile.csv")

    @cached_property
    def inside(self) -> pd.DataFrame:
        """Timing runs that look into layers: see :func:`srlab.measure.breakdown.layer_breakdown`."""
        return pd.read_csv(self.folder / "inside.csv")

    @cached_property
    def times(self) -> pd.DataFrame:
        """Timing runs: label, part, size, repeat, ms, a timed call a row; of fresh processes also which.

        Raises
        ------
        InputError
            If they are not there.
        """
        file = self.folder / "times.csv"
        if not file.is_file():
            raise InputError(f"{file}: no such file; single timed calls of this run were not kept")
        return pd.read_csv(file)

    @cached_property
    def recall(self) -> pd.DataFrame:
        """Recall runs: see :func:`srlab.measure.recall.measure_recall`."""
        return pd.read_csv(self.folder / "recall.csv")

    @cached_property
    def limits(self) -> pd.DataFrame:
        """Limits runs: see :func:`srlab.measure.limits.find_limits`."""
        return pd.read_csv(self.folder / "limits.csv")

    def network(self) -> nn.Module:
        """The trained network, in evaluation mode.

        Raises
        ------
        InputError
            If its weights are not there.
        """
        return load_network(self.folder / "weights.safetensors")[0]

    @property
    def kept_centroids(self) -> bool:
        """Whether there are centroids to read.

        A record is finished without them: not every network learns some, and earlier runs kept none.
        """
        return (self.folder / "centroids.safetensors").is_file()

    def centroids(self) -> Snapshots:
        """The centroids of its layers with k-means at some steps of training, by step and layer.

        Raises
        ------
        InputError
            If the run kept none.
        """
        if not self.kept_centroids:
            raise InputError(
                f"run {self.run.name} kept no centroids of its training: its network learns none, or it is "
                f"of an earlier version (delete its folder and run it again to have them)"
            )
        layers, held = load_tensors(self.folder / "centroids.safetensors")
        return {step: {name: means[i] for name, means in layers.items()} for i, step in enumerate(held["steps"])}


def records_in(folder: Path, names: str) -> list[Record]:
    """The records in a results folder whose names match a glob, the latest first.

    Of what a finished record holds some may be missing, for not all of it is committed.
    """
    files = list(folder.glob(f"runs/{names}/run.json"))
    runs = [TypeAdapter(Run).validate_python(json.loads(file.read_text())["config"]) for file in files]
    records = [Record(run, file.parent) for run, file in zip(runs, files, strict=True)]
    return sorted(records, key=lambda record: record.facts["finished"], reverse=True)


def check_one_processor(records: list[Record]) -> None:
    """Refuse times and limits that were measured on several processors, for no table may mix them.

    Raises
    ------
    InputError
        Naming the processors, and the records of all but the one that measured last.
    """
    measured = [record for record in records if record.run.kind in ("timing", "limits")]
    measured.sort(key=lambda record: record.facts["finished"], reverse=True)
    names = list(dict.fromkeys(record.facts["environment"]["name"] for record in measured))
    if len(names) > 1:
        older = [r.run.name for r in measured if r.facts["environment"]["name"] != names[0]]
        processors = " and on ".join(f"'{name}'" for name in names)
        raise InputError(
            f"results {measured[0].folder.parents[1]}: times were measured on {processors}, which no table "
            f"may mix: delete the older records ({', '.join(older)}), or move the folder, and run again"
        )


def check_rules(records: list[Record], part: Part) -> None:
    """Refuse to judge, by the rules in force, runs that began under others or before there were any.

    Parameters
    ----------
    records : list of Record
        Finished, of one study.
    part : {"quality", "costs"}
        Which rules judge them.

    Raises
    ------
    InputError
        Naming the runs, both rules by their hashes, and how to make the runs anew.
    """
    now = rules().hash(part)
    found = {record.run.name: record.facts.get("rules", {}).get(part, "none") for record in records}
    older = {name: then for name, then in found.items() if then != now}
    if older:
        runs = records[0].folder.parent
        profile = runs.parent.name.removesuffix(f"-{records[0].run.device}")
        raise InputError(
            f"rules of {part} are {now} now, and judge no run that began under others "
            f"({', '.join(dict.fromkeys(older.values()))}): delete {', '.join(older)} in {runs} and make them anew by "
            f"`srlab run --profile {profile}`"
        )
