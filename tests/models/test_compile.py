"""torch.compile takes every network as one graph, without breaks.

Run as a script, this file prints each network's faults as JSON: a process without the checks of shapes that tests turn
on.
"""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
import torch
from kept import ROOT
from networks import ALIKE, short

from srlab.models import REGISTRY

#: The backward pass over rounds of hashing differentiates its gathers by torch.autograd.grad, which cannot be compiled.
BROKEN_IN_TRAINING = {"nlsn"}
MODES = ("eval", "train")
NAMES = [name for name in REGISTRY if name not in ALIKE]


def fault(name: str, training: bool) -> str | None:
    """Return why a network cannot be compiled as one graph or then does something else; None if it can."""
    torch.compiler.reset()
    network, lr = short(name).train(training), torch.rand(2, 3, 16, 17)
    network(lr)  # k-means draws centroids at the first batch in training
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    try:
        with torch.set_grad_enabled(training):
            sr = compiled(lr)
    except torch._dynamo.exc.Unsupported as error:
        return str(error)
    if training:
        sr.mean().backward()
        return None if all(p.grad is not None for p in network.parameters()) else "a parameter has no gradient"
    return None if torch.allclose(sr, network(lr), rtol=0, atol=1e-6) else "another output"


@cache
def faults() -> dict[str, dict[str, str | None]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return json.loads(
        subprocess.run([sys.executable, __file__], env=environment, stdout=subprocess.PIPE, check=True).stdout
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_one_graph(name, mode):
    assert (faults()[mode][name] is not None) == (mode == "train" and name in BROKEN_IN_TRAINING)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps({mode: {name: fault(name, mode == "train") for name in NAMES} for mode in MODES}))
