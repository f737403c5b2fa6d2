"""Other devices: no tensor stays on the CPU, and no step waits for a number.

On torch's meta device tensors have shapes without numbers. Operations that mix it with the CPU fail there, and so does
reading a number, which would wait for a GPU.
"""

import pytest
import torch
from mechanisms import MECHANISMS
from networks import short

from srlab.models import REGISTRY
from srlab.training import auxiliary_loss


@pytest.mark.parametrize("name", REGISTRY)
def test_a_network_works_and_learns_on_any_device(name):
    network, lr = short(name).to("meta"), torch.rand(2, 3, 16, 16, device="meta")
    for _ in range(2):  # k-means begins in the first step and follows in the second
        network.train()(lr).square().mean().backward()
        assert all(parameter.grad.is_meta for parameter in network.parameters())
    with torch.no_grad():
        assert network.eval()(lr).is_meta


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_works_and_learns_on_any_device(name):
    layers = torch.nn.ModuleList(MECHANISMS[name](8)).to("meta").train()
    x = torch.rand(2, 8, 13, 9, device="meta", requires_grad=True)
    for _ in range(2):
        y, shared = x, None
        for layer in layers:
            y, shared = layer(y, shared)
        (y.square().mean() + auxiliary_loss(layers)).backward()
    assert x.grad.is_meta and all(parameter.grad.is_meta for parameter in layers.parameters())
