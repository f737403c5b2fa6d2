"""Compare each mechanism's fast path with the plain path of the same file, interleaved, with memory kept and without.

    python benchmarks/mechanisms.py [--device cuda] [--only window ESC] [--repeats 7] [--before CHECKOUT] [--compile]

writes `benchmarks/latest-<device>.md` and `.csv` after each case, whose rows replace its older ones. Each case runs in
fresh processes, once with glibc's memory kept (see `srlab/measure/allocator.py`) and, on a CPU, once by its default:
time (ms: median and quartiles), the median of each round's ratio to the plain path, and time over the floor: its
products at the speed of a large one in the same rounds, and in brackets its exponentials too. float32, evaluation mode
except for the training step. CUDA adds FlexAttention. A case with quartiles further apart than 15 % is measured once
more, then flagged. `--before` measures each case by another checkout too, alternating, twice. `--compile` adds compiled
networks. `--tiny` shrinks inputs, for tests.
"""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from srlab.attention import BRA, ENLA, FGCA, LSP, NLA, NLSA, CoA, WindowAttention
from srlab.attention.routed_windows import GATHERED
from srlab.measure.devices import CHECKOUT, choose_device, describe_device, device_slug
from srlab.measure.profiling import count_flops, measure, peak_memory
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
    """

    name: str
    shape: tuple[int, int, int, int]
    paths: dict[str, Callable[[], nn.Module]]


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


#: Quartiles further apart than this share of the median are unsteady.
SPREAD = 0.15
SHARING = {"option": "sharing", "plain": "plain", "fast": "recomputed"}
STORED = {"option": "sharing", "plain": "stored", "fast": "recomputed"}
FUSED = {"plain": "reference", "fast": "fused"}
WINDOWS = {"plain": "reference", "fast": "sdpa", "flex": "flex"}
CASES = [
    Case("LSP", (1, 128, 128, 128), paths(partial(LSP, 128), **SHARING, stored="stored")),
    Case("CoA", (1, 128, 128, 128), paths(partial(Collaborating, 128), **SHARING, stored="stored")),
    Case("NLA", (1, 128, 96, 96), paths(partial(NLA, 128), **STORED)),
    Case("NLSA", (1, 128, 128, 128), paths(partial(NLSA, 128), **FUSED)),
    Case("ENLA", (1, 128, 128, 128), {"fast": partial(ENLA, 128)}),
    Case("FGCA", (1, 64, 256, 256), {**paths(partial(FGCA, 64), **FUSED), "gathered, fused": GatheringFGCA}),
    Case("BRA", (1, 64, 128, 128), paths(partial(BRA, 64), **FUSED)),
    Case("window 32×32, table", (1, 64, 128, 128), paths(partial(WindowAttention, 64), **WINDOWS)),
    Case(
        "LCoAN ×4",
        (1, 3, 96, 96),
        paths(partial(build, "lcoan", 4), "sharing", stored="stored", recomputed="recomputed")
        | {"fast": partial(build, "lcoan", 4)},
    ),
    Case("Training step, LCoAN ×4", (4, 3, 48, 48), paths(Step, "sharing", recomputed="recomputed", fast="auto")),
    Case("ESC ×4", (1, 3, 128, 128), paths(partial(build, "esc", 4), **WINDOWS)),
    Case(
        "ELAN-light ×4",
        (1, 3, 128, 128),
        paths(partial(build, "elan_light", 4), plain="reference", fast="sdpa"),
    ),
    Case(
        "HiT-SRF ×4",
        (1, 3, 128, 128),
        paths(partial(build, "hit_srf", 4), plain="reference", fast="reassociated"),
    ),
    Case("CATANet ×4", (1, 3, 128, 128), paths(partial(build, "catanet", 4), **FUSED)),
    Case("ATD-light ×4", (1, 3, 128, 128), paths(partial(build, "atd_light", 4), **FUSED)),
    Case("PFT-light ×4", (1, 3, 128, 128), paths(partial(build, "pft_light", 4), **FUSED)),
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


class Exponentials(TorchDispatchMode):
    """Count exponentials: an exp, a GELU, a score of a softmax or of fused attention is one each."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if "scaled_dot_product" in name and isinstance(args[0], Tensor):
            query, key = args[1:3] if "backward" in name else args[:2]
            self.count += query[..., 0].numel() * key.shape[-2]
        elif name in ("exp", "exp_", "gelu", "softmax", "_softmax", "sigmoid"):
            self.count += args[0].numel()
        return function(*args, **(kwargs or {}))


def shrunk(case: Case) -> Case:
    """Return the case with inputs of an eighth of the sides."""
    return replace(case, shape=(*case.shape[:2], *(side // 8 for side in case.shape[2:])))


def run(case: Case, device: torch.device, repeats: int, compile: bool) -> pd.DataFrame:
    """Measure a row for each path of a case, in this process."""
    torch.manual_seed(0)
    x = torch.rand(case.shape, device=device)
    if case.shape[1] > 3:  # as layers get their input inside networks
        x = x.to(memory_format=torch.channels_last)
    calls = {path: partial(infer, module, x) for path, module in modules(case, device, compile)}
    side, many = 1024, 2**22
    left, right, product = (torch.rand(side, side, device=device) for _ in range(3))
    exponents, powers = (torch.rand(many, device=device) for _ in range(2))
    roofs = {"gemm": lambda: torch.mm(left, right, out=product), "exp": lambda: torch.exp(exponents, out=powers)}
    times = measure(calls | roofs, repeats, warmup=2, device=device).pivot(index="repeat", columns="name", values="ms")
    rows = []
    for path, call in calls.items():
        row = {"case": case.name, "input": "×".join(map(str, case.shape)), "path": path}
        row |= dict(zip(("q25_ms", "median_ms", "q75_ms"), times[path].quantile([0.25, 0.5, 0.75]), strict=True))
        row["times_plain"] = (times["plain"] / times[path]).median() if "plain" in times else None
        counted = calls[path.removesuffix(", compiled")]
        with Exponentials() as exponentials:
            counted()
        row["floor_ms"] = (count_flops(counted) / (2 * side**3) * times["gemm"]).median()
        row["floor_exp_ms"] = row["floor_ms"] + (exponentials.count / many * times["exp"]).median()
        row |= {"gflops_per_s": (2 * side**3 / 1e6 / times["gemm"]).median(), "peak_mib": peak_memory(call, device)}
        rows.append(row | {"repeats": repeats})
    return pd.DataFrame(rows)


def run_there(case: Case, words: list[str], memory: str = "kept", checkout: Path = CHECKOUT) -> pd.DataFrame:
    """Measure the same rows in a fresh process, by the code of a checkout; once more if the quartiles lie far apart.

    Tiny inputs are measured once: their times are of no interest.
    """
    command = [sys.executable, "-P", __file__, "--only", case.name, "--memory", memory, *words]
    for _ in range(1 if "--tiny" in words else 2):
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        made = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows = pd.read_csv(StringIO(made.stdout))
        rows["spread"] = (rows["q75_ms"] - rows["q25_ms"]) / rows["median_ms"]
        if (rows["spread"] <= SPREAD).all():
            break
    return rows


def compared(case: Case, words: list[str], device: torch.device, before: Path | None) -> pd.DataFrame:
    """Measure a case with memory kept, by the default allocator, and by another checkout, alternating, each twice."""
    then, now = [], []
    for _ in range(2 if before else 1):
        if before:
            then.append(run_there(case, [word for word in words if word != "--compile"], checkout=before))
        now.append(run_there(case, words))
    rows = now[0]
    more = {"default": run_there(case, words, "default")} if device.type == "cpu" else {}
    if before:
        rows = pd.concat(now).groupby(["case", "input", "path"], sort=False).median(numeric_only=True).reset_index()
        more["before"] = pd.concat(then).groupby("path", as_index=False).median(numeric_only=True)
    for name, others in more.items():
        columns = others.set_index("path")[["median_ms", "times_plain", "peak_mib"]].add_prefix(f"{name}_")
        rows = rows.join(columns, on="path")
    return rows


@torch.inference_mode()
def infer(module: Callable[[Tensor], object], x: Tensor) -> None:
    module(x)


def keep(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write rows to a CSV file in place of its rows of the same cases; return all, in the order of the cases."""
    if path.is_file():
        there = pd.read_csv(path)
        rows = pd.concat([there[~there["case"].isin(rows["case"])], rows], ignore_index=True)
    places = {case.name: place for place, case in enumerate(CASES)}
    rows = rows.sort_values("case", key=lambda names: names.map(places), kind="stable")
    rows.to_csv(path, index=False, float_format="%.4g")
    return rows


def as_markdown(rows: pd.DataFrame, device: torch.device, before: Path | None) -> str:
    """Format the table under a line that names the device."""
    facts = describe_device(device)
    head = f"{facts['name']}, {facts['threads']} threads, PyTorch {facts['torch']}, float32; commit"
    head += f" {', '.join(rows['commit'].unique())}"
    head += f"; products of 1024×1024 at {rows['gflops_per_s'].min():.0f} to {rows['gflops_per_s'].max():.0f} GFLOP/s"
    shown = pd.DataFrame({"mechanism": rows["case"], "input": rows["input"], "path": rows["path"]})
    shown["ms: median (quartiles)"] = [
        f"{row.median_ms:.1f} ({row.q25_ms:.1f}–{row.q75_ms:.1f})" + " unsteady" * (row.spread > SPREAD)
        for row in rows.itertuples()
    ]
    shown["times plain"] = rounded(rows["times_plain"], 2)
    if device.type == "cpu":
        shown["default: ms"], shown["default: times plain"] = (
            rounded(rows[f"default_{name}"], digits) for name, digits in (("median_ms", 1), ("times_plain", 2))
        )
    over = (rounded(rows["median_ms"] / rows[floor], 1) for floor in ("floor_ms", "floor_exp_ms"))
    shown["over the floor"] = [f"{gemm} ({exp})" for gemm, exp in zip(*over, strict=True)]
    shown["peak MiB"] = rounded(rows["peak_mib"], 0)
    if before:
        head += f"; before: {commit_of(before)}, alternating, medians of two processes each"
        shown["times before"] = rounded(rows["before_median_ms"] / rows["median_ms"], 2)
        shown["before: MiB"] = rounded(rows["before_peak_mib"], 0)
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
    parser.add_argument("--tiny", action="store_true", help="Inputs of an eighth of the sides.")
    parser.add_argument("--memory", choices=("kept", "default"), help="Print rows of this process as CSV.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="The folder of the table.")
    arguments = parser.parse_args()
    device, before = choose_device(arguments.device), arguments.before
    chosen = [case for case in CASES if not arguments.only or case.name.startswith(tuple(arguments.only))]
    if arguments.tiny:
        chosen = [shrunk(case) for case in chosen]
    if arguments.memory:
        if arguments.memory == "kept":  # by this checkout's code, whatever the measured one has
            runpy.run_path(str(Path(__file__).parents[1] / "srlab/measure/allocator.py"))["keep_memory"]()
        made = [run(case, device, arguments.repeats, arguments.compile) for case in chosen]
        print(pd.concat(made).to_csv(index=False), end="")
        return
    words = ["--device", str(device), "--repeats", str(arguments.repeats)]
    words += ["--compile"] * arguments.compile + ["--tiny"] * arguments.tiny
    path = arguments.output / f"latest-{device_slug(device)}"
    for case in chosen:
        rows = compared(case, words, device, before).assign(commit=describe_device(device)["commit"])
        table = as_markdown(keep(rows, path.with_suffix(".csv")), device, before)
        path.with_suffix(".md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
