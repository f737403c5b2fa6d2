"""Context runs: a trained network on tiles that are cut off from their image, a few images a run."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.chapters.context.fillings import FILLINGS, Place, cut_off, middle_tile
from srlab.chapters.context.repeats import repeats
from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop, upscale
from srlab.data.sources import PIECES
from srlab.errors import OutOfTime
from srlab.files import read_table, write_table
from srlab.measure.metrics import luma
from srlab.study.records import Record
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.training import time_is_up
from srlab.weights.checkpoints import open_network


class ContextRun(Run):
    """Measure one network on one piece of a benchmark, one tile an image.

    Table `context`: name, filling ("whole": nothing is cut off), radius (LR pixels), mse of Y in the tile (0 to 255²).
    Table `places`: name, top, left (LR pixels), bicubic_mse, repeats (0 to 1, see `srlab.chapters.context.repeats`).
    """

    kind: Literal["context"] = "context"
    tables = ("context", "places")

    source: Literal["released", "trained"]
    network: str
    weights: str  # SHA-256 of the released weights, or the hash of the run that trained the network
    data: str  # fingerprint of the benchmarks
    benchmark: str
    piece: int  # every tenth image, from this one on
    tile: int
    around: int
    near: int
    radii: tuple[int, ...]

    @property
    def slug(self) -> str:
        return f"context-{self.network.replace(' ', '_')}-{self.benchmark}-{self.piece}-x{self.scale}"

    def needs(self, study: Study) -> list[Run]:
        return [] if self.source == "released" else [run for run in study.comparison() if run.hash == self.weights]

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        network = self.open(study).to(device).eval()
        refs = study.data.benchmarks[self.benchmark]
        done = {name: record.folder / f"{name}.csv" for name in self.tables}
        kept = {name: [read_table(file)] if file.is_file() else [] for name, file in done.items()}
        names = {name for rows in kept["places"] for name in rows["name"]}
        # A kill between the two tables leaves an image in the first alone: it is measured again.
        found = {name: [rows[rows["name"].isin(names)] for rows in own] for name, own in kept.items()}
        for index in tqdm(range(self.piece, len(refs), len(PIECES)), desc=self.slug, unit="image", leave=False):
            if refs[index].name in names:
                continue
            if time_is_up(deadline):
                raise OutOfTime(f"{self.name} goes on with {refs[index].name}")
            measured = self.measure(network, refs[index], refs[(index + 1) % len(refs)], device)
            for table in self.tables if measured else ():
                found[table].append(measured[table])
                write_table(done[table], pd.concat(found[table]))  # places last: they say that the image is done
        record.finish(device, data=study.data.name, images=sum(map(len, found["places"])))

    def open(self, study: Study) -> nn.Module:
        """Open the released weights, or the network that the study trains."""
        if self.source == "released":
            return open_network(self.network, study.released(self.scale)[self.network].path, self.scale)
        [run] = self.needs(study)
        return study.record(run).network()

    def measure(
        self, network: nn.Module, ref: ImageRef, other: ImageRef, device: torch.device
    ) -> dict[str, pd.DataFrame] | None:
        """Measure the middle tile of an image; None if it holds no tile."""
        hr = modcrop(ref.read(), self.scale)
        lr, another = downscale(hr, self.scale), downscale(modcrop(other.read(), self.scale), self.scale)
        place = middle_tile(*lr.shape[1:], self.tile)
        if place is None:
            return None
        y = luma(hr.float())
        truth = _of(y, place, self.scale)
        rows = [("whole", self.around, lr, place)]
        rows += [
            (filling, radius, *cut_off(lr, place, radius, filling, self.around, another))
            for filling, radius in product(FILLINGS, self.radii)
        ]
        errors = [
            (filling, radius, _mse(_enlarged(network, seen, device), truth, where, self.scale))
            for filling, radius, seen, where in tqdm(rows, desc=ref.name, unit="cut", leave=False)
        ]
        bicubic = _mse(luma(upscale(lr, self.scale).float()), truth, place, self.scale)
        context = pd.DataFrame(errors, columns=["filling", "radius", "mse"])
        context.insert(0, "name", ref.name)
        share = repeats(y, place, self.scale, self.near)
        known = {"name": ref.name, "top": place.top, "left": place.left, "bicubic_mse": bicubic, "repeats": share}
        return {"context": context, "places": pd.DataFrame([known])}


def _enlarged(network: nn.Module, lr: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return Y of the network's output, clamped and not rounded."""
    with torch.inference_mode():
        return luma(network(lr[None].to(device).float() / 255)[0].clamp(0, 1).cpu() * 255)


def _of(image: torch.Tensor, place: Place, scale: int) -> torch.Tensor:
    top, left, side = (scale * number for number in place)
    return image[top : top + side, left : left + side]


def _mse(image: torch.Tensor, truth: torch.Tensor, place: Place, scale: int) -> float:
    return float((_of(image, place, scale).double() - truth.double()).square().mean())
