"""Training: seeded, resumable to the bit, stopped by a non-finite loss, the same on two processes."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srlab.data.patches import Patches
from srlab.errors import InputError, NonFiniteLoss, OutOfTime
from srlab.models import build
from srlab.training import Budget, train
from srlab.weights.checkpoints import load_tensors

CPU = torch.device("cpu")
SETTINGS = {"batch": 2, "patch": 8, "learning_rate": 1e-3, "log_every": 2, "checkpoint_every": 3}
BUDGET = Budget(steps=8, warmup=2, halve_at=(0.5,), **SETTINGS)
IMAGES = list(torch.randint(0, 256, (3, 3, 40, 44), generator=torch.Generator().manual_seed(1), dtype=torch.uint8))


class Watched(torch.nn.Module):
    """A network that keeps its last bias at each step, and whose loss is not finite from a given step on."""

    def __init__(self, diverges: float = float("inf")):
        super().__init__()
        self.inner, self.diverges, self.biases = network(), diverges, []

    @property
    def last(self) -> torch.nn.Module:
        return self.inner.last

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.biases.append(self.inner.tail.bias.detach().clone())
        return self.inner(lr) * (float("nan") if self.training and len(self.biases) >= self.diverges else 1)


def network() -> torch.nn.Module:
    return build("lcoan", 2, seed=0, channels=8, groups=2, blocks=1, clusters=4, window=16)


def fit(folder: Path, budget: Budget = BUDGET, data=None, net=None, deadline: float | None = None):
    generator = torch.Generator().manual_seed(2)
    validation = tuple(torch.rand(2, 3, side, side, generator=generator) for side in (8, 16))
    data = data or Patches(IMAGES, 2, budget.patch, budget.batch, seed=0)
    return train(net or network(), data, validation, budget, folder, 0, CPU, deadline=deadline)


def assert_equal_bits(one, other):
    """Compare networks, curves and centroids of two runs."""
    (network, curve, _, kept), (network_again, curve_again, _, kept_again) = one, other
    torch.testing.assert_close(network.state_dict(), network_again.state_dict(), rtol=0, atol=0)
    without_speed = (table.drop(columns="images_per_s") for table in (curve, curve_again))
    pd.testing.assert_frame_equal(*without_speed, check_exact=True)
    assert list(kept) == list(kept_again) == [1, 2, 4, 6, 8]
    torch.testing.assert_close(kept, kept_again, rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_loss_falls_and_the_curve_has_a_row_at_each_log(tmp_path, precision):
    settings = {"learning_rate": 2e-3, "log_every": 20, "checkpoint_every": 30, "precision": precision}
    smooth = [torch.linspace(0, 255, 40).expand(3, 40, 40).to(torch.uint8)]
    averaged, curve, facts, _ = fit(tmp_path, Budget(steps=60, batch=4, **settings), Patches(smooth, 2, 8, 4, seed=0))
    assert averaged.head.weight.dtype == torch.float32
    assert curve.loss.is_monotonic_decreasing and curve.loss.iloc[-1] < curve.loss.iloc[0] / 2
    assert curve.step.tolist() == [20, 30, 40, 60]
    assert list(curve) == ["step", "loss", "psnr", "validation_psnr", "learning_rate", "images_per_s"]
    assert 0 <= facts["data_wait_seconds"] < facts["seconds"]


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_interrupted_at_any_step_ends_with_the_same_bits(tmp_path, stop):
    whole, data = fit(tmp_path / "whole", deadline=time.monotonic() + 3600), Patches(IMAGES, 2, 8, 2, seed=0)
    batches = [data.batch_at(step) for step in range(stop)]
    data.batch_at = Mock(side_effect=[*batches, KeyboardInterrupt])  # fails at a step, as a machine does
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", data=data)
    assert_equal_bits(whole, fit(tmp_path / "parts"))


def test_a_run_stopped_by_its_deadline_goes_on_each_time_and_ends_with_the_same_bits(tmp_path):
    """Each call gets to the next step of the log, or that of a checkpoint; the last one to the end."""
    for step in (2, 3, 4, 6):
        with pytest.raises(OutOfTime, match=f"{step} of 8"):
            fit(tmp_path / "parts", deadline=0.0)
        assert load_tensors(tmp_path / "parts" / "checkpoint.safetensors")[1]["step"] == step
    whole = fit(tmp_path / "whole")
    assert_equal_bits(whole, fit(tmp_path / "parts", deadline=0.0))
    other, *_ = fit(tmp_path / "other", data=Patches(IMAGES, 2, 8, 2, seed=1))
    assert not torch.equal(whole[0].head.weight, other.head.weight)


def test_centroids_are_kept_as_they_were_at_each_step(tmp_path):
    """The last are those of the network that is evaluated; the first those that the first batch gave."""
    averaged, _, _, kept = fit(tmp_path / "a")
    assert kept[8].keys() == {"groups.0.attention"}
    assert torch.equal(kept[8]["groups.0.attention"], averaged.groups[0].attention.kmeans.means)
    assert not torch.equal(kept[1]["groups.0.attention"], kept[8]["groups.0.attention"])
    fit(tmp_path / "b", budget=BUDGET.model_copy(update={"steps": 4, "halve_at": (1.0,)}))
    held, _ = load_tensors(tmp_path / "b" / "checkpoint.safetensors")
    assert torch.equal(held["network.groups.0.attention.kmeans.means"], kept[4]["groups.0.attention"])
    *_, none = fit(tmp_path / "c", net=build("no_attention", 2, seed=0, channels=8, groups=1, blocks=1))
    assert none == {}


@given(steps=st.integers(1, 10_000), log_every=st.integers(1, 500))
def test_centroids_are_kept_at_the_ends_and_evenly_between(steps, log_every):
    budget = Budget(steps=steps, log_every=log_every)
    kept = [step for step in range(1, steps + 1) if budget.keeps_centroids_at(step)]
    assert kept[0] == 1 and kept[-1] == steps and len(kept) <= 12
    assert all(step % log_every == 0 for step in kept[1:-1]) and len(set(np.diff(kept[1:-1]))) <= 1


def srlab_train(results: Path, *options: str) -> subprocess.Popen:
    """Start `srlab train` of the smoke study in a process of its own."""
    environment = {**os.environ, "SRLAB_RESULTS": str(results), "SRLAB_DATA": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "srlab", "train", "--profile", "smoke", *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def learnt(results: Path, file: str = "weights") -> tuple[dict[str, torch.Tensor], dict]:
    """Read what the only run in a folder of results learnt."""
    [path] = results.glob(f"*/runs/*/{file}.safetensors")
    return load_tensors(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one process that nothing interrupts."""
    results = tmp_path_factory.mktemp("whole")
    assert srlab_train(results, "--model", "lcoan").wait() == 0
    return results


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_with_the_same_bits(tmp_path, whole):
    """SIGKILL while training for real, through the command line; then the same command again."""
    process = srlab_train(tmp_path, "--model", "lcoan")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*/runs/*/checkpoint.safetensors")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.returncode == -signal.SIGKILL:
        assert not list(tmp_path.glob("*/runs/*/run.json"))
    assert srlab_train(tmp_path, "--model", "lcoan").wait() == 0
    for file in ("weights", "centroids"):
        (ours, metadata), (theirs, metadata_whole) = learnt(tmp_path, file), learnt(whole, file)
        assert ours.keys() == theirs.keys() and metadata == metadata_whole
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not list(tmp_path.glob("*/runs/*/checkpoint.safetensors"))


@pytest.mark.parametrize(("step", "last"), [(5, 3), (1, 0)])
def test_a_non_finite_loss_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, step, last):
    with pytest.raises(NonFiniteLoss, match=f"step {step} .*step {last};"):
        fit(tmp_path, net=Watched(diverges=step))
    if last or (tmp_path / "checkpoint.safetensors").exists():
        tensors, held = load_tensors(tmp_path / "checkpoint.safetensors")
        assert held["step"] == last
        assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_the_averaged_weights_are_an_exponential_moving_average(tmp_path):
    net = Watched()
    averaged, *_ = fit(tmp_path, net=net)
    expected, *later = [*net.biases[1:], net.inner.tail.bias.detach()]  # the first update copies
    for count, current in enumerate(later, start=1):
        decay = min(BUDGET.ema_decay, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * current
    torch.testing.assert_close(averaged.inner.tail.bias, expected)
    assert not averaged.training


def test_the_last_convolution_learns_at_its_own_rate(tmp_path):
    """Adam's first step is the learning rate, whatever the gradient."""
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    fit(tmp_path, net=net, budget=Budget(steps=1, last_rate=0.25, **SETTINGS))
    for name, moved in {"tail.bias": 2.5e-4, "tail.weight": 2.5e-4, "head.weight": 1e-3}.items():
        assert (net.get_parameter(name) - before[name]).abs().amax().item() == pytest.approx(moved, rel=1e-3)


@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_the_learning_rate_warms_up_and_halves_or_falls_to_almost_nothing(decay):
    budget = Budget(steps=100, learning_rate=1.0, warmup=4, halve_at=(0.5, 0.75))
    rates = {0: 0.25, 1: 0.5, 3: 1, 4: 1, 49: 1, 50: 0.5, 74: 0.5, 75: 0.25, 99: 0.25}
    assert {step: budget.learning_rate_at(step) for step in rates} == rates
    budget = Budget(steps=100, learning_rate=1.0, warmup=20, decay=decay)
    rates = [budget.learning_rate_at(step) for step in range(100)]
    assert rates[0] == 0.05 and rates[19] == max(rates) == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates[19:])) and 0 < rates[-1] < 0.02
    assert abs(rates[60] - 0.5) < 0.02


def test_processes_of_srun_that_are_not_those_asked_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "3")
    with pytest.raises(InputError, match=r"3 processes.*--devices is 1"):
        fit(tmp_path)


@pytest.mark.slow
def test_two_processes_train_one_run_together(tmp_path, whole):
    """With gloo: the same batches, divided; k-means and gradients over both; so the same network."""
    assert srlab_train(tmp_path, "--model", "lcoan", "--devices", "2").wait() == 0
    together = learnt(tmp_path)[0]
    for key, alone in learnt(whole)[0].items():
        # A gradient that is a sum of signs may cancel to 0 in one order of adding and to 1e-10 in another, of which
        # Adam makes a step of any size up to the learning rate: rare in weights, less so in biases. Other batches
        # would part the networks by that rate.
        difference = (together[key].float() - alone.float()).abs()
        assert difference.mean() <= (1e-5 if alone.dim() > 1 else 1e-3), key
        assert difference.max() <= (1e-4 if alone.dim() > 1 else 1e-3), key
