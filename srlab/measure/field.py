"""Networks of released weights side by side: quality, a record a network and data set; costs, in one run."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.data.layouts import Benchmark
from srlab.errors import InputError
from srlab.files import write_text
from srlab.measure.costs import measure_networks
from srlab.measure.devices import describe_device
from srlab.measure.evaluation import assess, convention
from srlab.measure.profiling import count_parameters
from srlab.measure.protocol import Protocol
from srlab.measure.published import read_records
from srlab.weights.checkpoints import open_network
from srlab.weights.identify import WeightsFile, find_weights

SCALE = 4
#: The data sets that every paper has, in its order.
DATA_SETS = ("Set5", "Set14", "B100", "Urban100")
#: Y is not rounded: it is how most of the networks' own papers test.
PROTOCOL = Protocol("none")
#: Height and width of the LR images that are timed: 1280×720 and 512×512 pixels come out.
SIZES = ((180, 320), (128, 128))
#: The file of costs in the folder of records.
COSTS = "costs.csv"
BICUBIC = "bicubic"


@dataclass(frozen=True)
class Contender:
    """A network of the field, or bicubic interpolation.

    Attributes
    ----------
    name : str
        How tables call it, and its record with `_x4.json` after it.
    weights : WeightsFile or None
        None of bicubic interpolation.
    """

    name: str
    weights: WeightsFile | None

    def open(self) -> nn.Module | None:
        """Its network with these weights; None of bicubic interpolation.

        Raises
        ------
        InputError
            As `open_network` does.
        """
        return open_network(self.name, self.weights.path, SCALE) if self.weights else None

    @property
    def source(self) -> dict[str, dict[str, str]]:
        """What its records say of its weights."""
        found = self.weights
        return {"weights": {"file": found.path.name, "sha256": found.sha256}} if found else {}


def contenders(folder: Path, only: Collection[str] = ()) -> list[Contender]:
    """Bicubic interpolation, and every network ×4 of whose weights a folder has a file.

    Parameters
    ----------
    folder : Path
    only : collection of str
        Names to choose; all if empty.

    Raises
    ------
    InputError
        As `find_weights` does; if two files are of one network; if a name of `only` is none of those found.
    """
    found: dict[str, Contender] = {BICUBIC: Contender(BICUBIC, None)}
    for each in find_weights(folder):
        if each.scale != SCALE:
            continue
        if each.model in found:
            both = f"{found[each.model].weights.path.name} and {each.path.name}"
            raise InputError(f"{folder}: {both} are both of {each.model} ×{SCALE}; one is expected")
        found[each.model] = Contender(each.model, each)
    for name in only:
        if name not in found:
            raise InputError(f"network '{name}' is not in {folder}; there are: {', '.join(found)}")
    return [each for name, each in found.items() if not only or name in only]


def make_records(
    field: Sequence[Contender], benchmarks: Sequence[Benchmark], folder: Path, device: str | torch.device = "cpu"
) -> None:
    """Make the records that are missing: NAME_x4.json of each network, written after each data set.

    A record is kept if it is of the same file of weights, the same convention and as many images.

    Parameters
    ----------
    field : sequence of Contender
    benchmarks : sequence of Benchmark
    folder : Path
        Of records.
    device : str or torch.device

    Raises
    ------
    InputError
        As `assess` and `read_records` do.
    """
    pairs = [(each, benchmark) for each in field for benchmark in benchmarks]
    left = [pair for pair in pairs if not _kept(*pair, folder, device)]
    with tqdm(left, desc="records", unit="record") as progress:
        for each, benchmark in progress:
            progress.set_postfix_str(f"{each.name} on {benchmark.name}")
            network = each.open()
            record = assess(network.to(device) if network else None, benchmark, SCALE, PROTOCOL, device)
            facts = {"model": each.name, "dataset": benchmark.name, "scale": SCALE}
            _keep({**facts, **record, **each.source}, folder)


def _path(name: str, folder: Path) -> Path:
    return folder / f"{name}_x{SCALE}.json"


def _records(name: str, folder: Path) -> dict[str, dict]:
    """Those of a network, by data set."""
    path = _path(name, folder)
    return {record["dataset"]: record for record in read_records([path])} if path.is_file() else {}


def _kept(each: Contender, benchmark: Benchmark, folder: Path, device: str | torch.device) -> bool:
    record = _records(each.name, folder).get(benchmark.name)
    return (
        record is not None
        and record.get("weights", {}).get("sha256") == (each.weights.sha256 if each.weights else None)
        and record["convention"] == convention(SCALE, PROTOCOL, device)
        and len(record["images"]) == len(benchmark.hr)
    )


def _keep(record: dict, folder: Path) -> None:
    """Write a record beside the network's others, in the order of `DATA_SETS`."""
    kept = _records(record["model"], folder) | {record["dataset"]: record}
    order = [*DATA_SETS, *sorted(kept.keys() - set(DATA_SETS))]
    records = [kept[name] for name in order if name in kept]
    write_text(_path(record["model"], folder), json.dumps(records, indent=1, ensure_ascii=False) + "\n")


def measure_costs(
    field: Sequence[Contender], folder: Path, device: torch.device, repeats: int, warmup: int
) -> pd.DataFrame:
    """Time, memory, operations and parameters of all networks, in turn, into costs.csv.

    Returns
    -------
    DataFrame
        label, height, width (of LR, px), median_ms, q25_ms, q75_ms, repeats, warmup, peak_mib, gflops, parameters,
        sha256 (of the weights), and what `describe_device` says of where they were measured.
    """
    networks = {each.name: each.open() for each in field if each.weights}
    _, costs = measure_networks(networks, SIZES, device, repeats, warmup)
    costs = costs[costs["part"] == "network"].drop(columns=["part", "size", "moved_mib", "energy_j"])
    sums = {each.name: each.weights.sha256 for each in field if each.weights}
    costs = costs.assign(
        parameters=[count_parameters(networks[label]) for label in costs["label"]],
        sha256=costs["label"].map(sums),
        **describe_device(device),
    )
    write_text(folder / COSTS, costs.to_csv(index=False))
    return costs


def read_field(folder: Path, only: Collection[str] = ()) -> tuple[list[dict], pd.DataFrame | None]:
    """All records of a folder, bicubic first, and the costs; None where they are not measured yet.

    Parameters
    ----------
    folder : Path
    only : collection of str
        Names of networks to choose, beside bicubic interpolation; all if empty.

    Raises
    ------
    InputError
        If there is no record, or a name of `only` has none.
    """
    paths = sorted(folder.glob(f"*_x{SCALE}.json"), key=lambda path: (path != _path(BICUBIC, folder), path.name))
    if not paths:
        raise InputError(f"{folder}: no records; `srlab field quality` makes them")
    records = read_records(paths)
    there = dict.fromkeys(record["model"] for record in records)
    for name in only:
        if name not in there:
            raise InputError(f"network '{name}' has no record in {folder}; there are: {', '.join(there)}")
    chosen = [record for record in records if not only or record["model"] in {BICUBIC, *only}]
    costs = folder / COSTS
    return chosen, pd.read_csv(costs) if costs.is_file() else None
