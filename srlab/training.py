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
from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from srlab.attention import SphericalKMeans
from srlab.errors import InputError, NonFiniteLoss, OutOfTime
from srlab.measure.precision import Precision
from srlab.weights.checkpoints import fit, load_tensors, save_tensors

#: LR, HR, and more where an objective needs it.
Batch = tuple[Float[Tensor, "b _ _ _"], ...]
Fraction = Annotated[float, Field(ge=0, le=1)]
#: Centroids by attention layer, e.g. "groups.0.attention"; and the same by step of training.
Centroids = dict[str, Float[Tensor, "rounds k d"]]
Snapshots = dict[int, Centroids]
Rows = list[dict[str, int | float]]


class Budget(BaseModel, extra="forbid", frozen=True):
    """What the training of a network may cost, and how it is done.

    Patches, `batch` over all processes, have `patch` LR pixels a side. Adam's learning rate rises linearly over
    `warmup` steps, then falls by half at each of `halve_at` (fractions of the steps), or to zero at the last step.
    `last_rate` is the last convolution's share: its inputs are larger, so that a step changes the image more. The
    evaluated moving average of the weights has a decay that rises to `ema_decay` from (1 + t) / (10 + t).
    `gradient_clip` is the largest norm of the gradient.
    """

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

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate: a pure function of the step, so a resumed run needs no scheduler state."""
        if step + 1 < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        left = 1 - max(0, step + 1 - self.warmup) / (self.steps + 1 - self.warmup)
        halvings = sum(step >= fraction * self.steps for fraction in self.halve_at)
        falling = {"halve": 0.5**halvings, "cosine": 0.5 - 0.5 * math.cos(math.pi * left), "linear": left}
        return self.learning_rate * falling[self.decay]

    def keeps_centroids_at(self, step: int) -> bool:
        """Return whether centroids are kept after this many steps: the first, the last, and ten evenly between."""
        every = self.log_every * math.ceil(self.steps / (10 * self.log_every))
        return step in (1, self.steps) or step % every == 0


@runtime_checkable
class Batches(Protocol):
    def batch_at(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Return a process's share of LR, HR and what else the objective takes, a function of the step alone."""
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
    enough: Callable[[Rows], bool] = lambda rows: False,
) -> tuple[nn.Module, pd.DataFrame, dict[str, float], Snapshots]:
    """Train a network, LR [b, 3, h, w] on [0, 1] (or features) to SR, with Adam, or resume from `folder`'s checkpoint.

    After an interruption at any step the same call resumes and, on a CPU, ends with the same bits.

    Return the network with its averaged weights, in evaluation mode; a row a log: step, loss and psnr (dB) of training
    since the last row, validation_psnr (dB), learning_rate, images_per_s; seconds (training), data_wait_seconds (of
    those, waiting for patches), log_seconds (validation, logs, checkpoints), startup_seconds (until the first step),
    summed over interruptions; and centroids by step (`Budget.keeps_centroids_at`) and layer. NonFiniteLoss if training
    diverges, OutOfTime if steps remain at the deadline; the last checkpoint stays. InputError if the checkpoint is
    another network's, or `srun` started another number of processes.

    Parameters
    ----------
    validation : tuple of Tensor
        LR and HR that are never trained on; the PSNR (RGB, dB) of the averaged weights on it is logged.
    folder : Path
        Receives `checkpoint.safetensors` (the caller removes it once all is recorded) and `logs/`.
    seed : int
        Of everything random in training but the patches, which have their own.
    processes : int
        Devices that train together, with gloo on CPUs and nccl on GPUs; the batch is divided among them.
    deadline : float, optional
        By `time.monotonic`, s. At the first step of the log after it, a checkpoint is written and training stops.
    objective : callable
        The loss of SR, HR and what else a batch holds.
    enough : callable
        Decides after each row of the log, by all rows so far, that training ends before its last step.
    """
    entered = time.perf_counter()
    # Imported here, for they take seconds, and readers of records need none of them.
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
    from torch.utils.tensorboard import SummaryWriter

    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1 and not str(tasks) == str(processes) == os.environ.get("SLURM_NTASKS_PER_NODE"):
        raise InputError(f"srun started {tasks} processes, and --devices is {processes}: it must be --ntasks-per-node")
    if processes > tasks == 1 and "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE") != str(processes):
        raise InputError("LOCAL_RANK is set, by which processes of one training are numbered: unset it")
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
    others = [p for p in network.parameters() if p not in last]
    groups = [{"params": others, "share": 1.0}, {"params": [*network.last.parameters()], "share": budget.last_rate}]
    averaged = AveragedModel(network, multi_avg_fn=partial(_average, decay=budget.ema_decay)).to(fabric.device).eval()
    adam = torch.optim.Adam(groups, budget.learning_rate, budget.betas)
    model, optimizer = fabric.setup(network, adam)

    checkpoint = Checkpoint(folder / "checkpoint.safetensors", network, averaged, adam)
    step, rows, facts, snapshots = checkpoint.load()
    saved = step
    validation, main = tuple(fabric.to_device(images) for images in validation), fabric.is_global_zero
    writer = SummaryWriter(folder / "logs", purge_step=step + 1) if main else None
    bar = tqdm(total=budget.steps, initial=step, desc=folder.name, unit="step", disable=not main)

    model.train()
    seen, since = [], time.perf_counter()
    facts["startup_seconds"] += since - entered
    cut = partial(batches.batch_at, rank=fabric.global_rank, world_size=fabric.world_size)
    ended = bool(rows) and enough(rows)
    for batch, waited in _prefetch(cut, range(step, step if ended else budget.steps)):
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
            snapshots[step] = centroids  # the averaged network's too: weights are averaged, buffers copied

        saving = step % budget.checkpoint_every == 0 or step == budget.steps
        if saving or step % budget.log_every == 0:
            loss_each, error_each, norm_each = fabric.all_reduce(torch.stack(seen, 1))
            finite = (loss_each + norm_each).isfinite()
            if not finite.all():
                bad = step - len(seen) + int(finite.int().argmin()) + 1
                raise NonFiniteLoss(
                    f"loss or gradient became non-finite at step {bad} of {folder.name}, after the checkpoint of step "
                    f"{saved}; try a learning_rate below {budget.learning_rate:g}"
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
            bar.set_postfix_str(f"loss {row['loss']:.4f}, {row['psnr']:.2f} dB")
            for name, number in row.items() if main else ():
                writer.add_scalar(name, number, step)
            ended, stopping = enough(rows), time_is_up(deadline)
            facts["log_seconds"] += time.perf_counter() - since - seconds
            if main and (saving or stopping or ended):
                checkpoint.save(step, rows, facts, snapshots)
            saved = step if saving else saved
            if stopping or ended:
                break
            seen, since = [], time.perf_counter()
    bar.close()
    if main:
        writer.close()
    if step < budget.steps and not ended:
        raise OutOfTime(f"{folder.name} stopped after {step} of {budget.steps} steps")
    return averaged.module, pd.DataFrame(rows), facts, snapshots


def first_process() -> bool:
    """Return True if this process records for those that train together; a rank left in the environment is none."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def time_is_up(deadline: float | None) -> bool:
    """Return whether the deadline (of `time.monotonic`, s) has passed; the first process decides for all."""
    if deadline is None:
        return False
    decision = [first_process() and time.monotonic() >= deadline]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(decision)
    return decision[0]


def auxiliary_loss(network: nn.Module) -> Float[Tensor, ""] | float:
    """Take the losses out of the layers' `auxiliary_loss`, so that none counts twice; return their mean, or 0.0."""
    losses = []
    for module in network.modules():
        if getattr(module, "auxiliary_loss", None) is not None:
            losses.append(module.auxiliary_loss)
            module.auxiliary_loss = None
    return torch.stack(losses).mean() if losses else 0.0


def centroids_of(network: nn.Module) -> Centroids:
    """Copy a network's centroids, by layer; empty without spherical k-means."""
    return {
        name.rpartition(".")[0]: module.means.detach().clone().cpu()
        for name, module in network.named_modules()
        if isinstance(module, SphericalKMeans)
    }


@torch.no_grad()
def _average(averaged: list[Tensor], current: list[Tensor], count: Tensor, decay: float) -> None:
    torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count.item()) / (10 + count.item())))


@torch.inference_mode()
def _psnr(network: nn.Module, lr: Float[Tensor, "b _ h w"], hr: Float[Tensor, "b 3 sh sw"]) -> float:
    return -10 * nn.functional.mse_loss(network(lr).clamp(0, 1), hr).log10().item()


def _prefetch(cut: Callable[[int], Batch], steps: range) -> Iterator[tuple[Batch, float]]:
    """Yield the batch of each step and the seconds waited for it; the next is cut while this one trains."""
    with ThreadPoolExecutor(1) as executor:
        coming = executor.submit(cut, steps.start) if steps else None
        for step in steps:
            began = time.perf_counter()
            batch = coming.result()
            waited = time.perf_counter() - began
            if step + 1 < steps.stop:
                coming = executor.submit(cut, step + 1)
            yield batch, waited


class Checkpoint:
    """Everything that a resumed run needs, in one safetensors file, replaced as a whole."""

    def __init__(self, path: Path, network: nn.Module, averaged: AveragedModel, adam: torch.optim.Adam):
        self.path, self.network, self.averaged, self.adam = path, network, averaged, adam

    def save(self, step: int, rows: Rows, facts: dict[str, float], snapshots: Snapshots) -> None:
        state = self.adam.state_dict()["state"]
        tensors = {
            **{f"network.{key}": tensor for key, tensor in self.network.state_dict().items()},
            **{f"averaged.{key}": tensor for key, tensor in self.averaged.state_dict().items()},
            **{f"adam.{i}.{key}": tensor for i in state for key, tensor in state[i].items()},
            **{f"centroids.{at}.{layer}": means for at in snapshots for layer, means in snapshots[at].items()},
            "rng": torch.get_rng_state(),
        }
        save_tensors(self.path, tensors, {"step": step, "rows": rows, "facts": facts})

    def load(self) -> tuple[int, Rows, dict[str, float], Snapshots]:
        """Restore what the file holds, if it exists; return the step, curve rows, facts and snapshots so far."""
        if not self.path.exists():
            parts = ("seconds", "data_wait_seconds", "log_seconds", "startup_seconds")
            return 0, [], dict.fromkeys(parts, 0.0), {}
        tensors, metadata = load_tensors(self.path)
        parts = _grouped(tensors)
        fit(self.network, parts["network"], f"checkpoint {self.path}")
        fit(self.averaged, parts["averaged"], f"checkpoint {self.path}")
        state = {int(i): group for i, group in _grouped(parts["adam"]).items()}
        self.adam.load_state_dict({"state": state, "param_groups": self.adam.state_dict()["param_groups"]})
        torch.set_rng_state(parts["rng"][""])
        kept = _grouped(parts.get("centroids", {}))
        snapshots = {int(at): kept[at] for at in sorted(kept, key=int)}  # a safetensors file has an order of its own
        return metadata["step"], metadata["rows"], metadata["facts"], snapshots


def _grouped(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition(".")
        groups.setdefault(group, {})[name] = tensor
    return groups
