"""Where the time inside non-local layers goes: projections, choosing, sorting, copies, attending."""

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

PROJECTIONS, CHOOSING, SORTING, COPIES, ATTENDING = STAGES = (
    "projections",
    "choosing",
    "sorting",
    "copies",
    "attending",
)
_OPERATIONS = {
    SORTING: ("argsort", "sort", "topk"),
    COPIES: (
        *("index", "index_select", "index_put_", "_index_put_impl_", "gather", "scatter", "scatter_", "take_along_dim"),
        *("copy_", "clone", "contiguous", "cat", "stack", "roll", "repeat", "pad", "constant_pad_nd"),
        *("reflection_pad2d", "replication_pad2d", "im2col", "unfold", "fill_", "zero_"),
    ),
}
STAGE_OF = {f"aten::{name}": stage for stage, names in _OPERATIONS.items() for name in names}


def _marked(call: Callable, stage: str) -> Callable:
    def marked(*arguments: object, **options: object) -> object:
        with record_function(stage):
            return call(*arguments, **options)

    return marked


@contextmanager
def _marking(layers: list[Attention]) -> Iterator[None]:
    """Let the profiler see, for as long as this lasts, where layers choose and where they project."""
    projections = [m for layer in layers for m in layer.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    marks = [(layer, "pattern", CHOOSING) for layer in layers] + [(m, "forward", PROJECTIONS) for m in projections]
    for module, name, stage in marks:
        setattr(module, name, _marked(getattr(module, name), stage))
    try:
        yield
    finally:
        for module, name, _ in marks:
            vars(module).pop(name, None)


def _stage(event: FunctionEvent) -> str:
    """The innermost place that is marked; what is done elsewhere is attending, but for sorting and copies."""
    kind, place = STAGE_OF.get(event.name), event
    while place is not None and place.name not in (PROJECTIONS, CHOOSING):
        kind, place = kind or STAGE_OF.get(place.name), place.cpu_parent
    if place is not None and place.name == PROJECTIONS:
        return PROJECTIONS
    return kind or (CHOOSING if place is not None else ATTENDING)


def inside(
    layers: list[Attention], call: Callable[[], object], repeats: int, warmup: int, device: torch.device
) -> pd.DataFrame:
    """The share of each stage in the time of non-local layers.

    Parameters
    ----------
    layers : list of Attention
        Those that the call goes through.
    call : callable
        What to look into.
    repeats, warmup : int
        Calls that are looked into, together, and calls before.
    device : torch.device

    Returns
    -------
    DataFrame
        stage and share (0 to 1, together 1), one of `STAGES` a row. Projections: convolutions and linear maps that
        the layers own. Choosing: the rest of what makes the pattern (k-means, hashes, routes, scaling of queries and
        keys; weights, where a pattern stores them). Sorting: sort and top k, copies: gathering, padding, concatenation, wherever they happen. Attending: all
        else, scores, softmax and sums of values above all. On a GPU the time of its kernels, on a CPU that of the
        calling thread, both as PyTorch's profiler has them.
    """
    column = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    for _ in range(warmup):
        call()
    with _marking(layers), profile(activities=kinds) as profiler:
        for _ in range(repeats):
            call()
    spent = dict.fromkeys(STAGES, 0.0)
    for event in profiler.events():
        if event.name.startswith("aten::"):
            spent[_stage(event)] += getattr(event, column)
    whole = sum(spent.values())
    return pd.DataFrame([{"stage": stage, "share": time / whole} for stage, time in spent.items()])
