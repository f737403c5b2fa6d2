"""Limits runs: ever larger maps for one layer of each mechanism, until it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.measure.processes import measure_in_processes
from srlab.measure.profiling import summarise_times
from srlab.study.records import Record
from srlab.study.runs import Network, Run
from srlab.study.study import Study

COLUMNS = ("label", "height", "width", "state", "median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib")
#: Timed calls of a quick layer on each input; a slow one is timed once.
REPEATS = 5


def find_limits(
    networks: dict[str, nn.Module],
    sizes: Sequence[tuple[int, int]],
    limit_s: float,
    limit_mib: int,
    device: torch.device,
) -> pd.DataFrame:
    """Measure the non-local layers of each network on ever larger feature maps (height, width), until they fail.

    Limits and errors are those of :func:`srlab.measure.processes.measure_in_processes`. Columns: label, height, width,
    state ("measured", "out of memory", "too slow"), median_ms, q25_ms, q75_ms, repeats, peak_mib (beyond the input);
    the last five are NaN in the row of a failure, which is a network's last.
    """
    tables = []
    for label, network in tqdm(networks.items(), desc="largest inputs", unit="network"):
        times, costs, _ = measure_in_processes({label: network}, sizes, device, 1, REPEATS, limit_s, limit_mib, False)
        summary = summarise_times(times.rename(columns={"size": "name"}))
        tables.append(costs.drop(columns=["median_ms", "q25_ms", "q75_ms"]).join(summary, on="size"))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


class LimitsRun(Run):
    """Find the largest map that one layer of each mechanism can take; see :func:`find_limits`."""

    tables: ClassVar = ("limits",)
    timed: ClassVar = True

    kind: Literal["limits"] = "limits"
    networks: dict[str, Network]  # by label
    sizes: tuple[tuple[int, int], ...]  # (height, width) in pixels, from small to large
    limit_s: float
    limit_mib: int

    @property
    def slug(self) -> str:
        return "limits"

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        networks = {label: network.build(self.scale, seed=0) for label, network in self.networks.items()}
        record.write("limits", find_limits(networks, self.sizes, self.limit_s, self.limit_mib, device))
        record.finish(device, dtype="float32", batch=1)
