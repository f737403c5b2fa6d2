"""ELAN-light: equal to the released network in both families of weights, and its shift."""

import json

import pytest
import torch
from kept import ROOT
from safetensors import safe_open

from srlab.models import build
from srlab.models.elan import shift
from srlab.weights.checkpoints import from_released


@pytest.mark.parametrize("family", ["the authors'", "Fried Rice Lab's"])
@pytest.mark.parametrize("backend", ["sdpa", "reference"])
def test_equals_the_released_network(golden, family, backend):
    case = golden("elan_light")
    with safe_open(ROOT / "tests" / "golden" / "elan_light.safetensors", "pt") as file:
        theirs = json.loads(file.metadata()["frl_keys"])
    names = theirs if family == "Fried Rice Lab's" else {key: f"module.{key}" for key in case.weights}
    weights = {names[key]: tensor for key, tensor in case.weights.items()}
    network = from_released("elan_light", weights, **case.config)
    for module in network.modules():
        if hasattr(module, "backend"):
            module.backend = backend
    with torch.no_grad():
        y = network(case.tensors["input"] / 255)
    torch.testing.assert_close(y, case.tensors["output"] / 255, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 13), (16, 8)])
@pytest.mark.parametrize("reuses", [0, 1, 2])
def test_back_ends_give_the_same_numbers_and_gradients(reuses, size, training):
    x = torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    options = {"channels": 12, "layers": 4, "sides": (2, 4, 8), "reuses": reuses}
    found = []
    for backend in ("sdpa", "reference"):
        network = build("elan_light", 2, seed=0, backend=backend, **options).double().train(training)
        y = network(x)
        found.append([y, *torch.autograd.grad(y.square().sum(), list(network.parameters()))])
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)  # no scaling: rounding grows


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_fifths_of_the_channels_come_from_right_left_below_above_and_the_last_stays(size):
    x = torch.randn(2, 12, *size)  # the last fifth is larger
    around = torch.nn.functional.pad(x, (1, 1, 1, 1))
    here = slice(1, -1)
    moved = [around[:, :2, here, 2:], around[:, 2:4, here, :-2], around[:, 4:6, 2:, here], around[:, 6:8, :-2, here]]
    assert torch.equal(shift(x), torch.cat([*moved, x[:, 8:]], 1))
