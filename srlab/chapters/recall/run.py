"""Recall runs: one network, trained on recall images and measured on others."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

import torch

from srlab.chapters.recall.images import RecallBatches, RecallTask, recall_loss
from srlab.chapters.recall.measure import measure_recall
from srlab.measure.profiling import count_parameters
from srlab.stats.rules import rules
from srlab.study.records import Record
from srlab.study.runs import Network, Run
from srlab.study.study import Study
from srlab.study.training_run import keep_network
from srlab.training import Budget, Rows, first_process, train

RULES = rules().recall
#: Recall images for the curve of training.
VALIDATION = 32


def progress(rows: Rows) -> tuple[float, float]:
    """Return recall in training, 1 − loss, over the last `settle_steps`, and its gain over as many before.

    Rows have step and loss. The gain is infinite before there are so many steps.
    """
    last, length = rows[-1]["step"], RULES.settle_steps
    now, before = (
        [1 - row["loss"] for row in rows if last - (back + 1) * length < row["step"] <= last - back * length]
        for back in (0, 1)
    )
    recall = sum(now) / len(now)
    return recall, recall - sum(before) / len(before) if last >= 2 * length else float("inf")


def settled(rows: Rows) -> bool:
    """Decide by the rules whether training no longer brings anything."""
    recall, gain = progress(rows)
    return gain < RULES.settle_gain and (recall >= RULES.begun or rows[-1]["step"] >= RULES.most_steps)


def enough(rows: Rows) -> bool:
    """Decide by the rules whether training ends before its last step."""
    step = rows[-1]["step"]
    return step >= RULES.least_steps and step % RULES.settle_steps == 0 and settled(rows)


class RecallRun(Run):
    """Train one network on recall images until it settles or the budget ends, and measure its recall.

    Table `tiles`: see :func:`srlab.chapters.recall.measure.measure_recall`.
    """

    tables: ClassVar = ("curve", "tiles")
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
        network, curve, facts, _ = train(network, batches, validation, *how, objective=recall_loss, enough=enough)
        if not first_process():
            return
        started = time.perf_counter()
        record.write("curve", curve)
        record.write("tiles", measure_recall(network, self.scale))
        keep_network(record, network)
        record.finish(
            device,
            parameters=count_parameters(network),
            convolutions_see=network.sees,
            processes=processes,
            evaluation_seconds=time.perf_counter() - started,
            steps=int(curve["step"].iloc[-1]),
            **facts,
        )
