"""What a network costs: time, memory and operations of all of it, and of its non-local layers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.measure.inside import inside
from srlab.measure.precision import Precision, computing_in
from srlab.measure.profiling import (
    MIB,
    count_flops,
    count_parameters,
    energy,
    measure,
    peak_memory,
    profile_call,
    summarise_times,
)
from srlab.models.trunk import Trunk

#: Side of a square LR input in pixels, or its height and width.
Size = int | tuple[int, int]

#: What features between layers are made of.
FEATURES: dict[Precision, torch.dtype] = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}


def height_and_width(size: Size) -> tuple[int, int]:
    """Of a square's side, or as given."""
    return size if isinstance(size, tuple) else (size, size)


def _parts(network: nn.Module, size: Size, device: torch.device, precision: Precision = "32-true") -> dict:
    """The calls to measure: the whole network, and the non-local layers alone on features of their size."""
    generator = torch.Generator().manual_seed(0)

    def image(channels: int) -> torch.Tensor:
        made = torch.rand(1, channels, *height_and_width(size), generator=generator)
        return made.to(device, memory_format=torch.channels_last)

    lr = image(3)
    calls = {"network": lambda: network(lr)}
    if isinstance(network, Trunk) and network.non_local_layers():
        features = image(network.channels).to(FEATURES[precision])
        calls["non-local layers"] = lambda: network.attend(features)

    def within(call: Callable[[], object]) -> object:
        with torch.inference_mode(), computing_in(precision, device):
            return call()

    return {part: partial(within, call) for part, call in calls.items()}


def alone(network: nn.Module, size: Size, device: torch.device) -> tuple[str, Callable[[], object]]:
    """The call that matters on one input, and its part: the non-local layers of a trunk, else the whole network."""
    return list(_parts(network, size, device).items())[-1]


def _moved(network: nn.Module, part: str, size: Size, precision: Precision = "32-true") -> float | None:
    """The least that the non-local layers must read and write, in MiB: input, output, parameters of each."""
    if part == "network":
        return None  # how much of the features must leave the caches is not known
    height, width = height_and_width(size)
    layers = network.non_local_layers()
    maps = 2 * len(layers) * network.channels * height * width
    return (FEATURES[precision].itemsize * maps + 4 * sum(count_parameters(layer) for layer in layers)) / MIB


def place(size: Size) -> dict[str, float | int]:
    """The columns that say on what input: the side of a square, or of the square of as many pixels."""
    height, width = height_and_width(size)
    return {"size": height if height == width else (height * width) ** 0.5, "height": height, "width": width}


def profile_network(
    network: nn.Module,
    device: torch.device,
    size: Size,
    repeats: int,
    warmup: int,
    precision: Precision = "32-true",
) -> pd.DataFrame:
    """Cost of a network, and of its non-local layers alone, on one LR image.

    Returns
    -------
    DataFrame
        part, size, height, width (px), median_ms, q25_ms, q75_ms, repeats, warmup, peak_mib, gflops,
        moved_mib (what the layers must read and write at least), energy_j (None without a GPU).
    """
    network = network.to(device, memory_format=torch.channels_last).eval()
    rows = []
    for part, call in _parts(network, size, device, precision).items():
        cost = profile_call(call, device, repeats, warmup)
        moved = _moved(network, part, size, precision)
        bytes_and_energy = {"moved_mib": moved, "energy_j": energy(call, device)}
        rows.append({"part": part, **place(size), **cost, **bytes_and_energy})
    return pd.DataFrame(rows)


def _flops(network: nn.Module, call: Callable[[], object]) -> int:
    """What a call computes; of FlexAttention, into whose compiled code the counter cannot see, what the other
    fused kernel computes, which is the same."""
    layers = [layer for layer in network.modules() if getattr(layer, "backend", None) == "flex"]
    for layer in layers:
        layer.backend = "sdpa"
    try:
        return count_flops(call)
    finally:
        for layer in layers:
            layer.backend = "flex"


def measure_networks(
    networks: dict[str, nn.Module], sizes: Sequence[Size], device: torch.device, repeats: int, warmup: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cost of several networks, and of their non-local layers alone, measured in turn.

    Parameters
    ----------
    networks : dict
        By label; they are put on the device, in evaluation mode.
    sizes : sequence of int or pair of int
    device : torch.device
    repeats, warmup : int

    Returns
    -------
    times : DataFrame
        label, part, size, repeat, ms, a timed call a row.
    costs : DataFrame
        label and the columns of :func:`profile_network`, a network, part and size a row.
    """
    for network in networks.values():
        network.to(device, memory_format=torch.channels_last).eval()
    times, costs = [], []
    for size in tqdm(sizes, desc="input sizes", unit="size"):
        parts = {label: _parts(network, size, device) for label, network in networks.items()}
        for part in ("network", "non-local layers"):
            calls = {label: calls[part] for label, calls in parts.items() if part in calls}
            if not calls:
                continue
            measured = measure(calls, repeats, warmup, device).rename(columns={"name": "label"})
            times.append(measured.assign(part=part, **place(size)))
            summary = summarise_times(measured.rename(columns={"label": "name"}))
            for label, call in calls.items():
                costs.append(
                    {
                        "label": label,
                        "part": part,
                        **place(size),
                        **summary.loc[label],
                        "warmup": warmup,
                        "peak_mib": peak_memory(call, device),
                        "gflops": _flops(networks[label], call) / 1e9,
                        "moved_mib": _moved(networks[label], part, size),
                        "energy_j": energy(call, device),
                    }
                )
    return pd.concat(times)[["label", "part", "size", "repeat", "ms"]], pd.DataFrame(costs)


def look_inside(
    networks: dict[str, nn.Module], size: Size, device: torch.device, repeats: int, warmup: int
) -> pd.DataFrame:
    """Where the time of each network's non-local layers goes, on one size of input.

    Parameters
    ----------
    networks, device, repeats, warmup
        As in :func:`measure_networks`.
    size : int or pair of int

    Returns
    -------
    DataFrame
        label, size, height, width, stage, share and repeats: see :func:`srlab.measure.inside.inside`. Networks
        without such layers have no rows.
    """
    tables = []
    for label, network in networks.items():
        network.to(device, memory_format=torch.channels_last).eval()
        if call := _parts(network, size, device).get("non-local layers"):
            stages = inside(network.non_local_layers(), call, repeats, warmup, device)
            tables.append(stages.assign(label=label, **place(size), repeats=repeats))
    return pd.concat(tables)[["label", "size", "height", "width", "stage", "share", "repeats"]]
