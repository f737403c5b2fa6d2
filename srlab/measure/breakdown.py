"""Where the time inside non-local layers goes, by PyTorch's profiler.

- projections: convolutions and linear maps of the layers.
- choosing: the rest of what makes the pattern (k-means, hashes, routes, scaling of queries and keys; weights, where a
  pattern stores them).
- sorting: sort and top k, wherever they happen.
- copies: gathering, padding, concatenation, wherever they happen.
- attending: all other operations, above all scores, softmax and sums of values.

Times are those of the GPU's kernels, or of the CPU's calling thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import torch
from torch import nn
from torch.autograd.profiler import record_function
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from srlab.attention.contract import Attention
from srlab.measure.costs import LAYERS, Size, calls_by_part, size_columns

STAGES = ("projections", "choosing", "sorting", "copies", "attending")
PROJECTIONS, CHOOSING, SORTING, COPIES, ATTENDING = STAGES
_OPERATIONS = {
    SORTING: ("argsort", "sort", "topk"),
    COPIES: (
        *("index", "index_select", "index_put_", "_index_put_impl_", "gather", "scatter", "scatter_", "take_along_dim"),
        *("copy_", "clone", "contiguous", "cat", "stack", "roll", "repeat", "pad", "constant_pad_nd"),
        *("reflection_pad2d", "replication_pad2d", "im2col", "unfold", "fill_", "zero_"),
    ),
}
STAGE_OF = {f"aten::{name}": stage for stage, names in _OPERATIONS.items() for name in names}


def layer_breakdown(
    networks: dict[str, nn.Module], size: Size, device: torch.device, repeats: int, warmup: int
) -> pd.DataFrame:
    """Measure the share of each stage in the time of non-local layers, on one size of input.

    Networks, by label, are put on the device, in evaluation mode; `repeats` profiled calls are taken together. Return
    label, size, height, width, stage, share, repeats; networks without such layers have no rows.
    """
    tables = []
    for label, network in networks.items():
        network.to(device, memory_format=torch.channels_last).eval()
        if call := calls_by_part(network, size, device).get(LAYERS):
            shares = stage_shares(network.non_local_layers(), call, repeats, warmup, device)
            tables.append(shares.assign(label=label, **size_columns(size), repeats=repeats))
    return pd.concat(tables)[["label", "size", "height", "width", "stage", "share", "repeats"]]


def stage_shares(
    layers: list[Attention], call: Callable[[], object], repeats: int, warmup: int, device: torch.device
) -> pd.DataFrame:
    """Return the stages and their shares, 0 to 1, in the time of a call that goes through `layers`."""
    column = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    for _ in range(warmup):
        call()
    with _marked(layers), profile(activities=kinds) as profiler:
        for _ in range(repeats):
            call()
    spent = dict.fromkeys(STAGES, 0.0)
    for event in profiler.events():
        if event.name.startswith("aten::"):
            spent[_stage(event)] += getattr(event, column)
    whole = sum(spent.values())
    return pd.DataFrame([{"stage": stage, "share": time / whole} for stage, time in spent.items()])


@contextmanager
def _marked(layers: list[Attention]) -> Iterator[None]:
    """Show the profiler where layers choose and where they project."""
    projections = [m for layer in layers for m in layer.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    marks = [(layer, "pattern", CHOOSING) for layer in layers] + [(m, "forward", PROJECTIONS) for m in projections]
    for module, name, stage in marks:
        setattr(module, name, record_function(stage)(getattr(module, name)))
    try:
        yield
    finally:
        for module, name, _ in marks:
            vars(module).pop(name, None)


def _stage(event: FunctionEvent) -> str:
    """Return the stage of an operation: projection, else sorting or copies, else innermost mark, else attending."""
    kind, place = STAGE_OF.get(event.name), event
    while place is not None and place.name not in (PROJECTIONS, CHOOSING):
        kind, place = kind or STAGE_OF.get(place.name), place.cpu_parent
    if place is not None and place.name == PROJECTIONS:
        return PROJECTIONS
    return kind or (CHOOSING if place is not None else ATTENDING)
