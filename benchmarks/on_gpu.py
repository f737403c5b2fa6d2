"""Check and measure everything on a GPU, in at most 8 minutes.

    python benchmarks/on_gpu.py [--device cuda] [--minutes 8] [--output results/devices] [--tiny]

writes into `results/devices/<device>/`, a row as soon as it is made:

- `agreement.csv`: every mechanism and network, forward and backward: the largest difference from the CPU, relative to
  the largest number, and whether it is below 1e-4 (float32, evaluation mode);
- `training.csv`: seconds and loss of a short training;
- `costs.csv`: the rows of `mechanisms.py`, plain formulas and ours, in float32 and bf16, compiled and not.

TF32 is off. What the time does not allow is named at the end; the exit status is 1 if a comparison fails.
"""

from __future__ import annotations

import argparse
import copy
import runpy
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mechanisms
import pandas as pd
import torch
from torch import Tensor, nn

from srlab.measure.allocator import keep_memory
from srlab.measure.devices import CHECKOUT, choose_device, describe_device, device_slug
from srlab.models import REGISTRY, build
from srlab.training import Budget, train

SMALL = runpy.run_path(str(CHECKOUT / "tests/networks.py"))["short"]
LAYERS = runpy.run_path(str(CHECKOUT / "tests/mechanisms.py"))["MECHANISMS"]
TOLERANCE = 1e-4


class Chain(nn.ModuleList):
    """Layers that run in order and share patterns."""

    def forward(self, x: Tensor) -> Tensor:
        shared = None
        for layer in self:
            x, shared = layer(x, shared)
        return x


class Noise:
    """Patches of noise to train on."""

    def batch_at(self, step: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        hr = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(step))
        return nn.functional.avg_pool2d(hr, 2), hr


def differences(module: nn.Module, x: Tensor, device: torch.device) -> dict[str, float]:
    """Return the largest differences of output and gradients from the CPU's, relative to the largest of each."""
    found = []
    for place in (torch.device("cpu"), device):
        there, lr = copy.deepcopy(module).to(place), x.to(place, copy=True).requires_grad_()
        y = there(lr)
        gradients = torch.autograd.grad(y.square().mean(), [lr, *there.parameters()], allow_unused=True)
        flat = torch.cat([gradient.detach().cpu().flatten() for gradient in gradients if gradient is not None])
        found.append((y.detach().cpu(), flat))
    output, gradients = (((a - b).abs().max() / a.abs().max()).item() for a, b in zip(*found, strict=True))
    return {"output": output, "gradients": gradients}


def agreements(device: torch.device) -> Iterator[dict]:
    """Compare every mechanism and every network, small, with the CPU."""
    modules = {f"mechanism {name}": (lambda make=make: Chain(make(8)), 8) for name, make in LAYERS.items()}
    modules |= {f"network {name}": (lambda name=name: SMALL(name), 3) for name in REGISTRY}
    for name, (make, channels) in modules.items():
        torch.manual_seed(0)
        module, x = make(), torch.rand(2, channels, 24, 24)
        if channels == 3:
            nn.init.normal_(module.last.weight, std=0.05)
        with torch.no_grad():
            module.train()(x)  # k-means draws its centroids from the first batch
        try:
            row = differences(module.eval(), x, device)
        except (RuntimeError, NotImplementedError) as error:  # the others are compared all the same
            yield {"name": name, "agrees": False, "error": str(error)}
        else:
            yield {"name": name, **row, "agrees": max(row.values()) < TOLERANCE}


def training(device: torch.device, steps: int) -> Iterator[dict]:
    """Train a small LCoAN."""
    network = build("lcoan", 2, seed=0, channels=16, groups=2, blocks=1, clusters=16, window=64)
    budget = Budget(steps=steps, batch=4, log_every=steps, checkpoint_every=steps)
    with tempfile.TemporaryDirectory() as folder:
        validation = tuple(images.to(device) for images in Noise().batch_at(-1))
        _, curve, facts, _ = train(network, Noise(), validation, budget, Path(folder), 0, device)
    yield {"steps": steps, "loss": curve["loss"].iloc[-1], **facts}


def costs(device: torch.device, repeats: int, tiny: bool) -> Iterator[dict]:
    """Measure the benchmark's rows: all as they are, in both precisions, then compiled."""
    cases = [(case, False) for case in mechanisms.CASES]
    if tiny:  # CoA, FGCA and the training step
        cases = [(mechanisms.shrunk(case), False) for case in mechanisms.CASES[1::4]]
    else:
        cases += [(replace(c, paths={"fast": c.paths["fast"]}), True) for c, _ in cases if c.shape[1] == 3]
    for case, compiled in cases:
        for precision in ("float32", "bf16"):
            try:
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                    rows = mechanisms.run(case, device, repeats, compiled).to_dict("records")
            except (RuntimeError, NotImplementedError) as error:
                rows = [{"case": case.name, "error": str(error)}]
            yield from ({**row, "precision": precision} for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=CHECKOUT / "results" / "devices")
    parser.add_argument("--tiny", action="store_true", help="Small inputs, nothing compiled, for tests.")
    arguments = parser.parse_args()
    end, device, tiny = time.monotonic() + 60 * arguments.minutes, choose_device(arguments.device), arguments.tiny
    keep_memory()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    folder = arguments.output / device_slug(device)
    folder.mkdir(parents=True, exist_ok=True)
    facts, failed = describe_device(device), 0
    parts = {
        "agreement": agreements(device),
        "training": training(device, 4 if tiny else 200),
        "costs": costs(device, 1 if tiny else 7, tiny),
    }
    for name, rows in parts.items():
        made: list[dict] = []
        for row in rows:
            made.append(row | {"device": facts["name"], "torch": facts["torch"], "commit": facts["commit"]})
            pd.DataFrame(made).to_csv(folder / f"{name}.csv", index=False, float_format="%.5g")
            failed += not row.get("agrees", True)
            print(name, *row.values(), flush=True)
            if time.monotonic() > end:
                print(f"time is up: {name} has {len(made)} rows, and what follows is missing")
                break
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
