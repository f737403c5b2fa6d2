"""Each measure against cases whose answer is known beforehand."""

import json
import platform
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from srlab.errors import InputError
from srlab.measure import devices, profiling
from srlab.measure.devices import choose_device, code_commit, describe_device, device_slug
from srlab.measure.profiling import (
    ceilings,
    count_flops,
    count_parameters,
    energy,
    measure,
    peak_memory,
    profile_call,
    summarise_times,
)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
MIB_OF_FLOATS = 2**18


class TestTime:
    @pytest.mark.parametrize("device", DEVICES)
    def test_calls_are_timed_in_turn(self, device):
        order = []
        calls = {name: lambda name=name: order.append(name) for name in "ab"}
        frame = measure(calls, repeats=3, warmup=2, device=device)
        assert list(frame.columns) == ["name", "repeat", "ms"]
        assert list(frame["name"]) == ["a", "b"] * 3
        assert list(frame["repeat"]) == [0, 0, 1, 1, 2, 2]
        turns = [name for name, before in zip(order, [None, *order], strict=False) if name != before]
        assert turns == ["a", "b"] * 5

    def test_times_are_milliseconds_of_one_call(self):
        calls = {"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.030)}
        summary = summarise_times(measure(calls, repeats=3, warmup=0, device="cpu"))
        short, long = summary["median_ms"]
        assert 2 <= short < 30 <= long < 300

    @needs_cuda
    def test_gpu_times_wait_for_the_work(self):
        x = torch.randn(4096, 4096, device="cuda")
        calls = {"one": lambda: x @ x, "twenty": lambda: [x @ x for _ in range(20)]}
        medians = summarise_times(measure(calls, repeats=5, warmup=2, device="cuda"))["median_ms"]
        assert 10 < medians["twenty"] / medians["one"] < 30

    def test_summary(self):
        times = pd.DataFrame({"name": ["b"] * 5 + ["a"], "repeat": [0, 1, 2, 3, 4, 0], "ms": [9, 1, 3, 5, 7, 4]})
        summary = summarise_times(times)
        assert list(summary.index) == ["b", "a"]
        assert summary.loc["b"].to_dict() == {"median_ms": 5, "q25_ms": 3, "q75_ms": 7, "repeats": 5}
        assert summary.loc["a"].to_dict() == {"median_ms": 4, "q25_ms": 4, "q75_ms": 4, "repeats": 1}

    @pytest.mark.parametrize(
        ("changed", "sentence"),
        [
            ({"calls": {}}, "calls is empty: give at least one call to time."),
            ({"repeats": 0}, "repeats is 0: it must be at least 1."),
            ({"warmup": -1}, "warmup is -1: it must be at least 0."),
        ],
    )
    def test_bad_input(self, changed, sentence):
        arguments = {"calls": {"none": lambda: None}, "repeats": 1, "warmup": 0, "device": "cpu"} | changed
        with pytest.raises(InputError) as error:
            measure(**arguments)
        assert str(error.value) == sentence


@pytest.mark.parametrize("device", DEVICES)
class TestPeakMemory:
    def test_freed_memory_does_not_add_up(self, device):
        def call():
            first = torch.empty(8 * MIB_OF_FLOATS, device=device)
            del first
            torch.empty(4 * MIB_OF_FLOATS, device=device)

        assert peak_memory(call, device) == 8

    def test_memory_held_together_adds_up(self, device):
        def call():
            return torch.empty(8 * MIB_OF_FLOATS, device=device), torch.empty(8 * MIB_OF_FLOATS, device=device)

        assert peak_memory(call, device) == 16

    def test_only_what_the_call_adds_is_counted(self, device):
        x = torch.randn(8 * MIB_OF_FLOATS, device=device)
        assert peak_memory(x.relu_, device) == 0
        assert peak_memory(x.relu, device) == 8

    def test_a_call_that_keeps_its_memory_does_not_spoil_the_next(self, device):
        kept = []
        assert peak_memory(lambda: kept.append(torch.empty(8 * MIB_OF_FLOATS, device=device)), device) == 8
        assert peak_memory(lambda: torch.empty(2 * MIB_OF_FLOATS, device=device), device) == 2
        kept.clear()
        assert peak_memory(lambda: torch.empty(2 * MIB_OF_FLOATS, device=device), device) == 2

    def test_gradients_keep_what_inference_frees(self, device):
        x = torch.randn(MIB_OF_FLOATS, device=device, requires_grad=True)

        def call():
            return x.exp().sin().cos().sum()

        with torch.no_grad():
            inference = peak_memory(call, device)
        assert inference == pytest.approx(2, abs=0.01)
        assert peak_memory(call, device) == pytest.approx(3, abs=0.01)


def test_peak_memory_counts_a_kernel_s_workspace():
    # In float64, PyTorch multiplies unfolded patches.
    x, weight = torch.randn(1, 16, 66, 66).double(), torch.randn(32, 16, 3, 3).double()
    unfolded, output = 16 * 9 * 64 * 64, 32 * 64 * 64
    peak = peak_memory(lambda: F.conv2d(x, weight), "cpu")
    assert peak == pytest.approx(2 * (unfolded + output) / MIB_OF_FLOATS, rel=0.01)


def test_peak_memory_does_not_credit_older_memory_on_the_cpu():
    older = [torch.empty(8 * MIB_OF_FLOATS)]

    def call():
        older.clear()
        return torch.empty(2 * MIB_OF_FLOATS), torch.empty(3 * MIB_OF_FLOATS)

    assert peak_memory(call, "cpu") == 5


def test_the_profiler_stays_silent(capfd):
    peak_memory(lambda: torch.empty(1), "cpu")
    assert "".join(capfd.readouterr()) == ""


class TestFlops:
    @pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
    @pytest.mark.parametrize("device", DEVICES)
    def test_fused_attention_counts_as_its_two_products(self, mode, device):
        q = torch.randn(2, 3, 64, 16, device=device)
        k, v = torch.randn(2, 2, 3, 40, 16, device=device)
        with mode():
            fused = count_flops(lambda: F.scaled_dot_product_attention(q, k, v))
            plain = count_flops(lambda: (q @ k.mT).softmax(-1) @ v)
        assert fused == plain == 2 * (2 * 2 * 3 * 64 * 40 * 16)

    @pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
    def test_layers(self, mode):
        convolution, linear = nn.Conv2d(8, 12, 3, padding=1), nn.Linear(10, 20)
        image, rows = torch.randn(2, 8, 5, 7), torch.randn(6, 10)
        with mode():
            assert count_flops(lambda: convolution(image)) == 2 * 2 * 12 * 5 * 7 * 8 * 9
            assert count_flops(lambda: linear(rows).relu()) == 2 * 6 * 10 * 20

    def test_backward_of_fused_attention_is_counted(self):
        q, k, v = torch.randn(3, 2, 3, 64, 16).requires_grad_().unbind()
        forward = count_flops(lambda: F.scaled_dot_product_attention(q, k, v))
        both = count_flops(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())
        assert both == forward * 7 / 2  # the scores again, and four products for the gradients


def test_count_parameters_counts_a_shared_layer_once():
    layer = nn.Conv2d(3, 4, 3)
    assert count_parameters(nn.Sequential(layer, nn.ReLU(), layer)) == 4 * 3 * 9 + 4


@pytest.mark.parametrize("device", DEVICES)
def test_profile_call_is_one_record(device):
    x = torch.randn(64, 64, device=device)
    record = profile_call(lambda: x @ x, device, repeats=4, warmup=1)
    assert 0 < record["q25_ms"] <= record["median_ms"] <= record["q75_ms"]
    assert (record["repeats"], record["warmup"]) == (4, 1)
    assert record["peak_mib"] == 64 * 64 / MIB_OF_FLOATS
    assert record["gflops"] == 2 * 64**3 / 1e9
    assert json.loads(json.dumps(record)) == record
    assert profile_call(lambda: x @ x, device, repeats=1, warmup=0, flops=False)["gflops"] is None


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_nothing_goes_through_the_roof(device):
    roofs = ceilings(device)
    left, right = torch.rand(2, 512, 512, device=device)
    source, target = torch.zeros(2, 2**24, device=device)
    calls = {"product": lambda: left @ right, "copy": lambda: target.copy_(source)}
    seconds = summarise_times(measure(calls, 5, 2, device))["median_ms"] / 1e3
    # On a machine with other work, what is short suffers less; and part of the copy may be in caches.
    assert 0 < 2 * 512**3 / seconds["product"] / 1e9 < 3 * roofs["gflops_per_s"]
    assert 0 < 2 * 4 * 2**24 / seconds["copy"] / 2**30 < 3 * roofs["gib_per_s"]


def test_a_roof_is_the_best_of_several_times(monkeypatch):
    times = pd.DataFrame({"name": ["product", "copy"] * 2, "repeat": [0, 0, 1, 1], "ms": [3.0, 2.0, 1.0, 4.0]})
    monkeypatch.setattr(profiling, "measure", lambda calls, *_, **__: times)
    assert ceilings("cpu") == {"gflops_per_s": pytest.approx(2**34 / 1e6), "gib_per_s": pytest.approx(250)}


class TestEnergy:
    @pytest.fixture
    def board(self, monkeypatch) -> SimpleNamespace:
        """A GPU's counter as the NVIDIA management library shows it, in mJ."""

        class NVMLError(Exception):
            pass

        board = SimpleNamespace(mj=123_456, asked=[], NVMLError=NVMLError)

        def handle(uuid: str) -> SimpleNamespace:
            board.asked.append(uuid)
            return board

        board.nvmlInit = lambda: None
        board.nvmlDeviceGetHandleByUUID = handle
        board.nvmlDeviceGetTotalEnergyConsumption = lambda handle: handle.mj
        monkeypatch.setitem(sys.modules, "pynvml", board)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="0a-1b"))
        return board

    def test_is_joules_of_one_call(self, board):
        calls = []

        def call():
            calls.append(time.sleep(0.001))
            board.mj += 250

        assert energy(call, "cuda", seconds=0.02) == 0.25
        assert len(calls) > 1 and board.asked == ["GPU-0a-1b"]

    def test_a_long_call_is_made_once(self, board):
        calls = []
        energy(lambda: calls.append(time.sleep(0.01)), "cuda", seconds=0.001)
        assert len(calls) == 1

    def test_is_none_without_a_counter(self, board, monkeypatch):
        def unsupported(handle):
            raise board.NVMLError

        board.nvmlDeviceGetTotalEnergyConsumption = unsupported
        assert energy(lambda: None, "cuda") is None
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert energy(lambda: None, "cuda") is None

    def test_is_none_on_a_cpu_and_makes_no_call(self):
        assert energy(lambda: pytest.fail("called"), "cpu") is None

    @needs_cuda
    def test_more_work_takes_more(self):
        pytest.importorskip("pynvml")
        x = torch.randn(4096, 4096, device="cuda")
        one, ten = (energy(lambda n=n: [x @ x for _ in range(n)], "cuda") for n in (1, 10))
        if one is None:
            pytest.skip("this GPU counts no energy")
        assert 4 < ten / one < 25


class TestDevice:
    @pytest.mark.parametrize(("present", "chosen"), [(True, "cuda"), (False, "cpu")])
    def test_auto_takes_a_gpu_where_there_is_one(self, monkeypatch, present, chosen):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
        assert choose_device("auto") == torch.device(chosen)
        assert choose_device("cpu") == torch.device("cpu")

    def test_missing_and_unknown_devices_are_refused(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(InputError, match=r"^device 'cuda' was asked for, but PyTorch finds no GPU here"):
            choose_device("cuda")
        with pytest.raises(InputError, match=r"^device 'tpu' is not known: choose auto, cpu or cuda\.$"):
            choose_device("tpu")

    def test_slug(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA GeForce RTX 4090 (24 GB)")
        assert device_slug("cuda") == "nvidia-geforce-rtx-4090-24-gb"
        monkeypatch.setattr(devices, "_cpu_name", lambda: "AMD EPYC 7B13 64-Core Processor")
        assert device_slug("cpu") == "amd-epyc"

    @pytest.mark.parametrize(
        ("model", "slug"),
        [
            ("AMD EPYC", "amd-epyc"),
            ("AMD EPYC 7B13 64-Core Processor", "amd-epyc"),
            ("AMD EPYC-Milan Processor", "amd-epyc"),
            ("AMD Ryzen 7 5800X 8-Core Processor", "amd-ryzen"),
            ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "amd-ryzen"),
            ("Dual-Core AMD Opteron(tm) Processor 2216", "amd-opteron"),
            ("AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD", "amd64"),
            ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "intel-xeon"),
            ("Intel(R) Xeon(R) CPU E5-2680 v3 @ 2.50GHz", "intel-xeon"),
            ("Intel Xeon Processor (Skylake, IBRS)", "intel-xeon"),
            ("13th Gen Intel(R) Core(TM) i7-1360P", "intel-core"),
            ("Intel(R) Core(TM) Ultra 7 155H", "intel-core"),
            ("Intel(R) Core(TM)2 Duo CPU     T7500  @ 2.20GHz", "intel-core2"),
            ("Intel(R) N100", "intel-n100"),
            ("Genuine Intel(R) CPU 0000%@", "intel"),
            ("Intel64 Family 6 Model 158 Stepping 10, GenuineIntel", "intel64"),
            ("Apple M2 Pro", "apple-m2"),
            ("arm", "arm"),
            ("i386", "i386"),
            ("aarch64", "aarch64"),
            ("Neoverse-N1", "neoverse-n1"),
            ("Cortex-A72", "cortex-a72"),
            ("Ampere(R) Altra(R) Processor Q80-30 CPU @ 3.0GHz", "ampere-altra"),
            ("ARMv7 Processor rev 4 (v7l)", "armv7"),
            ("Hygon C86 7185 32-core Processor", "hygon-c86"),
            ("QEMU Virtual CPU version 2.5+", "qemu-virtual"),
            ("Common KVM processor", "common-kvm"),
            ("../../etc \\ <b>", "etc-b"),
            ("处理器", "cpu"),
            ("CPU", "cpu"),
            ("", "cpu"),
        ],
    )
    def test_slug_of_a_cpu_is_its_maker_and_family(self, monkeypatch, model, slug):
        monkeypatch.setattr(devices, "_cpu_name", lambda: model)
        assert device_slug("cpu") == slug

    def test_a_mac_says_which_processor_it_has(self, monkeypatch, tmp_path):
        sysctl = tmp_path / "sysctl"
        sysctl.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo "Apple M2 Pro"\n')
        sysctl.chmod(0o755)
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        monkeypatch.setattr(platform, "processor", lambda: "arm")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert describe_device("cpu")["name"] == "Apple M2 Pro" and device_slug("cpu") == "apple-m2"
        sysctl.unlink()
        assert device_slug("cpu") == "arm"

    def test_description_of_the_cpu(self, monkeypatch):
        monkeypatch.setattr(devices, "code_commit", lambda: "1234567")
        description = describe_device("cpu")
        assert description.pop("name")
        assert description == {
            "kind": "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "commit": "1234567",
        }

    @needs_cuda
    def test_description_of_a_gpu(self):
        description = describe_device("cuda")
        assert (description["name"], description["kind"]) == (torch.cuda.get_device_name(), "cuda")


class TestCommit:
    @pytest.fixture
    def checkout(self, tmp_path):
        if shutil.which("git") is None:
            pytest.skip("needs git")
        (tmp_path / "code.py").write_text("1\n")
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        for command in (["init"], ["add", "."], [*identity, "commit", "-m", "first"], ["tag", "v1"]):
            subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
        return tmp_path

    def test_names_the_commit_and_says_when_it_is_not_all(self, checkout):
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
        ).stdout.strip()
        assert code_commit(checkout) == head
        (checkout / "code.py").write_text("2\n")
        assert code_commit(checkout) == f"{head}-dirty"

    def test_a_folder_inside_a_checkout_is_none(self, checkout):
        inside = checkout / "site-packages"
        inside.mkdir()
        assert code_commit(inside) == "unknown"

    def test_unknown_without_git(self, checkout, monkeypatch):
        monkeypatch.setenv("PATH", str(checkout / "nothing"))
        assert code_commit(checkout) == "unknown"
