"""The study on a Slurm cluster of one node: by Snakemake as README says, killed and queued again; and by srun."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from cluster import cluster, missing
from kept import ROOT

from srlab.study.study import Study
from srlab.weights.checkpoints import load_tensors

pytestmark = pytest.mark.slow

#: Enough to be killed among them; a checkpoint every other.
STEPS = 150
MODEL = "lcoan"
#: Times, which are of the machine.
MEASURED = ["images_per_s"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment of a cluster's commands, with this Python first."""
    if absent := missing():
        pytest.skip(f"needs {', '.join(absent)} (Debian: `apt-get install slurm-wlm munge`)")
    with cluster(tmp_path_factory.mktemp("slurm")) as environment:
        path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        yield {**environment, "PATH": path, "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """This checkout, with a profile `smoke` that trains long enough to be killed."""
    checkout = tmp_path / "checkout"
    (checkout / "profiles").mkdir(parents=True)
    for name in ("Snakefile", "notebooks", "run_all.sh", "setup_env.sh", "srlab"):
        (checkout / name).symlink_to(ROOT / name)
    profile = yaml.safe_load((ROOT / "profiles" / "smoke.yaml").read_text())
    profile["training"] |= {"steps": STEPS, "log_every": 2, "checkpoint_every": 2}
    (checkout / "profiles" / "smoke.yaml").write_text(yaml.safe_dump(profile))
    return checkout


def record_in(results: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(results))
    study = Study("smoke", checkout)
    return study.record(study.training(MODEL))


def assert_the_same_bits(one, other) -> None:
    for name in ("weights", "centroids"):
        (ours, told), (theirs, told_too) = (load_tensors(each.folder / f"{name}.safetensors") for each in (one, other))
        assert ours.keys() == theirs.keys() and told == told_too
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    pd.testing.assert_frame_equal(one.table("images"), other.table("images"), check_exact=True)
    curves = (each.table("curve").drop(columns=MEASURED) for each in (one, other))
    pd.testing.assert_frame_equal(*curves, check_exact=True)


def test_a_job_that_is_killed_goes_on_when_queued_again_and_ends_with_the_same_bits(
    slurm, checkout, tmp_path, monkeypatch
):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs snakemake-executor-plugin-slurm")
    ours, local = (record_in(tmp_path / name, checkout, monkeypatch) for name in ("slurm", "local"))
    asked = ["bash", "run_all.sh", "smoke", ours.files[-1], "--executor", "slurm", "--jobs", "2", "--retries", "1"]
    asked += ["--default-resources", "slurm_partition=local", "runtime=10", "mem_mb=1000"]
    # No accounting here, so ask the queue; and keep the log of what succeeds.
    asked += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]
    asked += ["--slurm-keep-successful-logs"]
    environment = {**slurm, "SRLAB_RESULTS": str(tmp_path / "slurm")}
    with (tmp_path / "out").open("wb") as out:
        snakemake = subprocess.Popen(
            asked, cwd=checkout, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while not (ours.folder / "checkpoint.safetensors").exists():
            assert snakemake.poll() is None, (tmp_path / "out").read_text()
            time.sleep(0.02)
        [killed] = queue(slurm)
        subprocess.run(["scancel", killed], env=slurm, check=True)
        assert snakemake.wait(600) == 0, (tmp_path / "out").read_text()
    finally:
        if snakemake.poll() is None:
            os.killpg(snakemake.pid, signal.SIGKILL)
    assert f"SLURM-job '{killed}' failed, SLURM status is: 'CANCELLED'" in (tmp_path / "out").read_text()
    first, again = sorted(checkout.glob(".snakemake/slurm_logs/*/*.log"), key=lambda log: int(log.stem))
    assert first.stem == killed
    begun, went_on = (int(re.search(rf"(\d+)/{STEPS} ", log.read_text()).group(1)) for log in (first, again))
    assert begun == 0 < went_on < STEPS
    command = [sys.executable, "-m", "srlab", "run", "--profile", "smoke", "--only", local.run.name]
    subprocess.run(command, cwd=checkout, env={**slurm, "SRLAB_RESULTS": str(tmp_path / "local")}, check=True)
    assert_the_same_bits(ours, local)


def test_processes_that_srun_starts_train_one_network_as_those_that_srlab_starts(slurm, tmp_path, monkeypatch):
    command = [sys.executable, "-m", "srlab", "train", "--profile", "smoke", "--model", MODEL, "--devices", "2"]
    starts = {"srun": ["srun", "--ntasks-per-node", "2", "--time", "10"], "srlab": []}
    for name, start in starts.items():
        environment = {**slurm, "SRLAB_RESULTS": str(tmp_path / name)}
        subprocess.run([*start, *command], cwd=ROOT, env=environment, check=True, timeout=600)
    assert_the_same_bits(*(record_in(tmp_path / name, ROOT, monkeypatch) for name in starts))


def queue(slurm: dict[str, str]) -> list[str]:
    """The numbers of the jobs that wait or run."""
    return subprocess.check_output(["squeue", "--noheader", "--format=%i"], env=slurm, text=True).split()
