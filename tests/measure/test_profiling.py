"""Each measure against cases whose answer is known beforehand."""

import sys
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from srlab.errors import InputError
from srlab.measure import profiling
from srlab.measure.costs import measure_networks
from srlab.measure.profiling import ceilings, count_flops, count_parameters, energy, measure, peak_memory
from srlab.models import build

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
MIB_OF_FLOATS = 2**18


@pytest.mark.parametrize("device", DEVICES)
def test_calls_are_timed_interleaved(device):
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    frame = measure(calls, repeats=3, warmup=2, device=device)
    assert list(frame.columns) == ["name", "repeat", "ms"]
    assert list(frame["name"]) == ["a", "b"] * 3
    assert list(frame["repeat"]) == [0, 0, 1, 1, 2, 2]
    turns = [name for name, before in zip(order, [None, *order], strict=False) if name != before]
    assert turns == ["a", "b"] * 5


def test_times_are_milliseconds_of_one_call():
    calls = {"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.030)}
    short, long = profiling.summarise_times(measure(calls, repeats=3, warmup=0, device="cpu"))["median_ms"]
    assert 2 <= short < 30 <= long < 300


@needs_cuda
def test_gpu_times_and_energy_wait_for_the_work():
    x = torch.randn(4096, 4096, device="cuda")
    calls = {"one": lambda: x @ x, "twenty": lambda: [x @ x for _ in range(20)]}
    medians = profiling.summarise_times(measure(calls, repeats=5, warmup=2, device="cuda"))["median_ms"]
    assert 10 < medians["twenty"] / medians["one"] < 30
    one, twenty = (energy(call, "cuda") for call in calls.values())
    assert one is None or 8 < twenty / one < 50


def test_times_are_summarised_by_name():
    times = pd.DataFrame({"name": ["b"] * 5 + ["a"], "repeat": [0, 1, 2, 3, 4, 0], "ms": [9, 1, 3, 5, 7, 4]})
    summary = profiling.summarise_times(times)[["median_ms", "q25_ms", "q75_ms", "repeats"]]
    assert summary.T.to_dict("list") == {"b": [5, 3, 7, 5], "a": [4, 4, 4, 1]}


@pytest.mark.parametrize(("name", "value"), [("calls", {}), ("repeats", 0), ("warmup", -1)])
def test_a_measurement_that_cannot_be_is_refused(name, value):
    arguments = {"calls": {"none": lambda: None}, "repeats": 1, "warmup": 0, "device": "cpu"} | {name: value}
    with pytest.raises(InputError, match=f"^{name} is "):
        measure(**arguments)


@pytest.mark.parametrize("device", DEVICES)
class TestPeakMemory:
    def test_what_a_call_holds_at_once_is_counted_and_nothing_else(self, device):
        def empty(mib: int) -> torch.Tensor:
            return torch.empty(mib * MIB_OF_FLOATS, device=device)

        x, kept = torch.randn(8 * MIB_OF_FLOATS, device=device), []
        assert peak_memory(lambda: (empty(8), empty(8)), device) == 16
        assert peak_memory(lambda: [empty(mib).numel() for mib in (8, 4)], device) == 8  # one after the other
        assert [peak_memory(call, device) for call in (x.relu_, x.relu)] == [0, 8]
        assert [peak_memory(call, device) for call in (lambda: kept.append(empty(8)), lambda: empty(2))] == [8, 2]

    @pytest.mark.parametrize(("mode", "maps"), [(torch.no_grad, 2), (torch.enable_grad, 3)])
    def test_gradients_keep_what_inference_frees(self, device, mode, maps):
        x = torch.randn(MIB_OF_FLOATS, device=device, requires_grad=True)
        with mode():
            assert peak_memory(lambda: x.exp().sin().cos().sum(), device) == pytest.approx(maps, abs=0.01)


def test_peak_memory_on_the_cpu_counts_workspaces_and_credits_no_older_memory(capfd):
    # In float64, PyTorch multiplies unfolded patches.
    x, weight = torch.randn(1, 16, 66, 66).double(), torch.randn(32, 16, 3, 3).double()
    unfolded, output = 16 * 9 * 64 * 64, 32 * 64 * 64
    peak = peak_memory(lambda: F.conv2d(x, weight), "cpu")
    assert peak == pytest.approx(2 * (unfolded + output) / MIB_OF_FLOATS, rel=0.01)
    assert "".join(capfd.readouterr()) == ""
    older = [torch.empty(8 * MIB_OF_FLOATS)]
    assert peak_memory(lambda: (older.clear(), torch.empty(5 * MIB_OF_FLOATS)), "cpu") == 5


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("device", DEVICES)
def test_fused_attention_counts_as_its_two_products(mode, device):
    q = torch.randn(2, 3, 64, 16, device=device)
    k, v = torch.randn(2, 2, 3, 40, 16, device=device)
    with mode():
        fused = count_flops(lambda: F.scaled_dot_product_attention(q, k, v))
        plain = count_flops(lambda: (q @ k.mT).softmax(-1) @ v)
    assert fused == plain == 2 * (2 * 2 * 3 * 64 * 40 * 16)
    q, k, v = (tokens.requires_grad_() for tokens in (q, k, v))
    both = count_flops(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())
    assert both == fused * 7 / 2  # the scores again, and four products for the gradients


def test_operations_and_parameters_of_layers():
    convolution, linear = nn.Conv2d(8, 12, 3, padding=1), nn.Linear(10, 20)
    assert count_flops(lambda: convolution(torch.zeros(2, 8, 5, 7))) == 2 * 2 * 12 * 5 * 7 * 8 * 9
    assert count_flops(lambda: linear(torch.zeros(6, 10)).relu()) == 2 * 6 * 10 * 20
    assert count_parameters(nn.Sequential(convolution, nn.ReLU(), convolution)) == 12 * 8 * 9 + 12


@pytest.mark.parametrize("device", DEVICES)
def test_networks_are_measured_whole_and_their_layers_alone(device):
    models = {"layers": "trunk_nla", "none": "no_attention"}
    networks = {label: build(name, 2, 0, channels=8, groups=1, blocks=1) for label, name in models.items()}
    times, costs = measure_networks(networks, [8, (8, 18)], torch.device(device), repeats=2, warmup=1)
    assert list(times) == ["label", "part", "size", "repeat", "ms"] and len(times) == 2 * 3 * 2
    assert costs[["label", "part", "size"]].values.tolist() == [
        [label, part, size]
        for size in (8, 12)
        for label, part in (("layers", "network"), ("none", "network"), ("layers", "non-local layers"))
    ]
    assert (costs["q25_ms"] <= costs["median_ms"]).all() and (costs["peak_mib"] > 0).all()
    assert set(costs["repeats"]) == {2} and set(costs["warmup"]) == {1}
    [layers] = costs[(costs["size"] == 8) & (costs["part"] == "non-local layers")].to_dict("records")
    parameters = sum(count_parameters(layer) for layer in networks["layers"].non_local_layers())
    assert layers["moved_mib"] == 4 * (2 * 8 * 64 + parameters) / 2**20
    assert layers["gflops"] > 0


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_nothing_goes_through_the_roof(device):
    roofs = ceilings(device, repeats=3)
    left, right = torch.rand(2, 512, 512, device=device)
    source, target = torch.zeros(2, 2**24, device=device)
    calls = {"product": lambda: left @ right, "copy": lambda: target.copy_(source)}
    seconds = profiling.summarise_times(measure(calls, 5, 2, device))["median_ms"] / 1e3
    # On a machine with other work, what is short suffers less; and part of the copy may be in caches.
    assert 0 < 2 * 512**3 / seconds["product"] / 1e9 < 3 * roofs["gflops_per_s"]
    assert 0 < 2 * 4 * 2**24 / seconds["copy"] / 2**30 < 3 * roofs["gib_per_s"]


class TestEnergy:
    @pytest.fixture
    def board(self, monkeypatch) -> SimpleNamespace:
        """Stand in for a GPU's counter of the NVIDIA management library, in mJ."""
        board = SimpleNamespace(mj=123_456, asked=[], NVMLError=LookupError, nvmlInit=lambda: None)
        board.nvmlDeviceGetHandleByUUID = lambda uuid: (board.asked.append(uuid), board)[1]
        board.nvmlDeviceGetTotalEnergyConsumption = lambda handle: handle.mj
        monkeypatch.setitem(sys.modules, "pynvml", board)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="0a-1b"))
        return board

    @pytest.mark.parametrize("seconds", [0.001, 0.02])
    def test_is_joules_of_one_call(self, board, seconds):
        calls = []

        def call():
            calls.append(time.sleep(0.002))
            board.mj += 250

        assert energy(call, "cuda", seconds) == 0.25 and board.asked == ["GPU-0a-1b"]
        assert (len(calls) > 1) == (seconds > 0.002)

    def test_is_none_without_a_counter(self, board, monkeypatch):
        board.nvmlDeviceGetTotalEnergyConsumption = Mock(side_effect=board.NVMLError)
        assert energy(lambda: None, "cuda") is None
        monkeypatch.setitem(sys.modules, "pynvml", None)
        assert energy(lambda: None, "cuda") is energy(lambda: pytest.fail("called"), "cpu") is None
