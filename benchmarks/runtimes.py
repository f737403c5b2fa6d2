"""Each network by onnxruntime beside torch, in one process, in turn, on the CPU.

    python benchmarks/runtimes.py FILES [--only sscan] [--repeats 7]

writes `benchmarks/runtimes-<device>.md` and `.csv`: of networks as published, ×4, with weights as drawn, the time
(ms: median and quartiles) by torch, by torch with the formulas that the file has, and by onnxruntime (`srlab[onnx]`),
all on as many threads; float32, evaluation mode. FILES is a folder for the networks' ONNX files, which take minutes to
make: what is there is taken.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from functools import partial
from pathlib import Path

import onnxruntime
import pandas as pd
import torch

from srlab.errors import InputError
from srlab.measure.devices import describe_device, device_slug
from srlab.measure.profiling import measure, summarise_times
from srlab.models import REGISTRY, build
from srlab.weights.export import export_network, take_formulas

SCALE = 4
#: One of each paper whose code was released.
NETWORKS = ("lcoan", "esc", "esc_fp", "hit_srf")
SHAPE = (1, 3, 64, 64)
CPU = torch.device("cpu")


def run(name: str, files: Path, repeats: int) -> pd.DataFrame:
    """A row for each way to run a network.

    Raises
    ------
    InputError
        If it cannot be an ONNX file.
    """
    network, path = build(name, SCALE, seed=0).eval(), files / f"{name}_x{SCALE}.onnx"
    if not path.is_file():
        export_network(deepcopy(network), path, {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    lr = torch.rand(SHAPE)
    calls = {
        "torch": partial(infer, network, lr),
        "torch, as in the file": partial(infer, take_formulas(deepcopy(network)), lr),
        "onnxruntime": partial(session.run, None, {"lr": lr.numpy()}),
    }
    rows = summarise_times(measure(calls, repeats, warmup=2, device=CPU)).reset_index(names="by")
    rows.insert(0, "network", name)
    rows["times_torch"] = rows["median_ms"] / rows["median_ms"].iloc[0]
    return rows


@torch.inference_mode()
def infer(network: torch.nn.Module, lr: torch.Tensor) -> None:
    network(lr)


def as_markdown(rows: pd.DataFrame, refused: list[str]) -> str:
    """The table, under a line that says what was measured on what, and above what cannot be exported."""
    facts = describe_device(CPU)
    lines = [
        f"{facts['name']}, {facts['threads']} threads, PyTorch {facts['torch']}, "
        f"onnxruntime {onnxruntime.__version__}, float32; ×{SCALE} of {'×'.join(map(str, SHAPE))}; commit {facts['commit']}.",
        "",
        "| network | by | ms: median (quartiles) | times torch |",
        "|---|---|---:|---:|",
    ]
    for row in rows.itertuples():
        quartiles = f"{row.median_ms:.1f} ({row.q25_ms:.1f}–{row.q75_ms:.1f})"
        lines.append(f"| {row.network} | {row.by} | {quartiles} | {row.times_torch:.2f} |")
    return "\n".join([*lines, "", *refused, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, help="A folder for ONNX files.")
    parser.add_argument("--only", nargs="*", choices=REGISTRY, default=[], help="Others than the table's; printed.")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    found, refused = [], []
    for name in arguments.only or NETWORKS:
        try:
            found.append(run(name, arguments.files, arguments.repeats))
        except InputError as error:
            refused.append(f"Not `{name}`: {str(error).partition(': ')[2]}.")
    rows = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    table = as_markdown(rows, refused)
    print(table)
    if not arguments.only:  # part of the table is no table of networks
        path = Path(__file__).parent / f"runtimes-{device_slug(CPU)}"
        path.with_suffix(".md").write_text(table, encoding="utf-8")
        rows.to_csv(path.with_suffix(".csv"), index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
