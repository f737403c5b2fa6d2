"""Records: the results of a run, read on request from its folder or from the packed records of a committed study.

A record counts when `run.json`, written last, and everything it needs are there. Committed studies keep all records in
one file, `runs.zip`, read in place; weights are not in it, nor are all single timed calls.
"""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from srlab.errors import InputError
from srlab.files import read_table, replacing, write_json, write_table
from srlab.measure.devices import code_commit, describe_device
from srlab.stats.rules import Part, rules
from srlab.study.runs import Run, run_of
from srlab.weights.checkpoints import load_network

#: Kept in a record's folder until it is finished: the rules and code at the run's start.
BEGUN = "begun.json"
#: Files that a packed record may lack.
LEFT_OUT = ("weights.safetensors", "times.csv")
#: The source of weights that this very study trained.
HERE = "trained here"


@dataclass(frozen=True)
class Weights:
    """The weights that a run learnt; the file is read on request."""

    run: Run
    file: Path
    source: str  # `HERE`, or for instance "reference: amd-epyc"

    def network(self) -> nn.Module:
        """Load the trained network, in evaluation mode."""
        return load_network(self.file)[0]


@lru_cache(maxsize=8)
def _archive(file: Path, _changed: float) -> zipfile.ZipFile:
    return zipfile.ZipFile(file)


def _packed(runs: Path) -> zipfile.ZipFile | None:
    file = runs.with_suffix(".zip")
    return _archive(file, file.stat().st_mtime) if file.is_file() else None


@dataclass(frozen=True)
class Record:
    """The results of a run; tables are read on request."""

    run: Run
    folder: Path

    def has(self, name: str) -> bool:
        """Check for a file of that name, in the folder or packed."""
        if (self.folder / name).is_file():
            return True
        packed = _packed(self.folder.parent)
        return packed is not None and f"{self.folder.name}/{name}" in packed.NameToInfo

    def read(self, name: str) -> bytes:
        """Read a file, from the folder or packed; InputError if the record lacks it."""
        file = self.folder / name
        if file.is_file():
            return file.read_bytes()
        if not self.has(name):
            raise InputError(f"{file}: no such file; this record does not hold it")
        return _packed(self.folder.parent).read(f"{self.folder.name}/{name}")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of a finished record; `run.json` is written last."""
        weights = ("weights.safetensors",) if self.run.trains else ()
        names = (*(f"{table}.csv" for table in self.run.tables), *weights, "run.json")
        return tuple(self.folder / name for name in names)

    @property
    def finished(self) -> bool:
        return all(file.is_file() and file.stat().st_size for file in self.files)  # a power cut leaves empty files

    @property
    def readable(self) -> bool:
        """The record is complete but for weights and single timed calls."""
        return all(self.has(file.name) for file in self.files if file.name not in LEFT_OUT)

    def begin(self) -> None:
        """Make the folder, and record rules and code at the start; on resume they stay unchanged."""
        file = self.folder / BEGUN
        if not file.exists():
            began = {"commit": code_commit(), "time": _now()}
            write_json(file, {"rules": rules().hashes(), "began": began})

    def write(self, table: str, rows: pd.DataFrame) -> None:
        """Write a table of the record."""
        write_table(self.folder / f"{table}.csv", rows)

    def finish(self, device: torch.device, **facts: object) -> None:
        """Write `run.json`, which makes the record count, and remove the training's checkpoint."""
        begun = self.folder / BEGUN
        content = {
            "name": self.run.name,
            "hash": self.run.hash,
            "config": self.run.model_dump(mode="json"),
            "environment": describe_device(device),
            **json.loads(begun.read_text()),
            "finished": _now(),
            **facts,
        }
        write_json(self.folder / "run.json", content)
        begun.unlink()
        (self.folder / "checkpoint.safetensors").unlink(missing_ok=True)

    @cached_property
    def facts(self) -> dict:
        """Config, hash, environment, and facts such as seconds and parameters."""
        return json.loads(self.read("run.json"))

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the record's tables, e.g. `images`; InputError if the record lacks it."""
        return read_table(BytesIO(self.read(f"{name}.csv")))

    def network(self) -> nn.Module:
        """Load the trained network, in evaluation mode; InputError if its weights are not there."""
        return load_network(self.folder / "weights.safetensors")[0]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def records_in(study_folder: Path, names: str = "*") -> list[Record]:
    """List the records of a results folder that match a glob, packed ones too, the latest first."""
    runs, texts = study_folder / "runs", {}
    if packed := _packed(runs):
        folders = [Path(member).parent for member in packed.namelist() if member.endswith("/run.json")]
        texts = {path.name: packed.read(f"{path.name}/run.json") for path in folders if path.match(names)}
    texts |= {file.parent.name: file.read_bytes() for file in sorted(runs.glob(f"{names}/run.json"))}
    records = [Record(run_of(json.loads(text)["config"]), runs / name) for name, text in texts.items()]
    return sorted(records, key=lambda record: record.facts["finished"], reverse=True)


def pack(study_folder: Path) -> Path:
    """Pack the tables and facts of a study's finished records into `runs.zip`, beside those that are packed already.

    The same records give the same bytes.
    """
    file, before = study_folder / "runs.zip", _packed(study_folder / "runs")
    members = {name: before.read(name) for name in before.namelist()} if before else {}
    for facts in (study_folder / "runs").glob("*/run.json"):
        own = (path for path in facts.parent.iterdir() if path.suffix in (".csv", ".json"))
        members |= {f"{path.parent.name}/{path.name}": path.read_bytes() for path in own}
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, text in sorted(members.items()):
            member = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(member, text)
    with replacing(file) as beside:  # the old file may hold the only copy of its records
        beside.write_bytes(content.getvalue())
    return file


def check_one_processor(records: list[Record]) -> None:
    """Raise an InputError for times measured on several processors, or by several settings of the allocator.

    It names every record but those made as the latest was. Times without a setting are of glibc's default.
    """
    timed = (record for record in records if record.run.timed)
    timed = sorted(timed, key=lambda record: record.facts["finished"], reverse=True)
    _check_one(timed, "on", {record.run.name: record.facts["environment"]["name"] for record in timed})
    settings = {record.run.name: record.facts["environment"].get("allocator", "default") for record in timed}
    _check_one(timed, "with the allocator's memory", settings)


def _check_one(records: list[Record], how: str, found: dict[str, str]) -> None:
    """Raise an InputError if records, the latest first, were measured in several ways, found by their runs' names."""
    ways = list(dict.fromkeys(found.values()))
    if len(ways) > 1:
        older = ", ".join(name for name, way in found.items() if way != ways[0])
        each = " and ".join(f"{how} '{way}'" for way in ways)
        raise InputError(
            f"results {records[0].folder.parents[1]}: times were measured {each}, and no table may mix them: "
            f"delete the older records ({older}), or move the folder, and run again"
        )


def check_rules(records: list[Record], part: Part) -> None:
    """Refuse to judge a study's finished runs that began under other rules than those in force.

    The InputError names the runs, both rules by their hashes, and the remedy.
    """
    now = rules().hash(part)
    found = {record.run.name: record.facts.get("rules", {}).get(part, "none") for record in records}
    older = {name: then for name, then in found.items() if not rules().judge(part, then)}
    if older:
        runs = records[0].folder.parent
        profile = runs.parent.name.removesuffix(f"-{records[0].run.device}")
        raise InputError(
            f"rules of {part} are {now} now, and judge no run that began under others "
            f"({', '.join(dict.fromkeys(older.values()))}): delete {', '.join(older)} in {runs} and make them anew by "
            f"`srlab run --profile {profile}`"
        )
