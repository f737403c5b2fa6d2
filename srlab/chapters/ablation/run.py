"""Ablated runs: a released network with altered attention weights, a few images a run."""

from __future__ import annotations

from typing import Literal

import torch

from srlab.chapters.ablation.losses import lost
from srlab.data.sources import PIECES
from srlab.study.records import Record
from srlab.study.runs import Run
from srlab.study.study import Study
from srlab.weights.checkpoints import open_network


class AblatedRun(Run):
    """Measure what each change costs a released network on one piece of a benchmark, on the middle of each image.

    Table `images`: benchmark, name, change, psnr_y and drop_db (dB), as `srlab.chapters.ablation.losses.lost`.
    """

    kind: Literal["ablated"] = "ablated"
    tables = ("images",)

    network: str
    weights: str  # SHA-256 of the released weights
    data: str  # fingerprint of the benchmarks
    benchmark: str
    piece: int  # every tenth image, from this one on
    side: int  # LR pixels of the middle of each image; smaller images are whole

    @property
    def slug(self) -> str:
        return f"ablated-{self.network}-{self.benchmark}-{self.piece}-x{self.scale}"

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        network = open_network(self.network, study.released(self.scale)[self.network].path, self.scale)
        refs = study.data.benchmarks[self.benchmark][self.piece :: len(PIECES)]
        middles = [ref.middle(self.scale * self.side) for ref in refs]
        record.write("images", lost(network, {self.benchmark: middles}, self.scale))
        record.finish(device, data=study.data.name, images=len(refs))
