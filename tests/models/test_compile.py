"""torch.compile takes every network as one graph, without breaks."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from kept import ROOT

from srlab.models import REGISTRY

#: The backward pass over rounds of hashing differentiates its gathers by torch.autograd.grad, which cannot be compiled.
BROKEN_IN_TRAINING = {"nlsn"}


@cache
def faults(mode: str) -> dict[str, str | None]:
    command = [sys.executable, ROOT / "tests/models/compile_all.py", mode]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", REGISTRY)
def test_a_network_is_one_graph(name, mode):
    broken = mode == "train" and name in BROKEN_IN_TRAINING
    assert (faults(mode)[name] is not None) == broken
