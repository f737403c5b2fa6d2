"""Time, memory and operations of a network, and of its non-local layers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.measure.precision import Precision, computing_in
from srlab.measure.profiling import MIB, count_flops, count_parameters, energy, measure, peak_memory, summarise_times
from srlab.models.trunk import Trunk

#: Side of a square LR input in pixels, or its height and width.
Size = int | tuple[int, int]

#: dtypes of the features between layers.
FEATURES: dict[Precision, torch.dtype] = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
NETWORK, LAYERS = "network", "non-local layers"


def height_and_width(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def size_columns(size: Size) -> dict[str, float | int]:
    """Return the columns size, height and width; the size of a rectangle is the side of the square of equal area."""
    height, width = height_and_width(size)
    return {"size": height if height == width else (height * width) ** 0.5, "height": height, "width": width}


def calls_by_part(
    network: nn.Module, size: Size, device: torch.device, precision: Precision = "32-true"
) -> dict[str, Callable[[], object]]:
    """Return the calls to measure: the network on an image and, on the trunk, its non-local layers on features."""
    generator = torch.Generator().manual_seed(0)

    def image(channels: int) -> torch.Tensor:
        made = torch.rand(1, channels, *height_and_width(size), generator=generator)
        return made.to(device, memory_format=torch.channels_last)

    lr = image(3)
    calls = {NETWORK: lambda: network(lr)}
    if isinstance(network, Trunk) and network.non_local_layers():
        features = image(network.channels).to(FEATURES[precision])
        calls[LAYERS] = lambda: network.attend(features)

    def within(call: Callable[[], object]) -> object:
        with torch.inference_mode(), computing_in(precision, device):
            return call()

    return {part: partial(within, call) for part, call in calls.items()}


def measure_networks(
    networks: dict[str, nn.Module],
    sizes: Sequence[Size],
    device: torch.device,
    repeats: int,
    warmup: int,
    precision: Precision = "32-true",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure several networks by label, and their non-local layers alone, interleaved, in evaluation mode.

    Return times: label, part, size, repeat, ms, a timed call a row; and costs: label, part, size, height, width (px),
    median_ms, q25_ms, q75_ms, repeats, warmup, peak_mib, gflops, moved_mib (the least that the layers read and write),
    energy_j (None without a GPU).
    """
    for network in networks.values():
        network.to(device, memory_format=torch.channels_last).eval()
    times, costs = [], []
    for size in tqdm(sizes, desc="input sizes", unit="size"):
        parts = {label: calls_by_part(network, size, device, precision) for label, network in networks.items()}
        for part in (NETWORK, LAYERS):
            calls = {label: parts[label][part] for label in networks if part in parts[label]}
            if not calls:
                continue
            measured = measure(calls, repeats, warmup, device)
            times.append(measured.rename(columns={"name": "label"}).assign(part=part, **size_columns(size)))
            summary = summarise_times(measured).to_dict("index")
            for label, call in calls.items():
                costs.append(
                    {
                        "label": label,
                        "part": part,
                        **size_columns(size),
                        **summary[label],
                        "warmup": warmup,
                        "peak_mib": peak_memory(call, device),  # after the timing: kept workspaces exist by now
                        "gflops": _flops(networks[label], call) / 1e9,
                        "moved_mib": _moved(networks[label], size, precision) if part == LAYERS else None,
                        "energy_j": energy(call, device),
                    }
                )
    return pd.concat(times)[["label", "part", "size", "repeat", "ms"]], pd.DataFrame(costs)


def _moved(network: Trunk, size: Size, precision: Precision) -> float:
    """Return the least that non-local layers read and write, MiB: the input, output and parameters of each."""
    height, width = height_and_width(size)
    layers = network.non_local_layers()
    maps = 2 * len(layers) * network.channels * height * width
    return (FEATURES[precision].itemsize * maps + 4 * sum(count_parameters(layer) for layer in layers)) / MIB


def _flops(network: nn.Module, call: Callable[[], object]) -> int:
    """Count operations; FlexAttention's compiled code hides its own, so the other fused kernel is counted instead."""
    layers = [layer for layer in network.modules() if getattr(layer, "backend", None) == "flex"]
    for layer in layers:
        layer.backend = "sdpa"
    try:
        return count_flops(call)
    finally:
        for layer in layers:
            layer.backend = "flex"
