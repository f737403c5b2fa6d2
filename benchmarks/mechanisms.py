"""Each mechanism's fast path against the plain path of the same file, in one process, in turn.

    python benchmarks/mechanisms.py [--device cuda] [--only window ESC] [--repeats 7]

writes `benchmarks/latest-<device>.md` and `.csv`: time (ms: median and quartiles), peak memory above what the
call is given (MiB), and how many times faster than the plain path. float32, evaluation mode. On CUDA also
FlexAttention and the compiled fast path.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import nan
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
from torch import Tensor, nn

from srlab.attention import BRA, ENLA, FGCA, LSP, NLA, NLSA, CoA, WindowAttention
from srlab.attention.routed_windows import GATHERED
from srlab.measure.devices import choose_device, describe_device, device_slug
from srlab.measure.profiling import measure, peak_memory, summarise_times
from srlab.models import build


@dataclass(frozen=True)
class Case:
    """A mechanism or network and its paths.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Of the input.
    paths : dict
        Makes each path's module; "plain" is as the paper writes it, "fast" ours.
    least : float or None
        How many times faster the fast path has to be on a CPU.
    """

    name: str
    shape: tuple[int, int, int, int]
    paths: dict[str, Callable[[], nn.Module]]
    least: float | None = None


class Collaborating(nn.Module):
    """CoA alone, with a pattern that LSP made before the clock ran."""

    def __init__(self, channels: int, sharing: str):
        super().__init__()
        self.first = LSP(channels, sharing=sharing)
        self.layer = CoA(channels)
        self.shared = None

    def forward(self, x: Tensor) -> Tensor:
        if self.shared is None:
            _, self.shared = self.first(x)
        return self.layer(x, self.shared)[0]


class GatheringFGCA(FGCA):
    """FGCA that copies the keys and values of all windows at once, and then attends by the same kernel."""

    def __init__(self):
        super().__init__(64)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        with patch.dict(GATHERED, dict.fromkeys(GATHERED, 2**62)):
            return super().forward(x)


def paths(make: Callable[..., nn.Module], option: str = "backend", **values: str) -> dict[str, Callable]:
    """The same module by each value of one of its options."""
    return {path: partial(make, **{option: value}) for path, value in values.items()}


SHARING = {"option": "sharing", "plain": "plain", "fast": "recomputed"}
STORED = {"option": "sharing", "plain": "stored", "fast": "recomputed"}
FUSED = {"plain": "reference", "fast": "fused"}
WINDOWS = {"plain": "reference", "fast": "sdpa", "flex": "flex"}
CASES = [
    Case("LSP", (1, 128, 128, 128), paths(partial(LSP, 128), **SHARING, stored="stored"), 2),
    Case("CoA", (1, 128, 128, 128), paths(partial(Collaborating, 128), **SHARING, stored="stored")),
    Case("NLA", (1, 128, 96, 96), paths(partial(NLA, 128), **STORED)),
    Case("NLSA", (1, 128, 128, 128), paths(partial(NLSA, 128), **FUSED)),
    Case("ENLA", (1, 128, 128, 128), {"fast": partial(ENLA, 128)}),
    Case(
        "FGCA",
        (1, 64, 256, 256),
        {**paths(partial(FGCA, 64), **FUSED), "gathered, fused": GatheringFGCA},
        1,
    ),
    Case("BRA", (1, 64, 128, 128), paths(partial(BRA, 64), **FUSED)),
    Case("window 32×32, table", (1, 64, 128, 128), paths(partial(WindowAttention, 64), **WINDOWS), 5),
    Case("ESC ×4", (1, 3, 128, 128), paths(partial(build, "esc", 4), **WINDOWS), 2.5),
    Case(
        "ELAN-light ×4",
        (1, 3, 128, 128),
        paths(partial(build, "elan_light", 4), plain="reference", fast="sdpa"),
    ),
    Case(
        "HiT-SRF ×4",
        (1, 3, 128, 128),
        paths(partial(build, "hit_srf", 4), plain="reference", fast="reassociated"),
        5,
    ),
]


def modules(case: Case, device: torch.device) -> Iterator[tuple[str, Callable[[Tensor], object]]]:
    """The case's paths, all with the same weights."""
    for path, make in case.paths.items():
        if path == "flex" and device.type != "cuda":
            continue
        torch.manual_seed(0)
        module = make().to(device).eval()
        yield path, module
        if path == "fast" and device.type == "cuda":
            yield "fast, compiled", torch.compile(module)


def run(case: Case, device: torch.device, repeats: int) -> pd.DataFrame:
    """A row for each path of a case."""
    torch.manual_seed(0)
    # Networks run channels-last, so their layers are measured so.
    x = torch.rand(case.shape, device=device).to(memory_format=torch.channels_last)
    calls = {path: partial(infer, module, x) for path, module in modules(case, device)}
    times = summarise_times(measure(calls, repeats, warmup=2, device=device))
    rows = times.reset_index(names="path")
    rows.insert(0, "case", case.name)
    rows.insert(1, "input", "×".join(map(str, case.shape)))
    rows["peak_mib"] = [peak_memory(calls[path], device) for path in rows["path"]]
    rows["times_faster"] = times["median_ms"].get("plain", nan) / times["median_ms"].to_numpy()
    rows["at_least"] = [case.least if path == "fast" else None for path in rows["path"]]
    return rows


@torch.inference_mode()
def infer(module: Callable[[Tensor], object], x: Tensor) -> None:
    module(x)


def as_markdown(rows: pd.DataFrame, device: torch.device) -> str:
    """The table, under a line that says what was measured on."""
    facts = describe_device(device)
    lines = [
        f"{facts['name']}, {facts['threads']} threads, PyTorch {facts['torch']}, float32; "
        f"commit {facts['commit']}.",
        "",
        "| mechanism | input | path | ms: median (quartiles) | peak MiB | times faster | at least |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows.itertuples():
        quartiles = f"{row.median_ms:.1f} ({row.q25_ms:.1f}–{row.q75_ms:.1f})"
        least = "" if pd.isna(row.at_least) else f"{row.at_least:g}"
        faster = "" if pd.isna(row.times_faster) else f"{row.times_faster:.2f}"
        lines.append(
            f"| {row.case} | {row.input} | {row.path} | {quartiles} | {row.peak_mib:.0f} "
            f"| {faster} | {least} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="*", default=[], help="Cases whose names begin so.")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    chosen = [case for case in CASES if not arguments.only or case.name.startswith(tuple(arguments.only))]
    rows = pd.concat([run(case, device, arguments.repeats) for case in chosen], ignore_index=True)
    table = as_markdown(rows, device)
    print(table)
    if not arguments.only:  # part of the table is no latest table
        path = Path(__file__).parent / f"latest-{device_slug(device)}"
        path.with_suffix(".md").write_text(table, encoding="utf-8")
        rows.to_csv(path.with_suffix(".csv"), index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
