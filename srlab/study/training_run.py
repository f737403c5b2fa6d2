"""Training runs: one network, trained and evaluated."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd
import torch

from srlab.data.cache import load_pairs
from srlab.data.patches import Patches
from srlab.data.resize import downscale
from srlab.errors import InputError
from srlab.files import checksum
from srlab.measure.evaluation import convention, evaluate
from srlab.measure.profiling import count_parameters
from srlab.models.trunk import gates_of
from srlab.study.runs import Network, Run
from srlab.training import Batch, Budget, first_process, train
from srlab.weights.checkpoints import save_network, save_tensors, start_from

if TYPE_CHECKING:
    from srlab.study.records import Record
    from srlab.study.study import Study

#: Counts the trainings that this process began.
_begun = itertools.count()


class TrainingRun(Run):
    """Train one network and evaluate it."""

    tables: ClassVar = ("curve", "images")
    trains: ClassVar = True

    kind: Literal["training"] = "training"
    network: Network
    data: str  # fingerprint of the images
    benchmarks: tuple[str, ...]
    budget: Budget
    seed: int
    photographs: int | None = None  # number of images to train on; None: all
    start_from: str | None = None  # hash of the run with the trunk that this run continues; None: from scratch

    @property
    def slug(self) -> str:
        branch = "-branch" if self.start_from else ""
        return f"{self.network.model}{branch}-x{self.scale}-seed{self.seed}"

    def needs(self, study: Study) -> list[TrainingRun]:
        return [study.start_of(self)] if self.start_from else []

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        start = next(map(study.record, self.needs(study)), None)
        data = study.data.fewer(self.photographs)
        refs = [ref for name in self.benchmarks for ref in data.benchmarks[name]]
        if not data.train:
            raise InputError(f"data '{data.name}': no training images; put some into its folder train/")
        # The first run of a process pays for starting Python, importing packages and finding the images.
        starting = 0.0 if next(_begun) else time.process_time()
        started = time.perf_counter()
        hr, lr = load_pairs([*refs, *data.train], self.scale, self.scale * self.budget.patch)
        validation = _validation(hr[: min(16, len(refs))], self.scale, self.budget.patch)
        hr, lr = hr[len(refs) :], lr[len(refs) :]
        network, after, began = self.network.build(self.scale, self.seed), 0, {}
        if start is not None:
            weights = start.folder / "weights.safetensors"
            start_from(network, weights)
            after = start.run.budget.steps
            began = {"start": {"run": start.run.name, "sha256": checksum(weights)}}
        patches = Patches(hr, self.scale, self.budget.patch, self.budget.batch, self.seed, lr, after)
        loading = time.perf_counter() - started
        network, curve, facts, snapshots = train(
            network, patches, validation, self.budget, record.folder, self.seed, device, processes, deadline
        )
        if not first_process():
            return
        facts["startup_seconds"] += starting
        started = time.perf_counter()
        record.write("curve", curve)
        tables = [
            evaluate(network, data.benchmarks[name], self.scale, device=device).assign(benchmark=name)
            for name in self.benchmarks
        ]
        record.write("images", pd.concat(tables)[["benchmark", *tables[0].columns[:-1]]])
        if snapshots:
            taken = list(snapshots.values())
            layers = {name: torch.stack([centroids[name] for centroids in taken]) for name in taken[0]}
            save_tensors(record.folder / "centroids.safetensors", layers, {"steps": list(snapshots)})
        keep_network(record, network)
        record.finish(
            device,
            parameters=count_parameters(network),
            convolutions_see=getattr(network, "sees", None),
            gates=gates_of(network),
            data=data.name,
            convention=convention(self.scale),
            processes=processes,
            loading_seconds=loading,
            evaluation_seconds=time.perf_counter() - started,
            steps_per_second=self.budget.steps / facts["seconds"],
            **began,
            **facts,
        )


def keep_network(record: Record, network: torch.nn.Module) -> None:
    """Write the weights that a run learnt into its record."""
    own, file = record.run.network, record.folder / "weights.safetensors"
    save_network(file, network, own.model, record.run.scale, own.options)


def _validation(images: Iterable[torch.Tensor], scale: int, patch: int) -> Batch:
    """Cut the centre patch of each benchmark image, LR and HR."""
    pairs = []
    for image in images:
        _, height, width = image.shape
        top, left = ((side - scale * patch) // 2 // scale * scale for side in (height, width))
        hr = image[:, top : top + scale * patch, left : left + scale * patch]
        pairs.append((downscale(hr, scale), hr))
    lr, hr = (torch.stack(side).float() / 255 for side in zip(*pairs, strict=True))
    return lr, hr
