"""Compile small networks as a user would, without the checks of shapes that tests turn on: a process of its own.

`compile_all.py eval` or `compile_all.py train` prints, as JSON, what is wrong with each network; null if nothing is.
"""

import json
import sys

import torch
from networks import small

from srlab.models import REGISTRY


def fault(name: str, training: bool) -> str | None:
    """Why a network cannot be compiled as one graph, or does something else then."""
    torch.compiler.reset()
    network = small(name).train(training)
    lr = torch.rand(2, 3, 16, 17)
    network(lr)  # the first batch in training is where k-means begins, which draws
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


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps({name: fault(name, sys.argv[1] == "train") for name in REGISTRY}))
