"""Frozen runs: a head, trained on the finished features of one network, evaluated at each third of its budget."""

from __future__ import annotations

from typing import ClassVar, Literal

import pandas as pd
import torch
from torch import nn

from srlab.chapters.frozen.bases import Drawn, Features, features
from srlab.chapters.frozen.head import Head, build_head
from srlab.files import read_table, write_table
from srlab.measure.evaluation import PAPERS
from srlab.measure.metrics import luma, psnr
from srlab.measure.profiling import count_parameters
from srlab.study.records import Record
from srlab.study.runs import Network, Run
from srlab.study.study import Study
from srlab.training import Budget, train
from srlab.weights.checkpoints import open_network

THIRDS = (1, 2, 3)


class FrozenRun(Run):
    """Train one arm on features that stay as they are.

    Table `images`: third (1 to 3, of the budget), benchmark, name, psnr_y and base_psnr_y (dB; the base's own image).
    Table `curve`: as of :func:`srlab.training.train`.
    """

    tables: ClassVar = ("images", "curve")

    kind: Literal["frozen"] = "frozen"
    source: Literal["released", "trained"]
    base: str  # the network with the features
    weights: str  # SHA-256 of the released weights, or the hash of the run that trained the network
    network: Network  # lends its attention, or its unit if it has none
    data: str  # fingerprint of the images
    patches: int  # finished training patches to draw from
    budget: Budget  # with a constant rate, so that each third is the end of a shorter budget
    seed: int

    @property
    def slug(self) -> str:
        return f"frozen-{self.base}-{self.network.model}-x{self.scale}-seed{self.seed}"

    def needs(self, study: Study) -> list[Run]:
        return [] if self.source == "released" else [study.training(self.base)]

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        seen = features(
            f"{self.base} {self.weights}",
            lambda: self.open(study),
            study.data,
            self.patches,
            self.budget.patch,
        )
        file = record.folder / "images.csv"
        done = read_table(file) if file.is_file() else pd.DataFrame({"third": []})
        found = [own for third, own in done.groupby("third") if third < THIRDS[-1]]
        for third in THIRDS[len(found) :]:
            budget = self.budget.model_copy(update={"steps": third * self.budget.steps // len(THIRDS)})
            how = (seen.middles(), budget, record.folder, self.seed, device, processes, deadline)
            head = build_head(self.network, self.scale, self.seed)
            head, curve, facts, _ = train(head, Drawn(seen, budget.batch, self.seed), *how)
            found.append(evaluate(head, seen, device).assign(third=third))
            record.write("curve", curve)
            write_table(file, pd.concat(found))  # last: it says that the third is done
        record.finish(device, data=study.data.name, parameters=count_parameters(head), **facts)

    def open(self, study: Study) -> nn.Module:
        """Open the released weights, or the network that the study trains."""
        if self.source == "released":
            return open_network(self.base, study.released(self.scale)[self.base].path, self.scale)
        [run] = self.needs(study)
        return study.record(run).network()


@torch.inference_mode()
def evaluate(head: Head, seen: Features, device: torch.device) -> pd.DataFrame:
    """Measure a head on each test image: benchmark, name, psnr_y, base_psnr_y (dB), as papers compute them."""
    rows = []
    for benchmark, name, finished, hr in seen.tests:
        border, truth = PAPERS.left_out(head.scale), luma(hr.double()).round()
        images = {"psnr_y": head(finished.to(device)), "base_psnr_y": head.base_image(finished)}
        quality = {
            column: psnr(luma((image[0].cpu().clamp(0, 1) * 255).round().double()).round(), truth, border)
            for column, image in images.items()
        }
        rows.append({"benchmark": benchmark, "name": name, **quality})
    return pd.DataFrame(rows)
