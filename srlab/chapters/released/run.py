"""Released runs: networks with released weights, measured one way."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import torch
from torch import nn

from srlab.chapters.released import sharing
from srlab.chapters.released.reach import hardest_places, measure_reach
from srlab.chapters.released.similarity import self_similarity
from srlab.data.layouts import held_out
from srlab.measure.costs import measure_networks
from srlab.measure.evaluation import convention, evaluate
from srlab.measure.profiling import count_parameters
from srlab.measure.protocol import Protocol
from srlab.study.records import Record
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.weights.checkpoints import open_network

#: Y is not rounded, as in most of the networks' own papers.
PROTOCOL = Protocol("none")
#: Height and width of the LR images that are timed; ×4 they become 1280×720 and 512×512 pixels.
SIZES = ((180, 320), (128, 128))
#: The tables of each kind of measurement.
TABLES = {
    "quality": ("images",),
    "costs": ("profile",),
    "reach": ("reach",),
    "maps": ("maps", "maps_example", "maps_around", "reused", "reused_psnr"),
}


class ReleasedRun(Run):
    """Measure networks with released weights.

    "quality" is of benchmarks; "reach" of the last benchmark, a place an image; "maps" of layers that reuse weights, on
    the held-out photographs and the first benchmark. The record of bicubic enlargement, a run without weights, also has
    the images' self-similarity.
    """

    kind: Literal["released"] = "released"
    measured: Literal["quality", "costs", "reach", "maps"]
    weights: dict[str, str]  # SHA-256 by network
    data: str  # fingerprint of the benchmarks
    benchmarks: tuple[str, ...]
    settings: dict[str, int]  # repeats and warmup; or places, side, window and steps of reach

    @property
    def slug(self) -> str:
        """The measurement, and the network if there is only one."""
        names = "bicubic" if not self.weights else "all" if self.measured == "costs" else "-".join(self.weights)
        return f"released-{self.measured}-{names}-x{self.scale}"

    @property
    def tables(self) -> tuple[str, ...]:
        return TABLES[self.measured]

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        files = study.released(self.scale)
        place = torch.device("cpu") if self.measured == "maps" else device
        networks = {name: open_network(name, files[name].path, self.scale).to(place).eval() for name in self.weights}
        network, benchmarks = next(iter(networks.values()), None), study.data.benchmarks
        if self.measured == "quality":
            found = {"images": quality(network, benchmarks, self.scale, device)}
        elif self.measured == "costs":
            found = {"profile": costs(networks, device, **self.settings)}
        elif self.measured == "reach":
            places = hardest_places(benchmarks[self.benchmarks[-1]], self.settings["places"], self.scale)
            found = {"reach": measure_reach(network, places, self.scale, device)}
        else:
            found = maps(network, self.benchmarks[0], benchmarks[self.benchmarks[0]], self.scale)
        for table, rows in found.items():
            record.write(table, rows)
        parameters = {name: count_parameters(each) for name, each in networks.items()}
        how = convention(self.scale, PROTOCOL, device)
        record.finish(device, parameters=parameters, data=study.data.name, convention=how)


def quality(network: nn.Module | None, benchmarks: dict, scale: int, device: torch.device) -> pd.DataFrame:
    """Evaluate a network, or bicubic enlargement, on benchmarks.

    Columns: dataset, and those of `srlab.measure.evaluation.evaluate`; for bicubic enlargement also self_similarity
    (0 to 1).
    """
    rows = {name: evaluate(network, refs, scale, PROTOCOL, device) for name, refs in benchmarks.items()}
    found = pd.concat(rows, names=["dataset"]).reset_index("dataset").reset_index(drop=True)
    if network is None:
        found["self_similarity"] = [self_similarity(ref.read()) for refs in benchmarks.values() for ref in refs]
    return found


def costs(networks: dict[str, nn.Module], device: torch.device, repeats: int, warmup: int) -> pd.DataFrame:
    """Measure time, memory and operations of whole networks, interleaved.

    Columns: label, height, width (of LR, px), median_ms, q25_ms, q75_ms, repeats, warmup, peak_mib, gflops.
    """
    _, found = measure_networks(networks, SIZES, device, repeats, warmup)
    return found[found["part"] == "network"].drop(columns=["part", "size", "moved_mib", "energy_j"])


def maps(network: nn.Module, benchmark: str, refs: tuple, scale: int) -> dict[str, pd.DataFrame]:
    """Look at layers that reuse weights: maps on the held-out photographs, PSNR with stand-ins on a benchmark."""
    photographs = held_out().hr
    looked, alike = sharing.look(network, photographs, scale)
    shown, around = sharing.example(network, photographs[0], scale)
    measured = sharing.quality(network, benchmark, refs, scale, PROTOCOL)
    found = {"maps": looked, "maps_example": shown, "maps_around": around, "reused": alike, "reused_psnr": measured}
    return {name: rows.round(6) for name, rows in found.items()}
