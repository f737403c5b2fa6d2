"""How large an image a layer can take: ever larger inputs, each network in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.measure.processes import MEASURED, MEMORY, TIME, measure_in_processes
from srlab.measure.profiling import summarise_times

__all__ = ["COLUMNS", "MEASURED", "MEMORY", "TIME", "find_limits"]

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

    Limits and errors are those of :func:`srlab.measure.processes.measure_in_processes`.

    Returns
    -------
    DataFrame
        label, height, width, state ("measured", "out of memory", "too slow"), median_ms, q25_ms, q75_ms, repeats,
        peak_mib (beyond the input); the last five are NaN in the row of a failure, which is a network's last.
    """
    tables = []
    for label, network in tqdm(networks.items(), desc="largest inputs", unit="network"):
        times, costs, _ = measure_in_processes({label: network}, sizes, device, 1, REPEATS, limit_s, limit_mib, False)
        summary = summarise_times(times.rename(columns={"size": "name"}))
        tables.append(costs.drop(columns=["median_ms", "q25_ms", "q75_ms"]).join(summary, on="size"))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]
