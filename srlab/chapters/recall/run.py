"""Recall runs: one network, trained on recall images and measured on others."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

import torch

from srlab.chapters.recall.images import RecallBatches, RecallTask, recall_loss
from srlab.chapters.recall.measure import measure_recall
from srlab.measure.profiling import count_parameters
from srlab.study.records import Record
from srlab.study.runs import Network, Run
from srlab.study.study import Study
from srlab.study.training_run import keep_network
from srlab.training import Budget, first_process, train

#: Recall images for the curve of training.
VALIDATION = 32


class RecallRun(Run):
    """Train one network on recall images, and measure its recall; see :mod:`srlab.chapters.recall.measure`."""

    tables: ClassVar = ("curve", "recall")
    trains: ClassVar = True

    kind: Literal["recall"] = "recall"
    network: Network
    task: RecallTask  # the images to train on
    settings: str  # hash of the settings to measure on
    budget: Budget  # its `patch` is the task's side
    seed: int

    @property
    def slug(self) -> str:
        return f"recall-{self.network.model}-x{self.scale}-seed{self.seed}"

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        batches = RecallBatches(self.task, self.scale, self.budget.batch, self.seed)
        # No step of training uses these images.
        validation = RecallBatches(self.task, self.scale, VALIDATION, self.seed).batch_at(self.budget.steps)
        how = (self.budget, record.folder, self.seed, device, processes, deadline)
        network = self.network.build(self.scale, self.seed)
        network, curve, facts, _ = train(network, batches, validation, *how, objective=recall_loss)
        if not first_process():
            return
        started = time.perf_counter()
        record.write("curve", curve)
        record.write("recall", measure_recall(network, self.scale))
        keep_network(record, network)
        record.finish(
            device,
            parameters=count_parameters(network),
            convolutions_see=network.sees,
            processes=processes,
            evaluation_seconds=time.perf_counter() - started,
            steps_per_second=self.budget.steps / facts["seconds"],
            **facts,
        )
