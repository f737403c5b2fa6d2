"""Names of devices and of the code's commit."""

import platform
import shutil
import subprocess

import pytest
import torch

from srlab.errors import InputError
from srlab.measure import devices
from srlab.measure.devices import choose_device, code_commit, describe_device, device_slug


@pytest.mark.parametrize(("present", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_if_there_is_one_and_missing_and_unknown_devices_are_refused(monkeypatch, present, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert choose_device("auto") == torch.device(chosen) and choose_device("cpu") == torch.device("cpu")
    for name in ("tpu",) if present else ("cuda", "tpu"):
        with pytest.raises(InputError, match=f"device '{name}'"):
            choose_device(name)


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("AMD EPYC", "amd-epyc"),
        ("AMD Ryzen 7 5800X 8-Core Processor", "amd-ryzen"),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "intel-xeon"),
        ("Intel(R) Core(TM)2 Duo CPU     T7500  @ 2.20GHz", "intel-core2"),
        ("Apple M2 Pro", "apple-m2"),
        ("Ampere(R) Altra(R) Processor Q80-30 CPU @ 3.0GHz", "ampere-altra"),
        ("../../etc \\ <b>", "etc-b"),
        ("", "cpu"),
    ],
)
def test_a_cpu_s_slug_is_its_maker_and_family(monkeypatch, model, slug):
    monkeypatch.setattr(devices, "_cpu_name", lambda: model)
    assert device_slug("cpu") == slug
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA GeForce RTX 4090 (24 GB)")
    assert device_slug("cuda") == "nvidia-geforce-rtx-4090-24-gb"


def test_a_mac_names_its_processor(monkeypatch, tmp_path):
    sysctl = tmp_path / "sysctl"
    sysctl.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo "Apple M2 Pro"\n')
    sysctl.chmod(0o755)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_device("cpu")["name"] == "Apple M2 Pro" and device_slug("cpu") == "apple-m2"
    sysctl.unlink()
    assert device_slug("cpu") == "arm"


def test_description_of_the_cpu():
    expected = {"kind": "cpu", "threads": torch.get_num_threads(), "torch": torch.__version__}
    description = describe_device("cpu")
    assert description["name"] and description["commit"] and description.items() >= expected.items()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_checkout_or_unknown(tmp_path, monkeypatch):
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    (tmp_path / "code.py").write_text("1\n")
    for words in (["init"], ["add", "."], ["commit", "-m", "first"], ["tag", "v1"]):
        git(*words)
    head = git("rev-parse", "--short", "HEAD")
    assert code_commit(tmp_path) == head
    (tmp_path / "code.py").write_text("2\n")
    assert code_commit(tmp_path) == f"{head}-dirty"
    (tmp_path / "site-packages").mkdir()
    assert code_commit(tmp_path / "site-packages") == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert code_commit(tmp_path) == "unknown"
