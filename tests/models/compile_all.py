"""Compile small networks in a process without the checks of shapes that tests turn on.

`compile_all.py eval` or `compile_all.py train` prints the fault of each network as JSON; null for none.
"""

import json
import sys

import torch
from networks import small

from srlab.models import REGISTRY


def fault(name: str, training: bool) -> str | None:
    """Return why a network cannot be compiled as one graph or then does something else; None if it can."""
    torch.compiler.reset()
    network = small(name).train(training)
    lr = torch.rand(2, 3, 16, 17)
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


if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps({name: fault(name, sys.argv[1] == "train") for name in REGISTRY}))
