"""What a call costs: time (ms), peak memory (MiB), floating-point operations, energy (J)."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from torch.autograd.profiler import profile
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count
from tqdm.auto import tqdm

from srlab.errors import InputError

MIB = 2**20

# PyTorch's counter has formulas for the GPU's fused attention kernels; it would count the CPU's as 0.
CPU_ATTENTION_FLOPS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, query, key, value, *_, **__: sdpa_backward_flop_count(gradient, query, key, value)
    ),
}

# torch 2.13's profiler otherwise announces each start and stop on stderr, which notebooks show.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def measure(
    calls: dict[str, Callable[[], object]], repeats: int, warmup: int, device: torch.device | str
) -> pd.DataFrame:
    """Time calls interleaved (A B C, A B C, ...), so that a drift of the machine's speed affects all equally.

    A GPU is timed by CUDA events, a CPU by `torch.utils.benchmark`, which makes two more calls before each timing.
    Return name, repeat (from 0), ms, a timing a row. No calls, `repeats` below 1 or `warmup` below 0 are an InputError.
    """
    if not calls:
        raise InputError("calls is empty: at least one call is expected")
    if repeats < 1:
        raise InputError(f"repeats is {repeats}: at least 1 is expected")
    if warmup < 0:
        raise InputError(f"warmup is {warmup}: at least 0 is expected")
    device = torch.device(device)
    rows = []
    with tqdm(total=(warmup + repeats) * len(calls), desc="timing", leave=False) as progress:
        for _ in range(warmup):
            for call in calls.values():
                call()
                progress.update()
        for repeat in range(repeats):
            for name, call in calls.items():
                rows.append({"name": name, "repeat": repeat, "ms": _time(call, device)})
                progress.update()
    return pd.DataFrame(rows)


def _time(call: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        # Imported here, for it imports setuptools, which is slow.
        from torch.utils.benchmark import Timer

        timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
        return 1e3 * timer.timeit(1).median
    with torch.cuda.device(device):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)


def summarise_times(times: pd.DataFrame) -> pd.DataFrame:
    """Summarise times of `measure` by name, in their order: median_ms, quartiles q25_ms and q75_ms, repeats."""
    ms = times.groupby("name", sort=False)["ms"]
    quartiles = {"median_ms": ms.median(), "q25_ms": ms.quantile(0.25), "q75_ms": ms.quantile(0.75)}
    return pd.DataFrame({**quartiles, "repeats": ms.size()})


def peak_memory(call: Callable[[], object], device: torch.device | str) -> float:
    """Make a call once and return its peak memory above what was held before, MiB.

    PyTorch's allocator is counted: tensors, and the workspaces of most kernels. A workspace that a library keeps counts
    only in the first call. Memory that is older than the call and freed by it is subtracted on a GPU, not on the CPU.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return (torch.cuda.max_memory_allocated(device) - before) / MIB
    with profile(profile_memory=True) as profiler:  # that of torch.profiler imports torch.compile, which is slow
        call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    on_cpu = [e for e in events if e.get("name") == "[memory]" and e["args"]["Device Type"] == 0]
    held, peak, blocks = 0, 0, {}
    for event in sorted(on_cpu, key=lambda e: e["ts"]):
        address, size = event["args"]["Addr"], event["args"]["Bytes"]
        if size > 0:
            blocks[address] = size
            held += size
            peak = max(peak, held)
        else:
            held -= blocks.pop(address, 0)  # 0: the block is older than the call
    return peak / MIB


def count_flops(call: Callable[[], object]) -> int:
    """Make a call and count its floating-point operations; a multiplication with its addition counts as two.

    Matrix products, convolutions and fused attention count, forward and backward. Elementwise operations, sums,
    softmax, sorting, gathering, `torch.cdist` and custom kernels count as 0.
    """
    with FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION_FLOPS) as counter:
        call()
    return counter.get_total_flops()


def count_parameters(module: torch.nn.Module) -> int:
    """Count a module's parameters, each shared one once."""
    return sum(parameter.numel() for parameter in module.parameters())


@cache
def ceilings(device: torch.device | str, repeats: int = 7) -> dict[str, float]:
    """Measure the two roofs of a roofline, in float32, as the fastest of several runs; once in a process.

    Return gflops_per_s of products of 2048×2048 matrices; gib_per_s, read and written, of copies of 256 MiB.
    """
    device = torch.device(device)
    side, words = 2048, 2**26
    left, right, product = (torch.rand(side, side, device=device) for _ in range(3))
    source, target = (torch.zeros(words, device=device) for _ in range(2))
    calls = {"product": lambda: torch.mm(left, right, out=product), "copy": lambda: target.copy_(source)}
    warmup = 2 if device.type == "cuda" else 0  # the CPU's timer makes two calls of its own
    best = measure(calls, repeats, warmup, device).groupby("name")["ms"].min() / 1e3
    return {"gflops_per_s": 2 * side**3 / best["product"] / 1e9, "gib_per_s": 2 * 4 * words / best["copy"] / 2**30}


def energy(call: Callable[[], object], device: torch.device | str, seconds: float = 0.5) -> float | None:
    """Measure the energy of one call, J, by the GPU's own counter, over at least `seconds` of repeated calls.

    Returns None on a CPU, and without the NVIDIA management library or its counter, which moves in steps of some ms.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        board = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        before = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    except pynvml.NVMLError:
        return None
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        call()
        torch.cuda.synchronize(device)
        calls += 1
    return (pynvml.nvmlDeviceGetTotalEnergyConsumption(board) - before) / 1e3 / calls
