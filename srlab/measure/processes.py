"""Time and memory in fresh processes: a single process's numbers depend on its memory layout and caches.

Each process measures all networks interleaved, on ever larger inputs. A network that runs out of memory or of time gets
no larger inputs, in this process or the next. If a network kills its process, the process begins anew without it.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, TypeVar

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.errors import out_of_memory
from srlab.measure.allocator import keep_memory
from srlab.measure.costs import Size, calls_by_part, height_and_width, size_columns
from srlab.measure.profiling import MIB, ceilings, peak_memory

#: States of a network on an input.
MEASURED, MEMORY, TIME = "measured", "out of memory", "too slow"
#: Side of the input on which a process loads what it needs for any input, before its memory is bounded.
FIRST = 16
#: On so many of the smallest inputs a call is first made untimed, however long it takes: a compiler compiles for the
#: first shape, and again for any shape when a second comes.
WARMED = 2
#: A call that takes less is timed several times, s; noise matters less for slower ones.
QUICK_S = 0.5
#: How long a process may take to start, or to compile, s.
START_S = 60.0
#: A process is killed when a network is silent for this many times the limit of a call.
PATIENCE = 12
#: Rounds of each roof in a process.
ROOF_ROUNDS = 2

T = TypeVar("T")


class Task(NamedTuple):
    networks: dict[str, nn.Module]
    sizes: list[Size]
    device: torch.device
    repeats: int
    limit_s: float
    limit_mib: int
    roofs: bool
    threads: int


class End(NamedTuple):
    """The first size, by number, on which a network failed, and its state there."""

    number: int
    state: str


class ProcessResult(NamedTuple):
    times: list[dict]
    roofs: dict[str, float]
    ends: dict[str, End]


def measure_in_processes(
    networks: dict[str, nn.Module],
    sizes: Sequence[Size],
    device: torch.device,
    processes: int,
    repeats: int,
    limit_s: float,
    limit_mib: int,
    roofs: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Measure networks in several fresh processes: of a network on the trunk, its non-local layers alone.

    A call is made once to warm up and once to watch its memory. If that takes less than `QUICK_S`, it is timed in
    `repeats` rounds, interleaved with other quick calls. A slow call is not warmed up again once smaller inputs have
    been, and its watched call is the timed one. A call of more than `limit_s` seconds ends its network's series;
    `limit_mib` is a process's memory beyond what it holds after a small first input, MiB, or on a GPU all its memory.
    RuntimeError if a network fails for another reason; its own traceback is on stderr.

    Returns
    -------
    times : DataFrame
        process, label, part, size, repeat, ms, peak_mib, a timed call a row.
    costs : DataFrame
        label, part, size, height, width (px), state ("measured"; "out of memory" or "too slow" in the last row of a
        series that ended), median_ms, q25_ms, q75_ms (over medians of processes), processes, peak_mib (median).
    roofs : dict
        Medians of :func:`srlab.measure.profiling.ceilings`; empty without `roofs`.
    """
    networks = {label: network.cpu().eval() for label, network in networks.items()}
    sizes, threads = sorted(sizes, key=_pixels), torch.get_num_threads()
    task = Task(networks, sizes, device, repeats, limit_s, limit_mib, roofs, threads)
    ends: dict[str, End] = {}
    results: list[ProcessResult] = []
    with tqdm(total=processes, desc="fresh processes", unit="process", leave=False) as progress:
        while len(results) < processes:
            result, found = _run(task, ends)
            ends |= found
            if result is not None:
                results.append(result)
                progress.update()
    return *_tables(results, sizes, ends), pd.DataFrame([result.roofs for result in results]).median().to_dict()


def _pixels(size: Size) -> int:
    height, width = height_and_width(size)
    return height * width


def _tables(results: list[ProcessResult], sizes: list[Size], ends: dict[str, End]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the times and costs of the inputs that every process measured, and the ends of series."""
    keys = ["label", "part", "size", "height", "width"]
    rows = [{"process": number, **row} for number, result in enumerate(results) for row in result.times]
    times = pd.DataFrame(rows, columns=["process", *keys, "repeat", "ms", "peak_mib"])
    end = times["label"].map({label: _pixels(sizes[end.number]) for label, end in ends.items()})
    times = times[times["height"] * times["width"] < end.fillna(float("inf"))].astype({"ms": float, "peak_mib": float})
    each = times.groupby([*keys, "process"], sort=False)[["ms", "peak_mib"]].median().groupby(keys, sort=False)
    costs = pd.DataFrame(
        {
            "state": MEASURED,
            "median_ms": each["ms"].median(),
            "q25_ms": each["ms"].quantile(0.25),
            "q75_ms": each["ms"].quantile(0.75),
            "processes": each.size(),
            "peak_mib": each["peak_mib"].median(),
        }
    ).reset_index()
    parts = dict(zip(costs["label"], costs["part"], strict=True))
    failed = [
        {"label": label, "part": parts.get(label, ""), **size_columns(sizes[end.number]), "state": end.state}
        for label, end in ends.items()
    ]
    costs = pd.DataFrame([*costs.to_dict("records"), *failed], columns=costs.columns)
    return times.drop(columns=["height", "width"]), costs


def _run(task: Task, ends: dict[str, End]) -> tuple[ProcessResult | None, dict[str, End]]:
    """Return the result of a fresh process, or None, and the ends of series that it met."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, task, ends))
    process.start()
    theirs.close()
    label, number = "", 0
    silence_s = PATIENCE * task.limit_s + task.repeats * len(task.networks) * QUICK_S
    try:
        # The process names each network and input before the first call, and sends its result last.
        while ours.poll(silence_s + START_S * (number < WARMED)):
            answer = ours.recv()
            if isinstance(answer, ProcessResult):
                process.join(START_S)  # it stops what compiled for it
                return answer, answer.ends
            label, number = answer
        return None, {label: End(number, TIME)}
    except EOFError:
        process.join()
        if process.exitcode >= 0 or not label:
            raise RuntimeError(f"measuring '{label}' ended with status {process.exitcode}") from None
        # Killed by a signal: Linux, and libraries that give up, do so when memory is short.
        return None, {label: End(number, MEMORY)}
    finally:
        process.kill()
        process.join()


def _work(answers: Connection, task: Task, ends: dict[str, End]) -> None:
    # tqdm's own lock is a semaphore of the system, which would outlive this process when it is killed.
    tqdm.set_lock(threading.RLock())
    keep_memory()
    torch.set_num_threads(task.threads)
    sizes, device = task.sizes, task.device
    networks = {label: each for label, each in task.networks.items() if label not in ends or ends[label].number > 0}
    result = ProcessResult([], ceilings(device, ROOF_ROUNDS) if task.roofs else {}, {})
    for label, network in networks.items():
        answers.send((label, 0))
        network.to(device, memory_format=torch.channels_last)
        _watch(network, FIRST, device)
    bound_memory(task.limit_mib, device)

    def attempt(label: str, number: int, function: Callable[[], T]) -> T | None:
        """Call `function`; if memory runs out, end the network's series and return None."""
        try:
            return function()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            result.ends[label] = End(number, MEMORY)

    expected_s = dict.fromkeys(networks, 0.0)
    for number, size in enumerate(sizes):
        quick = {}
        for label, network in networks.items():
            if label in result.ends or (label in ends and number >= ends[label].number):
                continue
            answers.send((label, number))
            warm = number < WARMED or expected_s[label] < QUICK_S
            if not (watched := attempt(label, number, partial(_watch, network, size, device, warm))):
                continue
            seconds, row, call = watched
            row = {"label": label, **row}
            if seconds > task.limit_s:
                result.ends[label] = End(number, TIME)
            elif seconds < QUICK_S:
                quick[label] = row, call
            else:
                result.times.append({**row, "repeat": 0, "ms": 1e3 * seconds})
            expected_s[label] = seconds * _pixels(sizes[min(number + 1, len(sizes) - 1)]) / _pixels(size)
        for repeat in range(task.repeats):
            for label, (row, call) in quick.items():
                if seconds := attempt(label, number, partial(_seconds, call, device)):
                    result.times.append({**row, "repeat": repeat, "ms": 1e3 * seconds})
    answers.send(result)


def _watch(
    network: nn.Module, size: Size, device: torch.device, warm: bool = True
) -> tuple[float, dict[str, object], Callable[[], object]]:
    """Return how long the network's last part takes, s, its part, size and peak memory, and its call."""
    *_, (part, call) = calls_by_part(network, size, device).items()
    if warm:
        call()
    took = []
    peak_mib = peak_memory(lambda: took.append(_seconds(call, device)), device)
    return took[0], {"part": part, **size_columns(size), "peak_mib": peak_mib}, call


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def bound_memory(limit_mib: int, device: torch.device) -> None:
    """Let this process hold `limit_mib` MiB more than it holds now; on a GPU, `limit_mib` MiB altogether."""
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_mib * MIB / whole), device)
        return
    with open("/proc/self/status") as status:
        held = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (held + limit_mib * MIB, resource.RLIM_INFINITY))
