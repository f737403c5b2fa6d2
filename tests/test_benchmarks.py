"""The benchmarks' scripts, on tiny inputs."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from kept import ROOT

from srlab.measure.devices import device_slug
from srlab.models import REGISTRY


def run(script: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "benchmarks" / script, "--device", "cpu", "--tiny", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_mechanisms_are_compared_with_memory_kept_and_without(tmp_path):
    """A case's rows replace its older ones; those of other cases stay."""
    kept = tmp_path / f"latest-{device_slug('cpu')}.csv"
    rows = pd.read_csv(next((ROOT / "benchmarks").glob("latest-*.csv"))).query("case == 'CoA'")
    pd.concat([rows, rows.assign(case="ENLA")]).assign(median_ms=7.0).to_csv(kept, index=False)
    table = run("mechanisms.py", "--only", "CoA", "--repeats", "2", "--output", str(tmp_path)).stdout
    rows = pd.read_csv(kept)
    assert rows["case"].tolist() == 3 * ["CoA"] + 3 * ["ENLA"] and (rows["median_ms"] == 7).tolist() == 3 * [
        False
    ] + 3 * [True]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    heading, _, *rows = rows
    assert [row[heading.index("path")] for row in rows] == 2 * ["plain", "fast", "stored"]
    for column in ("times plain", "default: times plain"):
        ratios = [float(row[heading.index(column)]) for row in rows]
        assert ratios[0] == 1 and min(ratios) > 0
    floors = [row[heading.index("over the floor")].rstrip(")").split(" (") for row in rows]
    assert all(float(gemm) >= float(exp) > 0 for gemm, exp in floors)


@pytest.mark.slow
def test_the_script_for_gpus_runs_to_its_last_line(tmp_path):
    run("on_gpu.py", "--output", str(tmp_path))
    [agreement] = tmp_path.glob("*/agreement.csv")
    rows = pd.read_csv(agreement)
    assert rows["agrees"].all() and {f"network {name}" for name in REGISTRY} <= set(rows["name"])
    costs = pd.read_csv(agreement.parent / "costs.csv")
    assert "error" not in costs and set(costs["precision"]) == {"float32", "bf16"} and (costs["median_ms"] > 0).all()
    assert pd.read_csv(agreement.parent / "training.csv")["loss"].notna().all()
