"""How each kind of run is made, and its record written."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch

from srlab.data.cache import load_pairs
from srlab.data.patches import Patches
from srlab.data.recall import RecallBatches, recall_loss
from srlab.data.resize import downscale
from srlab.data.sources import DataSource
from srlab.errors import InputError
from srlab.files import checksum, write_text
from srlab.measure.breakdown import layer_breakdown
from srlab.measure.costs import measure_networks
from srlab.measure.devices import describe_device
from srlab.measure.evaluation import convention, evaluate
from srlab.measure.limits import find_limits
from srlab.measure.processes import measure_in_processes
from srlab.measure.profiling import ceilings, count_parameters
from srlab.measure.recall import measure_recall
from srlab.models.trunk import gates_of
from srlab.study.records import BEGUN, Record
from srlab.study.runs import LimitsRun, RecallRun, TimingRun, TrainingRun
from srlab.training import Batch, first_process, train
from srlab.weights.checkpoints import save_network, save_tensors, start_from

#: Recall images that the curve of training is measured on.
VALIDATION = 32
#: Counts the trainings that this process began.
_begun = itertools.count()


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False))


def _finish(record: Record, device: torch.device, **facts: object) -> None:
    """Write `run.json`, which makes the record count."""
    begun = record.folder / BEGUN
    content = {
        "name": record.run.name,
        "hash": record.run.hash,
        "config": record.run.model_dump(mode="json"),
        "environment": describe_device(device),
        **json.loads(begun.read_text()),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **facts,
    }
    write_text(record.folder / "run.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    begun.unlink()


def _validation(images: Iterable[torch.Tensor], scale: int, patch: int) -> Batch:
    """The centre patch of each benchmark image, LR and HR."""
    pairs = []
    for image in images:
        _, height, width = image.shape
        top, left = ((side - scale * patch) // 2 // scale * scale for side in (height, width))
        hr = image[:, top : top + scale * patch, left : left + scale * patch]
        pairs.append((downscale(hr, scale), hr))
    lr, hr = (torch.stack(side).float() / 255 for side in zip(*pairs, strict=True))
    return lr, hr


def make_training(
    record: Record,
    data: DataSource,
    device: torch.device,
    processes: int,
    deadline: float | None,
    start: Record | None,
) -> None:
    """Train and evaluate the network of a :class:`~srlab.study.runs.TrainingRun`; write its record.

    Parameters
    ----------
    record : Record
        Its folder is there.
    data : DataSource
        With the photographs to train on.
    device : torch.device
    processes, deadline
        See :func:`srlab.training.train`.
    start : Record, optional
        The finished record of the run that this one goes on from.
    """
    run: TrainingRun = record.run
    budget, side = run.budget, run.scale * run.budget.patch
    refs = [ref for name in run.benchmarks for ref in data.benchmarks[name]]
    if not data.train:
        raise InputError(f"data '{data.name}': no training images; put some into its folder train/")
    # Python, its packages and finding the images are paid for by the first run that a process makes.
    starting = 0.0 if next(_begun) else time.process_time()
    started = time.perf_counter()
    hr, lr = load_pairs([*refs, *data.train], run.scale, side)
    validation = _validation(hr[: min(16, len(refs))], run.scale, budget.patch)
    hr, lr = hr[len(refs) :], lr[len(refs) :]
    network, after, began = run.network.build(run.scale, run.seed), 0, {}
    if start is not None:
        weights = start.folder / "weights.safetensors"
        start_from(network, weights)
        after = start.run.budget.steps
        began = {"start": {"run": start.run.name, "sha256": checksum(weights)}}
    patches = Patches(hr, run.scale, budget.patch, budget.batch, run.seed, lr, after)
    loading = time.perf_counter() - started
    network, curve, facts, snapshots = train(
        network,
        patches,
        validation,
        budget,
        record.folder,
        run.seed,
        device,
        processes,
        deadline,
    )
    if not first_process():
        return
    facts["startup_seconds"] += starting
    started = time.perf_counter()
    _write_csv(record.folder / "curve.csv", curve)
    tables = [
        evaluate(network, data.benchmarks[name], run.scale, device=device).assign(benchmark=name)
        for name in run.benchmarks
    ]
    _write_csv(record.folder / "images.csv", pd.concat(tables)[["benchmark", *tables[0].columns[:-1]]])
    save_network(record.folder / "weights.safetensors", network, run.network.model, run.scale, run.network.options)
    if snapshots:
        layers = {
            name: torch.stack([centroids[name] for centroids in snapshots.values()])
            for name in next(iter(snapshots.values()))
        }
        save_tensors(record.folder / "centroids.safetensors", layers, {"steps": list(snapshots)})
    _finish(
        record,
        device,
        parameters=count_parameters(network),
        convolutions_see=getattr(network, "sees", None),
        gates=gates_of(network),
        data=data.name,
        convention=convention(run.scale),
        processes=processes,
        loading_seconds=loading,
        evaluation_seconds=time.perf_counter() - started,
        steps_per_second=budget.steps / facts["seconds"],
        **began,
        **facts,
    )
    (record.folder / "checkpoint.safetensors").unlink()


def make_recall(record: Record, device: torch.device, processes: int, deadline: float | None) -> None:
    """Train the network of a :class:`~srlab.study.runs.RecallRun`, measure what it finds, and write its record."""
    run: RecallRun = record.run
    batches = RecallBatches(run.scene, run.scale, run.budget.batch, run.seed)
    # Images that no step of training sees, for the curve.
    validation = RecallBatches(run.scene, run.scale, VALIDATION, run.seed).batch_at(run.budget.steps)
    network = run.network.build(run.scale, run.seed)
    network, curve, facts, _ = train(
        network,
        batches,
        validation,
        run.budget,
        record.folder,
        run.seed,
        device,
        processes,
        deadline,
        objective=recall_loss,
    )
    if not first_process():
        return
    started = time.perf_counter()
    _write_csv(record.folder / "curve.csv", curve)
    _write_csv(record.folder / "recall.csv", measure_recall(network, run.scale))
    save_network(record.folder / "weights.safetensors", network, run.network.model, run.scale, run.network.options)
    _finish(
        record,
        device,
        parameters=count_parameters(network),
        convolutions_see=network.sees,
        processes=processes,
        evaluation_seconds=time.perf_counter() - started,
        steps_per_second=run.budget.steps / facts["seconds"],
        **facts,
    )
    (record.folder / "checkpoint.safetensors").unlink()


def make_timing(record: Record, device: torch.device) -> None:
    """Build and measure the networks of a :class:`~srlab.study.runs.TimingRun`, and write its record."""
    run: TimingRun = record.run
    networks = {label: network.build(run.scale, seed=0) for label, network in run.networks.items()}
    if run.processes is None:
        roofs = ceilings(device)
        times, costs = measure_networks(networks, run.sizes, device, run.repeats, run.warmup)
        if run.inside:
            stages = layer_breakdown(networks, run.sizes[-1], device, run.repeats, run.warmup)
            _write_csv(record.folder / "inside.csv", stages)
    else:
        times, costs, roofs = measure_in_processes(
            networks, run.sizes, device, run.processes, run.repeats, run.limit_s, run.limit_mib
        )
    _write_csv(record.folder / "times.csv", times)
    _write_csv(record.folder / "profile.csv", costs)
    parameters = {label: count_parameters(network) for label, network in networks.items()}
    _finish(record, device, parameters=parameters, dtype="float32", batch=1, ceilings=roofs)


def make_limits(record: Record, device: torch.device) -> None:
    """Find what a :class:`~srlab.study.runs.LimitsRun` asks for, and write its record."""
    run: LimitsRun = record.run
    networks = {label: network.build(run.scale, seed=0) for label, network in run.networks.items()}
    found = find_limits(networks, run.sizes, run.limit_s, run.limit_mib, device)
    _write_csv(record.folder / "limits.csv", found)
    _finish(record, device, dtype="float32", batch=1)
