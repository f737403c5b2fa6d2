"""Measuring in fresh processes: what is told of each, what ends a series, and what does not end the study."""

import os
import signal
import time

import pytest
import torch
from torch import nn

from srlab.measure.processes import measure_in_processes
from srlab.models import build

CPU = torch.device("cpu")
LIMITS = {"limit_s": 20.0, "limit_mib": 256}


class Picky(nn.Module):
    """Does something to what is wider than 16 pixels; holds four copies of the others."""

    def __init__(self, does):
        super().__init__()
        self.does = does

    def forward(self, x):
        if x.shape[3] > 16:
            self.does(x)
        return torch.cat([x, x, x, x])


def sleep(x):
    time.sleep(0.6)


def fill(x):
    x.new_zeros(2**27)  # 512 MiB


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError("of its own")


def test_each_process_times_all_networks_in_turn_on_every_size():
    networks = {"plain": build("trunk_nla", 2, 0, channels=8, groups=1, blocks=1), "whole": Picky(sleep)}
    times, costs, roofs = measure_in_processes(networks, [16, (8, 18), 8], CPU, 2, 3, **LIMITS)
    assert list(times) == ["process", "label", "part", "size", "repeat", "ms", "peak_mib"]
    assert costs[["height", "width"]].drop_duplicates().values.tolist() == [[8, 8], [8, 18], [16, 16]]
    assert dict(zip(costs["label"], costs["part"], strict=True)) == {"plain": "non-local layers", "whole": "network"}
    assert set(costs["state"]) == {"measured"} and set(costs["processes"]) == {2}
    # What takes longer than half a second is timed once in each process.
    counts = times.groupby(["process", "label", "size"]).size()
    assert counts[0, "plain", 8.0] == 3 and counts[1, "whole", 8.0] == 3 and counts[1, "whole", 12.0] == 1
    slow = costs[(costs["label"] == "whole") & (costs["width"] == 18)].iloc[0]
    assert 600 <= slow["q25_ms"] <= slow["median_ms"] <= slow["q75_ms"] < 6000
    # Four copies of the image's three channels, in float32.
    assert costs.set_index(["label", "size"]).loc[("whole", 16.0), "peak_mib"] == 4 * 3 * 16**2 * 4 / 2**20
    assert roofs["gflops_per_s"] > 0 and roofs["gib_per_s"] > 0
    rounds = times[(times["process"] == 0) & (times["size"] == 8)]
    assert rounds["label"].tolist() == 3 * ["plain", "whole"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "limits", "state"),
    [(fill, {}, "out of memory"), (die, {}, "out of memory"), (sleep, {"limit_s": 0.5}, "too slow")],
)
def test_a_series_ends_where_its_network_fails_and_the_others_go_on(does, limits, state):
    networks = {"picky": Picky(does), "other": Picky(torch.sum)}
    times, costs, _ = measure_in_processes(networks, [8, 24, 32], CPU, 1, 1, **LIMITS | limits)
    found = costs.set_index("label")[["height", "state"]]
    assert found.loc["other"].values.tolist() == [[side, "measured"] for side in (8, 24, 32)]
    assert found.loc["picky"].values.tolist() == [[8, "measured"], [24, state]]
    assert set(times[times["label"] == "picky"]["size"]) == {8}


@pytest.mark.slow
def test_a_fault_of_a_network_is_no_end_of_a_series():
    with pytest.raises(RuntimeError, match="measuring 'picky' ended with status 1"):
        measure_in_processes({"picky": Picky(fail)}, [8, 24], CPU, 1, 1, **LIMITS)
