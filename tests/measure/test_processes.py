"""Measuring in fresh processes: the columns, the ends of a series, and what does not end the study."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from srlab.chapters.cost.limits import COLUMNS, find_limits
from srlab.measure.processes import measure_in_processes
from srlab.models import build

CPU = torch.device("cpu")
LIMITS = {"limit_s": 20.0, "limit_mib": 256}


class Picky(nn.Module):
    """Acts on wide inputs; holds four copies of all."""

    def __init__(self, act, above=16):
        super().__init__()
        self.act, self.above = act, above

    def forward(self, x):
        if x.shape[3] > self.above:
            self.act(x)
        return torch.cat([x, x, x, x])


def sleep(x):
    time.sleep(0.6)


def fill(x):
    x.new_zeros(2**27)  # 512 MiB


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError("of its own")


def layer(model: str) -> nn.Module:
    return build(model, 2, seed=0, channels=8, groups=1, blocks=1)


def test_each_process_times_all_networks_interleaved_on_every_size():
    networks = {"plain": layer("trunk_nla"), "whole": Picky(sleep)}
    times, costs, roofs = measure_in_processes(networks, [16, (8, 18), 8], CPU, 2, 3, **LIMITS)
    assert list(times) == ["process", "label", "part", "size", "repeat", "ms", "peak_mib"]
    assert costs[["height", "width"]].drop_duplicates().values.tolist() == [[8, 8], [8, 18], [16, 16]]
    assert dict(zip(costs["label"], costs["part"], strict=True)) == {"plain": "non-local layers", "whole": "network"}
    assert set(costs["state"]) == {"measured"} and set(costs["processes"]) == {2}
    # A call of more than half a second is timed once in each process.
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
def test_a_series_ends_where_its_network_fails_and_the_others_go_on():
    networks = {"full": Picky(fill), "dead": Picky(die), "born dead": Picky(die, 0), "slow": Picky(sleep)}
    limits = LIMITS | {"limit_s": 0.5}
    networks["other"] = Picky(torch.sum)
    times, costs, _ = measure_in_processes(networks, [8, 24, 32], CPU, 1, 1, **limits, roofs=False)
    found = {label: rows[["height", "state"]].values.tolist() for label, rows in costs.groupby("label")}
    assert found == {
        "full": [[8, "measured"], [24, "out of memory"]],
        "dead": [[8, "measured"], [24, "out of memory"]],
        "born dead": [[8, "out of memory"]],
        "slow": [[8, "measured"], [24, "too slow"]],
        "other": [[side, "measured"] for side in (8, 24, 32)],
    }
    assert set(times[~times["label"].isin(["other", "born dead"])]["size"]) == {8}


@pytest.mark.slow
def test_a_fault_of_a_network_is_no_end_of_a_series(capfd):
    with pytest.raises(RuntimeError, match="'picky'"):
        find_limits({"picky": Picky(fail)}, [(8, 8), (24, 24)], 20.0, 256, CPU)
    assert "of its own" in capfd.readouterr().err


@pytest.mark.slow
def test_memory_grows_until_a_network_fails():
    networks = {"picky": Picky(fill), "trunk_conv7": layer("trunk_conv7")}
    found = find_limits(networks, [(16, 16), (96, 96), (97, 97)], 60.0, 256, CPU)
    assert tuple(found) == COLUMNS
    picky, conv = (found[found.label == label] for label in networks)
    assert picky.state.tolist() == ["measured", "out of memory"] and conv.state.tolist() == ["measured"] * 3
    assert picky.iloc[1][["median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib"]].isna().all()
    assert conv[["height", "width"]].values.tolist() == [[16, 16], [96, 96], [97, 97]]
    assert (conv.q25_ms <= conv.median_ms).all() and (conv.median_ms <= conv.q75_ms).all()
    small, large, _ = conv.to_dict("records")
    assert small["q25_ms"] > 0 and 0 < 4 * small["peak_mib"] < large["peak_mib"]


@pytest.mark.slow
def test_a_slow_layer_ends_its_series_and_nothing_outlives_the_process(tmp_path):
    """Python's tracker of resources would report on stderr what a killed process left behind."""
    code = """
import torch
from srlab.chapters.cost.limits import COLUMNS, find_limits
from srlab.models import build
if __name__ == "__main__":
    networks = {"trunk_nla": build("trunk_nla", 2, seed=0, channels=8, groups=1, blocks=1)}
    found = find_limits(networks, [(16, 16), (24, 24)], 1e-9, 2048, torch.device("cpu"))
    assert tuple(found) == COLUMNS and found.state.tolist() == ["too slow"] and found.median_ms.isna().all()
"""
    (tmp_path / "limits.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "limits.py"], check=True, capture_output=True, text=True)
    assert "leaked" not in done.stderr
