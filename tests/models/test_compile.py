"""torch.compile takes every network whole: no graph break leaves a part of it to Python."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from kept import ROOT

from srlab.models import REGISTRY

#: What cannot be compiled whole in training, and why.
BROKEN_IN_TRAINING = {
    "nlsn": "the backward pass over rounds of hashing differentiates its gathers by torch.autograd.grad",
}


@cache
def faults(mode: str) -> dict[str, str | None]:
    command = [sys.executable, ROOT / "tests" / "models" / "compile_all.py", mode]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
def test_a_network_is_one_graph(name):
    assert faults("eval")[name] is None


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRY)
def test_a_network_is_one_graph_in_training(name):
    fault = faults("train")[name]
    assert fault is None if name not in BROKEN_IN_TRAINING else "autograd.grad" in fault
