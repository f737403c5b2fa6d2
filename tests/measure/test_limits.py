"""The largest input: times and memory grow, and each way to fail is a row."""

import subprocess
import sys

import pandas as pd
import pytest
import torch

from srlab.measure.limits import find_limits
from srlab.models import build

CPU = torch.device("cpu")
SMALL, LARGE = (16, 16), (64, 64)


def layer(model: str) -> torch.nn.Module:
    return build(model, 2, seed=0, channels=8, groups=1, blocks=1)


@pytest.mark.slow
@pytest.mark.alone
def test_time_and_memory_grow_with_the_input():
    found = find_limits({"trunk_nla": layer("trunk_nla")}, [SMALL, LARGE], 60.0, 2048, CPU)
    assert found.label.tolist() == ["trunk_nla", "trunk_nla"] and found.state.tolist() == ["measured", "measured"]
    assert found[["height", "width"]].values.tolist() == [[16, 16], [64, 64]]
    small, large = found.to_dict("records")
    assert 0 < small["q25_ms"] <= small["median_ms"] <= small["q75_ms"]
    assert 4 * small["q25_ms"] < large["q25_ms"]  # the work is 256 times as much
    assert 0 < 4 * small["peak_mib"] < large["peak_mib"]


@pytest.mark.slow
def test_a_network_out_of_memory_ends_its_series_and_not_that_of_the_next():
    """At 96×96, enlcn needs 18 MiB and more."""
    networks = {model: layer(model) for model in ("enlcn", "trunk_conv7")}
    found = find_limits(networks, [(32, 32), (96, 96), (97, 97)], 60.0, 12, CPU)
    states = {label: rows.state.tolist() for label, rows in found.groupby("label", sort=False)}
    assert states["enlcn"] == ["measured", "out of memory"]
    assert states["trunk_conv7"] == ["measured"] * 3
    failed = found[found.state != "measured"]
    assert failed[["median_ms", "q25_ms", "q75_ms", "repeats", "peak_mib"]].isna().all(axis=None)


def test_a_layer_that_fails_for_another_reason_is_no_limit(capfd):
    """Its features have a channel too few."""
    broken = layer("trunk_nla")
    broken.channels = 7
    with pytest.raises(RuntimeError, match=r"16×16 .*ended with status 1"):
        find_limits({"trunk_nla": broken}, [SMALL], 60.0, 2048, CPU)
    assert "channels" in capfd.readouterr().err


@pytest.mark.slow
def test_what_is_too_slow_says_so_and_nothing_outlives_the_process(tmp_path):
    """Python's tracker of resources would tell on stderr of what the killed process left behind."""
    code = """
import sys, torch
from srlab.measure.limits import find_limits
from srlab.models import build
if __name__ == "__main__":
    networks = {"trunk_nla": build("trunk_nla", 2, seed=0, channels=8, groups=1, blocks=1)}
    for name, limit_s in zip(sys.argv[1:], (1e-9, 60.0)):
        found = find_limits(networks, [(16, 16), (24, 24)], limit_s, 2048, torch.device("cpu"))
        found.to_csv(name, index=False)
"""
    (tmp_path / "limits.py").write_text(code)
    command = [sys.executable, "limits.py", "slow.csv", "enough.csv"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "leaked" not in done.stderr
    slow, enough = (pd.read_csv(tmp_path / name) for name in command[2:])
    assert slow.state.tolist() == ["too slow"] and enough.state.tolist() == ["measured", "measured"]
    assert list(slow) == list(enough) and slow.median_ms.isna().all()
