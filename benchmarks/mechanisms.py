"""Compare each mechanism's fast path with the plain path of the same file, interleaved in one process.

    python benchmarks/mechanisms.py [--device cuda] [--only window ESC] [--repeats 7] [--before CHECKOUT] [--compile]

writes `benchmarks/latest-<device>.md` and `.csv`: time (ms: median and quartiles), peak memory above the input (MiB),
and the speed-up over the plain path; float32, evaluation mode except for the training step. CUDA adds FlexAttention.
`--before` measures each case by another checkout too, alternating, twice. `--compile` adds compiled networks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
from torch import Tensor, nn

from srlab.attention import BRA, ENLA, FGCA, LSP, NLA, NLSA, CoA, WindowAttention
from srlab.attention.routed_windows import GATHERED
from srlab.measure.devices import CHECKOUT, choose_device, describe_device, device_slug
from srlab.measure.profiling import measure, peak_memory, summarise_times
from srlab.models import build


@dataclass(frozen=True)
class Case:
    """A mechanism or network and its paths.

    Attributes
    ----------
    name : str
    shape : tuple of int
        The input's.
    paths : dict
        Functions that build each path's module; "plain" is the paper's formula, "fast" ours.
    least : float or None
        Required speed-up of the fast path on a CPU.
    """

    name: str
    shape: tuple[int, int, int, int]
    paths: dict[str, Callable[[], nn.Module]]
    least: float | None = None


class Collaborating(nn.Module):
    """CoA alone; LSP makes its pattern in the first call, which is not timed."""

    def __init__(self, channels: int, sharing: str):
        super().__init__()
        self.first = LSP(channels, sharing=sharing)
        self.layer = CoA(channels)
        self.shared = None

    def forward(self, x: Tensor) -> Tensor:
        if self.shared is None:
            _, self.shared = self.first(x)
        return self.layer(x, self.shared)[0]


class Step(nn.Module):
    """A training step, L1 and Adam, of a small LCoAN."""

    def __init__(self, sharing: str):
        super().__init__()
        self.network = build("lcoan", 4, channels=64, groups=4, blocks=2, sharing=sharing)
        self.adam = torch.optim.Adam(self.network.parameters(), 1e-4)

    def eval(self) -> Step:
        """Stay in training mode."""
        return self

    def forward(self, lr: Tensor) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            self.adam.zero_grad()
            self.network(lr).abs().mean().backward()
            self.adam.step()


class GatheringFGCA(FGCA):
    """FGCA that copies the keys and values of all windows at once."""

    def __init__(self):
        super().__init__(64)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        with patch.dict(GATHERED, dict.fromkeys(GATHERED, 2**62)):
            return super().forward(x)


def paths(make: Callable[..., nn.Module], option: str = "backend", **values: str) -> dict[str, Callable]:
    """Return the same module with each value of one of its options."""
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
    Case(
        "LCoAN ×4",
        (1, 3, 96, 96),
        paths(partial(build, "lcoan", 4), "sharing", stored="stored", recomputed="recomputed")
        | {"fast": partial(build, "lcoan", 4)},
    ),
    Case("Training step, LCoAN ×4", (4, 3, 48, 48), paths(Step, "sharing", stored="stored", fast="recomputed")),
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


def modules(case: Case, device: torch.device, compile: bool) -> Iterator[tuple[str, Callable[[Tensor], object]]]:
    """Yield the case's paths, all with the same weights."""
    for path, make in case.paths.items():
        if path == "flex" and device.type != "cuda":
            continue
        torch.manual_seed(0)
        module = make().to(device).eval()
        yield path, module
        if path == "fast" and compile and case.shape[1] == 3 and not isinstance(module, Step):
            yield "fast, compiled", torch.compile(module)


def run(case: Case, device: torch.device, repeats: int, compile: bool) -> pd.DataFrame:
    """Measure a row for each path of a case."""
    torch.manual_seed(0)
    x = torch.rand(case.shape, device=device)
    if case.shape[1] > 3:  # as layers get their input inside networks
        x = x.to(memory_format=torch.channels_last)
    calls = {path: partial(infer, module, x) for path, module in modules(case, device, compile)}
    rows = summarise_times(measure(calls, repeats, warmup=2, device=device)).reset_index(names="path")
    rows.insert(0, "case", case.name)
    rows.insert(1, "input", "×".join(map(str, case.shape)))
    rows["peak_mib"] = [peak_memory(calls[path], device) for path in rows["path"]]
    rows["at_least"] = [case.least if path == "fast" else None for path in rows["path"]]
    return rows


def run_there(case: Case, checkout: Path, device: torch.device, repeats: int, compile: bool) -> pd.DataFrame:
    """Measure the same rows by the code of a checkout, in a process of its own."""
    words = [sys.executable, "-P", __file__, "--only", case.name, "--csv", "--device", str(device)]
    words += ["--compile"] if compile else []
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    made = subprocess.run(
        [*words, "--repeats", str(repeats)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return pd.read_csv(StringIO(made.stdout))


def run_both(case: Case, before: Path, device: torch.device, repeats: int, compile: bool) -> pd.DataFrame:
    """Measure this code and another checkout's, alternating, each twice; add before_ms and before_mib."""
    key = ["case", "input", "path"]
    then, now = [], []
    for turn in range(2):
        then.append(run_there(case, before, device, repeats, False))
        now.append(run_there(case, CHECKOUT, device, repeats, compile and turn == 0))
    then, now = (pd.concat(rows).groupby(key, sort=False).median() for rows in (then, now))
    return now.assign(before_ms=then["median_ms"], before_mib=then["peak_mib"]).reset_index()


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the speed-up of each path over its case's plain one."""
    plain = rows[rows["path"] == "plain"].set_index("case")["median_ms"]
    return rows.assign(times_faster=rows["case"].map(plain) / rows["median_ms"])


@torch.inference_mode()
def infer(module: Callable[[Tensor], object], x: Tensor) -> None:
    module(x)


def as_markdown(rows: pd.DataFrame, device: torch.device, before: Path | None) -> str:
    """Format the table under a line that names the device."""
    facts = describe_device(device)
    head = f"{facts['name']}, {facts['threads']} threads, PyTorch {facts['torch']}, float32; commit {facts['commit']}"
    shown = pd.DataFrame({"mechanism": rows["case"], "input": rows["input"], "path": rows["path"]})
    if before:
        head += f"; before: {commit_of(before)}, alternating, medians of two processes each"
        shown["before: ms"], shown["before: MiB"] = rounded(rows["before_ms"], 1), rounded(rows["before_mib"], 0)
    shown["ms: median (quartiles)"] = [
        f"{row.median_ms:.1f} ({row.q25_ms:.1f}–{row.q75_ms:.1f})" for row in rows.itertuples()
    ]
    shown["peak MiB"] = rounded(rows["peak_mib"], 0)
    if before:
        shown["times before"] = rounded(rows["before_ms"] / rows["median_ms"], 2)
    shown["times plain"], shown["at least"] = rounded(rows["times_faster"], 2), rounded(rows["at_least"], 1)
    align = ["left"] * 3 + ["right"] * (shown.shape[1] - 3)
    return f"{head}.\n\n{shown.to_markdown(index=False, colalign=align, disable_numparse=True)}\n"


def rounded(numbers: pd.Series, digits: int) -> list[str]:
    return ["" if pd.isna(number) else f"{number:.{digits}f}" for number in numbers]


def commit_of(checkout: Path) -> str:
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="*", default=[], help="Cases whose names begin so.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--before", type=Path, help="Another checkout of this project, to compare with.")
    parser.add_argument("--compile", action="store_true", help="Compile the fast paths too.")
    parser.add_argument("--csv", action="store_true", help="Print rows, and write nothing.")
    arguments = parser.parse_args()
    device, before = choose_device(arguments.device), arguments.before
    chosen = [case for case in CASES if not arguments.only or case.name.startswith(tuple(arguments.only))]
    rows = compared(
        pd.concat(
            run_both(case, before, device, arguments.repeats, arguments.compile)
            if before
            else run(case, device, arguments.repeats, arguments.compile)
            for case in chosen
        )
    ).reset_index(drop=True)
    if arguments.csv:
        print(rows.drop(columns="times_faster").to_csv(index=False), end="")
        return
    table = as_markdown(rows, device, before)
    print(table)
    if not arguments.only:  # part of the table is no latest table
        path = Path(__file__).parent / f"latest-{device_slug(device)}"
        path.with_suffix(".md").write_text(table, encoding="utf-8")
        rows.to_csv(path.with_suffix(".csv"), index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
