"""The training loop: Lightning Fabric carries device, precision and processes; the loop stays in sight."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_serializer,
)
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from srlab.attention import SphericalKMeans
from srlab.errors import InputError, NonFiniteLoss, OutOfTime
from srlab.measure.precision import Precision
from srlab.weights.checkpoints import fit, load_tensors, save_tensors

#: LR, HR, and more where an objective asks for it.
Batch = tuple[Float[Tensor, "b _ _ _"], ...]
Fraction = Annotated[float, Field(ge=0, le=1)]
#: Centroids by the name of the attention layer that learns them, e.g. "groups.0.attention".
Centroids = dict[str, Float[Tensor, "rounds k d"]]
#: The same at some steps of training, by step.
Snapshots = dict[int, Centroids]
#: What is told of the time that training took: see :func:`train`.
SECONDS = ("seconds", "data_wait_seconds", "log_seconds", "startup_seconds")


class Budget(BaseModel):
    """What training a network may cost, and how it is done.

    Attributes
    ----------
    steps, batch, patch : int
        Optimiser steps; patches in a batch, over all processes; side of an LR patch in pixels.
    learning_rate : float
        Of Adam, after warm-up.
    betas : tuple of float
    last_rate : float
        Learning rate of the convolution that makes the image, as a share of the others': its inputs are
        larger than theirs, so that one step of it changes the image more.
    warmup : int
        Steps over which the learning rate rises linearly.
    decay : {"halve", "cosine", "linear"}
        How it falls after that: by half at each of `halve_at`, as papers do, or to zero at the last step.
    halve_at : tuple of float
        Fractions of the steps at which the learning rate halves.
    ema_decay : float
        Of the moving average of the weights that is evaluated; rises to this value from (1 + t) / (10 + t).
    gradient_clip : float
        Largest norm of the gradient.
    precision : {"32-true", "bf16-mixed"}
    log_every, checkpoint_every : int
        Steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: PositiveInt
    batch: PositiveInt = 8
    patch: PositiveInt = 32
    learning_rate: PositiveFloat = 4e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    last_rate: PositiveFloat = 1.0
    warmup: NonNegativeInt = 0
    decay: Literal["halve", "cosine", "linear"] = "halve"
    halve_at: tuple[Fraction, ...] = ()
    ema_decay: Fraction = 0.999
    gradient_clip: PositiveFloat = 1.0
    precision: Precision = "32-true"
    log_every: PositiveInt = 20
    checkpoint_every: PositiveInt = 100

    @model_serializer(mode="wrap")
    def _as_before(self, dump: Callable) -> dict[str, object]:
        """Without what earlier versions did not know, where it is as it was then: hashes of their runs stand."""
        before = (("decay", "halve"), ("last_rate", 1.0))
        return {key: value for key, value in dump(self).items() if (key, value) not in before}

    def learning_rate_at(self, step: int) -> float:
        """A pure function of the step, so a resumed run needs no scheduler state."""
        if step + 1 < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        left = 1 - max(0, step + 1 - self.warmup) / (self.steps + 1 - self.warmup)
        halvings = sum(step >= fraction * self.steps for fraction in self.halve_at)
        falling = {"halve": 0.5**halvings, "cosine": 0.5 - 0.5 * math.cos(math.pi * left), "linear": left}
        return self.learning_rate * falling[self.decay]

    def keeps_centroids_at(self, step: int) -> bool:
        """Whether centroids are kept after so many steps: twelve times at most.

        After the first, which initialises them, after the last, and at up to ten evenly spaced steps of the
        log.
        """
        every = self.log_every * math.ceil(self.steps / (10 * self.log_every))
        return step in (1, self.steps) or step % every == 0


@runtime_checkable
class Batches(Protocol):
    """What a network is trained on: :class:`~srlab.data.patches.Patches`, for example."""

    def batch_at(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """LR, HR and whatever else the objective takes, a function of the step alone; of N processes each its share."""
        ...


def train(
    network: nn.Module,
    batches: Batches,
    validation: Batch,
    budget: Budget,
    folder: Path,
    seed: int,
    device: torch.device,
    processes: int = 1,
    deadline: float | None = None,
    objective: Callable[..., Float[Tensor, ""]] = nn.functional.l1_loss,
) -> tuple[nn.Module, pd.DataFrame, dict[str, float], Snapshots]:
    """Train a network with Adam, by L1 loss unless told otherwise; go on from `folder`'s checkpoint if there is one.

    Interrupted or killed at any step, the same call goes on from the last checkpoint and, on a CPU, ends
    with bit-identical weights.

    Parameters
    ----------
    network : nn.Module
        Maps LR [b, 3, h, w] on [0, 1] to SR.
    batches : Batches
        Gives the batch of any step.
    validation : tuple of Tensor
        LR and HR, a batch that is never trained on; its PSNR (RGB, dB) of the averaged weights is logged.
    budget : Budget
    folder : Path
        Receives `checkpoint.safetensors` (removed by the caller when all is recorded) and `logs/`.
    seed : int
        Of everything random in training, but for the patches, which have their own.
    device : torch.device
    processes : int
        Devices that train together, with gloo on CPUs and nccl on GPUs; the batch is divided among them.
    deadline : float, optional
        Of `time.monotonic`, s. At the first step of the log after it a checkpoint is written, and training
        stops.
    objective : callable
        The loss of SR, HR and what else a batch holds.

    Returns
    -------
    averaged : nn.Module
        The network with its averaged weights, in evaluation mode.
    curve : DataFrame
        step, loss (the objective's mean since the last row), psnr (dB, of the training batches), validation_psnr (dB),
        learning_rate, images_per_s.
    facts : dict
        seconds (training), data_wait_seconds (of those, spent waiting for patches), log_seconds (validation,
        logs and checkpoints) and startup_seconds (what it takes to the first step), over all times the run
        was resumed.
    snapshots : dict
        Of networks with :class:`~srlab.attention.SphericalKMeans`: by step (`Budget.keeps_centroids_at`) and
        layer, the centroids as they were then.

    Raises
    ------
    NonFiniteLoss
        The last good checkpoint stays.
    OutOfTime
        If steps remain at the deadline.
    InputError
        If the checkpoint there is of another network, or `srun` started another number of processes, or not by its
        `--ntasks-per-node`.
    """
    entered = time.perf_counter()
    # These take seconds to import, which whoever only reads records need not wait for.
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
    from torch.utils.tensorboard import SummaryWriter

    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1 and not str(tasks) == str(processes) == os.environ.get("SLURM_NTASKS_PER_NODE"):
        raise InputError(
            f"srun started {tasks} processes, and {processes} are to train together: on one machine, give srun's "
            f"--ntasks-per-node and --devices one number"
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        precision=budget.precision,
        # In a job of one task, as Snakemake's, Fabric would wait for others that Slurm does not start.
        plugins=[SLURMEnvironment() if tasks > 1 else LightningEnvironment()],
    )
    fabric.launch()
    torch.manual_seed(seed)
    network = network.to(memory_format=torch.channels_last)
    last = set(network.last.parameters())
    groups = [
        {"params": [p for p in network.parameters() if p not in last], "share": 1.0},
        {"params": list(network.last.parameters()), "share": budget.last_rate},
    ]
    averaged = AveragedModel(network, multi_avg_fn=_moving_average(budget.ema_decay)).to(fabric.device).eval()
    adam = torch.optim.Adam(groups, budget.learning_rate, budget.betas)
    model, optimizer = fabric.setup(network, adam)

    checkpoint = Checkpoint(folder / "checkpoint.safetensors", network, averaged, adam)
    step, rows, facts, snapshots = checkpoint.load()
    validation = tuple(fabric.to_device(images) for images in validation)
    main = fabric.is_global_zero
    writer = SummaryWriter(folder / "logs", purge_step=step + 1) if main else None
    bar = tqdm(total=budget.steps, initial=step, desc=folder.name, unit="step", disable=not main)

    model.train()
    seen: list[Float[Tensor, " 3"]] = []
    since = time.perf_counter()
    facts["startup_seconds"] += since - entered
    cut = partial(batches.batch_at, rank=fabric.global_rank, world_size=fabric.world_size)
    for batch, waited in _prefetch(cut, range(step, budget.steps)):
        lr, hr, *more = (fabric.to_device(images.to(memory_format=torch.channels_last)) for images in batch)
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * budget.learning_rate_at(step)
        sr = model(lr)
        loss = objective(sr, hr, *more)
        fabric.backward(loss + auxiliary_loss(network))
        norm = fabric.clip_gradients(model, optimizer, max_norm=budget.gradient_clip, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        averaged.update_parameters(network)
        seen.append(torch.stack([loss, nn.functional.mse_loss(sr.float(), hr), norm]).detach())
        facts["data_wait_seconds"] += waited
        step += 1
        bar.update()
        if budget.keeps_centroids_at(step) and (centroids := centroids_of(network)):
            # The trained network's. Those of the averaged one, which is evaluated, are the same: weights are
            # averaged, buffers copied.
            snapshots[step] = centroids

        saving = step % budget.checkpoint_every == 0 or step == budget.steps
        if saving or step % budget.log_every == 0:
            loss_each, error_each, norm_each = fabric.all_reduce(torch.stack(seen, 1))
            finite = (loss_each + norm_each).isfinite()
            if not finite.all():
                bad = step - len(seen) + int(finite.int().argmin()) + 1
                raise NonFiniteLoss(
                    f"loss or gradient became non-finite at step {bad} of {folder.name}; {checkpoint.kept}; "
                    f"try a learning_rate below {budget.learning_rate:g}"
                )
            seconds = time.perf_counter() - since
            facts["seconds"] += seconds
            row = {
                "step": step,
                "loss": loss_each.mean().item(),
                "psnr": -10 * error_each.mean().log10().item(),
                "validation_psnr": _psnr(averaged, *validation[:2]),
                "learning_rate": budget.learning_rate_at(step - 1),
                "images_per_s": len(seen) * budget.batch / seconds,
            }
            rows.append(row)
            bar.set_postfix(
                loss=f"{row['loss']:.4f}",
                psnr=f"{row['psnr']:.2f} dB",
                images=f"{row['images_per_s']:.0f}/s",
                waiting=f"{facts['data_wait_seconds'] / facts['seconds']:.0%}",
            )
            if writer:
                for name, number in row.items():
                    writer.add_scalar(name, number, step)
            stopping = time_is_up(deadline)
            facts["log_seconds"] += time.perf_counter() - since - seconds
            if main and (saving or stopping):
                checkpoint.save(step, rows, facts, snapshots)
            if stopping:
                break
            seen = []
            since = time.perf_counter()
    bar.close()
    if writer:
        writer.close()
    if step < budget.steps:
        raise OutOfTime(f"{folder.name} stopped after {step} of {budget.steps} steps")
    return averaged.module, pd.DataFrame(rows), facts, snapshots


def first_process() -> bool:
    """Whether this is the one of the processes that train together which records and tells."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", 0))) == 0


def time_is_up(deadline: float | None) -> bool:
    """Whether the deadline (of `time.monotonic`, s) has come; the first process decides for all."""
    if deadline is None:
        return False
    decision = [first_process() and time.monotonic() >= deadline]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(decision)
    return decision[0]


def auxiliary_loss(network: nn.Module) -> Float[Tensor, ""] | float:
    """The mean of the losses that layers left, in `auxiliary_loss`, in the last training pass, for backward.

    They are taken out: none counts twice, and no graph outlives its step. 0.0 if there are none.
    """
    losses = []
    for module in network.modules():
        if getattr(module, "auxiliary_loss", None) is not None:
            losses.append(module.auxiliary_loss)
            module.auxiliary_loss = None
    return torch.stack(losses).mean() if losses else 0.0


def centroids_of(network: nn.Module) -> Centroids:
    """A copy of the centroids that a network has now; empty if it has no spherical k-means."""
    return {
        name.rpartition(".")[0]: module.means.detach().clone().cpu()
        for name, module in network.named_modules()
        if isinstance(module, SphericalKMeans)
    }


def _moving_average(decay: float):
    """Update of an exponential moving average whose decay rises to `decay` as updates are counted."""

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count.item()) / (10 + count.item())))

    return torch.no_grad()(update)


@torch.inference_mode()
def _psnr(network: nn.Module, lr: Float[Tensor, "b 3 h w"], hr: Float[Tensor, "b 3 sh sw"]) -> float:
    return -10 * nn.functional.mse_loss(network(lr).clamp(0, 1), hr).log10().item()


def _prefetch(cut: Callable[[int], Batch], steps: range) -> Iterator[tuple[Batch, float]]:
    """The batch of each step, the next one cut while this one trains; and the seconds waited for it."""
    with ThreadPoolExecutor(1) as executor:
        coming = executor.submit(cut, steps.start) if steps else None
        for step in steps:
            asked = time.perf_counter()
            batch = coming.result()
            waited = time.perf_counter() - asked
            if step + 1 < steps.stop:
                coming = executor.submit(cut, step + 1)
            yield batch, waited


class Checkpoint:
    """Everything that a resumed run needs, in one safetensors file, replaced as a whole."""

    def __init__(self, path: Path, network: nn.Module, averaged: AveragedModel, adam: torch.optim.Adam):
        self.path = path
        self.network, self.averaged, self.adam = network, averaged, adam

    @property
    def kept(self) -> str:
        """What there is to go on from, in words."""
        if not self.path.exists():
            return "no checkpoint had been written"
        return f"the checkpoint of step {load_tensors(self.path)[1]['step']} is kept in {self.path}"

    def save(
        self, step: int, rows: list[dict[str, int | float]], facts: dict[str, float], snapshots: Snapshots
    ) -> None:
        """Write beside, then rename."""
        state = self.adam.state_dict()["state"]
        tensors = {
            **{f"network.{key}": tensor for key, tensor in self.network.state_dict().items()},
            **{f"averaged.{key}": tensor for key, tensor in self.averaged.state_dict().items()},
            **{f"adam.{i}.{key}": tensor for i in state for key, tensor in state[i].items()},
            **{f"centroids.{at}.{layer}": means for at in snapshots for layer, means in snapshots[at].items()},
            "rng": torch.get_rng_state(),
        }
        save_tensors(self.path, tensors, {"step": step, "rows": rows, "facts": facts})

    def load(self) -> tuple[int, list[dict[str, int | float]], dict[str, float], Snapshots]:
        """Restore what the file holds, if it is there; the step, curve rows, facts and snapshots so far."""
        nothing = dict.fromkeys(SECONDS, 0.0)
        if not self.path.exists():
            return 0, [], nothing, {}
        tensors, metadata = load_tensors(self.path)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "averaged": {}, "adam": {}, "centroids": {}}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            if name:
                parts[part][name] = tensor
        fit(self.network, parts["network"], f"checkpoint {self.path}")
        fit(self.averaged, parts["averaged"], f"checkpoint {self.path}")
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["adam"].items():
            i, _, name = key.partition(".")
            state.setdefault(int(i), {})[name] = tensor
        self.adam.load_state_dict({"state": state, "param_groups": self.adam.state_dict()["param_groups"]})
        torch.set_rng_state(tensors["rng"])
        snapshots: Snapshots = {}
        for key, means in parts["centroids"].items():
            at, _, layer = key.partition(".")
            snapshots.setdefault(int(at), {})[layer] = means
        snapshots = dict(sorted(snapshots.items()))  # a safetensors file has an order of its own
        return metadata["step"], metadata["rows"], nothing | metadata["facts"], snapshots
