"""How large an image a layer can take: ever larger inputs, each network in a process of its own.

A process that runs out of memory or of time is a row of the result, not the end of the study.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.errors import out_of_memory
from srlab.measure.profiling import MIB, measure, peak_memory, summarise_times

MEASURED, MEMORY, TIME = "measured", "out of memory", "too slow"

COLUMNS = ("label", "height", "width", "state", "median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib")

#: How libraries below PyTorch say that they found no memory.
TOLD = ("bad_alloc", "could not create a primitive", "can't start new thread")
#: Height and width of a map for which a process loads and keeps what it needs for any, before it is bounded.
FIRST = (16, 16)
#: A network that answers within this is timed several times; a slower one, whose noise matters less, once.
QUICK_S = 0.5
#: How long a process may take to start, s.
START_S = 60.0


def find_limits(
    networks: dict[str, nn.Module],
    sizes: Sequence[tuple[int, int]],
    limit_s: float,
    limit_mib: int,
    device: torch.device,
) -> pd.DataFrame:
    """Time and memory of the non-local layers of each network on ever larger inputs, until one fails.

    Parameters
    ----------
    networks : dict of str to Trunk
    sizes : sequence of pair of int
        Height and width of the feature maps, from small to large.
    limit_s : float
        A call that takes longer ends that network's series, s.
    limit_mib : int
        Memory of the process beyond what it holds after a first small input, MiB; the input included.
    device : torch.device

    Returns
    -------
    DataFrame
        label, height, width, state ("measured", "out of memory", "too slow"), median_ms, q25_ms, q75_ms,
        repeats, peak_mib (beyond the input; all five NaN where it failed). A network's last row is its first
        failure, if there was any.

    Raises
    ------
    RuntimeError
        If a layer fails for another reason; its own traceback is on stderr.
    """
    rows = []
    for label, network in tqdm(networks.items(), desc="largest inputs", unit="network"):
        rows += [{"label": label, **row} for row in _series(network, sizes, limit_s, limit_mib, device)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _series(
    network: nn.Module,
    sizes: Sequence[tuple[int, int]],
    limit_s: float,
    limit_mib: int,
    device: torch.device,
) -> list[dict]:
    """The rows of one network, from a process that may be killed without harm."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work, args=(theirs, network.cpu(), sizes, limit_s, limit_mib, device, torch.get_num_threads())
    )
    process.start()
    theirs.close()
    rows: list[dict] = []
    try:
        starting = START_S
        for height, width in sizes:
            # First it says, by None, that one call is over, so that no hopeless one is waited for.
            row = _heard(ours, starting + 2 * limit_s)
            row = _heard(ours, 12 * limit_s) if row is None else row
            starting = 0
            rows.append({"height": height, "width": width, **row})
            if row["state"] != MEASURED:
                break
    except EOFError:
        process.join()
        if process.exitcode >= 0:
            raise RuntimeError(f"an input of {height}×{width} ended with status {process.exitcode}") from None
        # Killed by a signal: it is how Linux, and libraries that give up, say that memory is short.
        rows.append({"height": height, "width": width, "state": MEMORY})
    finally:
        process.kill()
        process.join()
    return rows


def _heard(process: Connection, seconds: float) -> dict | None:
    return process.recv() if process.poll(seconds) else {"state": TIME}


def _work(
    answers: Connection,
    network: nn.Module,
    sizes: Sequence[tuple[int, int]],
    limit_s: float,
    limit_mib: int,
    device: torch.device,
    threads: int,
) -> None:
    # tqdm's own lock is a semaphore of the system, which would outlive this process when it is killed.
    tqdm.set_lock(threading.RLock())
    torch.set_num_threads(threads)
    network = network.to(device, memory_format=torch.channels_last).eval()
    _measure(network, *FIRST, limit_s, device, lambda: None)
    bound_memory(limit_mib, device)
    for height, width in sizes:
        try:
            answer = _measure(network, height, width, limit_s, device, lambda: answers.send(None))
        except (RuntimeError, MemoryError) as error:
            if not found_no_memory(error):
                raise
            answer = {"state": MEMORY}
        answers.send(answer)
        if answer["state"] != MEASURED:
            return


def found_no_memory(error: Exception) -> bool:
    """Whether a call failed for want of memory, as PyTorch or a library below it says so."""
    return out_of_memory(error) or any(words in str(error) for words in TOLD)


def bound_memory(limit_mib: int, device: torch.device) -> None:
    """Let this process hold so many MiB more than it holds now."""
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_mib * MIB / whole), device)
        return
    with open("/proc/self/status") as status:
        held = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (held + limit_mib * MIB, resource.RLIM_INFINITY))


@torch.inference_mode()
def _measure(
    network: nn.Module,
    height: int,
    width: int,
    limit_s: float,
    device: torch.device,
    began_well: Callable[[], None],
) -> dict:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, network.channels, height, width, generator=generator)
    features = features.to(device, memory_format=torch.channels_last)

    def call() -> None:
        network.attend(features)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    call()
    began_well()
    began = time.perf_counter()
    call()
    seconds = time.perf_counter() - began
    if seconds > limit_s:
        return {"state": TIME}
    repeats = 5 if seconds < QUICK_S else 1
    [times] = summarise_times(measure({"call": call}, repeats, 0, device)).to_dict("records")
    return {"state": MEASURED, **times, "peak_mib": peak_memory(call, device)}
