"""Time and memory over several fresh processes: of one process, numbers are those of its luck with memory and caches.

In each process all networks are measured in turn on ever larger inputs. One that runs out of memory or of time has no
larger ones, in this process or the next; one that takes the process with it is left out when that begins anew.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.measure.costs import Size, alone, height_and_width, place
from srlab.measure.limits import MEASURED, MEMORY, QUICK_S, START_S, TIME, bound_memory, found_no_memory
from srlab.measure.profiling import ceilings, peak_memory

#: On so many of the smallest inputs a call is made once untimed, however long it takes: what is compiled is compiled
#: for the first shape, and again for any when a second comes.
FIRST = 2
#: Rounds of each roof: the best of all processes' is not asked for, but their median.
ROOF_ROUNDS = 2


class Ended(NamedTuple):
    """Why a network was measured on no input from this one on, by its number."""

    number: int
    state: str


class Told(NamedTuple):
    """What one process measured: a row for each timed call, roofs, and where series ended."""

    times: list[dict]
    roofs: dict[str, float]
    ended: dict[str, Ended]


def measure_in_processes(
    networks: dict[str, nn.Module],
    sizes: Sequence[Size],
    device: torch.device,
    processes: int,
    repeats: int,
    limit_s: float,
    limit_mib: int,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Time and peak memory of several networks, of those on the trunk of their non-local layers alone.

    A call is made once to warm up, once to see what it holds, and if that takes less than `QUICK_S` then in `repeats`
    rounds in turn with the other quick ones; of a slower one the second call is the one that is timed. It is not warmed
    up if it will be slow and smaller inputs have done so.

    Parameters
    ----------
    networks : dict
        By label.
    sizes : sequence of int or pair of int
        From small to large.
    device : torch.device
    processes, repeats : int
    limit_s : float
        A call that takes longer ends that network's series, s.
    limit_mib : int
        Memory of a process beyond what it holds before the first input, MiB.

    Returns
    -------
    times : DataFrame
        process, label, part, size, repeat, ms, peak_mib (what a call held in that process), a timed call a row.
    costs : DataFrame
        label, part, size, height, width (px), state ("measured", "out of memory", "too slow": the last row of a series
        that ended), median_ms, q25_ms, q75_ms (over medians of processes), processes, peak_mib (median of processes).
    roofs : dict
        As of :func:`srlab.measure.profiling.ceilings`, medians over processes.

    Raises
    ------
    RuntimeError
        If a network fails for another reason; its own traceback is on stderr.
    """
    networks = {label: network.cpu().eval() for label, network in networks.items()}
    sizes = sorted(sizes, key=_pixels)
    ended: dict[str, Ended] = {}
    told: list[Told] = []
    with tqdm(total=processes, desc="fresh processes", unit="process") as progress:
        while len(told) < processes:
            answer = _begin(networks, sizes, ended, device, repeats, limit_s, limit_mib)
            if isinstance(answer, Told):
                told.append(answer)
                progress.update()
                answer = answer.ended
            ended |= answer
    return *_tables(told, sizes, ended), pd.DataFrame([each.roofs for each in told]).median().to_dict()


def _pixels(size: Size) -> int:
    height, width = height_and_width(size)
    return height * width


def _tables(told: list[Told], sizes: Sequence[Size], ended: dict[str, Ended]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, of what was measured in every process."""
    times = pd.concat(pd.DataFrame(each.times).assign(process=number) for number, each in enumerate(told))
    keys = ["label", "part", "size", "height", "width"]
    each = times.groupby([*keys, "process"], sort=False)[["ms", "peak_mib"]].median().groupby(keys, sort=False)
    rows = pd.DataFrame(
        {
            "state": MEASURED,
            "median_ms": each["ms"].median(),
            "q25_ms": each["ms"].quantile(0.25),
            "q75_ms": each["ms"].quantile(0.75),
            "processes": each.size(),
            "peak_mib": each["peak_mib"].median(),
        }
    ).reset_index()
    last = {label: _pixels(sizes[end.number]) for label, end in ended.items()}
    rows = rows[rows["height"] * rows["width"] < rows["label"].map(last).fillna(float("inf"))]
    parts = rows.drop_duplicates("label").set_index("label")["part"]
    failed = [
        {"label": label, "part": parts.get(label, ""), **place(sizes[end.number]), "state": end.state}
        for label, end in ended.items()
    ]
    rows = pd.concat([rows, pd.DataFrame(failed)], ignore_index=True)
    kept = times.merge(rows[rows["state"] == MEASURED][["label", "size"]], on=["label", "size"])
    return kept[["process", "label", "part", "size", "repeat", "ms", "peak_mib"]], rows


def _begin(
    networks: dict[str, nn.Module],
    sizes: Sequence[Size],
    ended: dict[str, Ended],
    device: torch.device,
    repeats: int,
    limit_s: float,
    limit_mib: int,
) -> Told | dict[str, Ended]:
    """What a fresh process measured, or which series it did not survive."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    asked = (networks, sizes, ended, device, repeats, limit_s, limit_mib, torch.get_num_threads())
    process = context.Process(target=_work, args=(theirs, *asked))
    process.start()
    theirs.close()
    label, number = "", 0
    try:
        # Before each first call of a network on an input it says so; last it says all.
        while ours.poll(START_S + 3 * limit_s):
            answer = ours.recv()
            if isinstance(answer, Told):
                process.join(START_S)  # it stops what compiled for it
                return answer
            label, number = answer
        return {label: Ended(number, TIME)}
    except EOFError:
        process.join()
        if process.exitcode >= 0 or not label:
            raise RuntimeError(f"measuring '{label}' ended with status {process.exitcode}") from None
        # Killed by a signal: it is how Linux, and libraries that give up, say that memory is short.
        return {label: Ended(number, MEMORY)}
    finally:
        process.kill()
        process.join()


def _work(
    answers: Connection,
    networks: dict[str, nn.Module],
    sizes: Sequence[Size],
    ended: dict[str, Ended],
    device: torch.device,
    repeats: int,
    limit_s: float,
    limit_mib: int,
    threads: int,
) -> None:
    # tqdm's own lock is a semaphore of the system, which would outlive this process when it is killed.
    tqdm.set_lock(threading.RLock())
    torch.set_num_threads(threads)
    networks = {label: network.to(device, memory_format=torch.channels_last) for label, network in networks.items()}
    told = Told([], ceilings(device, ROOF_ROUNDS), {})
    bound_memory(limit_mib, device)
    expected = dict.fromkeys(networks, 0.0)
    for number, size in enumerate(sizes):
        left = {label: network for label, network in networks.items() if label not in told.ended}
        left = {label: network for label, network in left.items() if _may(label, number, ended)}
        quick = {}
        for label, network in left.items():
            answers.send((label, number))
            part, call = alone(network, size, device)
            facts = {"label": label, "part": part, **place(size)}
            try:
                if number < FIRST or expected[label] < QUICK_S:
                    call()
                seconds, peak = _watch(call, device)
            except (RuntimeError, MemoryError) as error:
                if not found_no_memory(error):
                    raise
                told.ended[label] = Ended(number, MEMORY)
                continue
            if seconds > limit_s:
                told.ended[label] = Ended(number, TIME)
                continue
            facts["peak_mib"] = peak
            if seconds < QUICK_S:
                quick[label] = facts, call
            else:
                told.times.append({**facts, "repeat": 0, "ms": 1e3 * seconds})
            if number + 1 < len(sizes):
                expected[label] = seconds * _pixels(sizes[number + 1]) / _pixels(size)
        for repeat in range(repeats):
            for facts, call in quick.values():
                told.times.append({**facts, "repeat": repeat, "ms": 1e3 * _seconds(call, device)})
    answers.send(told)


def _may(label: str, number: int, ended: dict[str, Ended]) -> bool:
    """Whether no earlier process ended the network's series at or before that input."""
    return label not in ended or number < ended[label].number


def _watch(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """How long a call takes, s, and how much it holds, MiB."""
    took = []
    peak = peak_memory(lambda: took.append(_seconds(call, device)), device)
    return took[0], peak


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
