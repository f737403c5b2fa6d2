"""ELAN-light: equal to the released network in both families of weights, and its shift."""

import json

import pytest
import torch
from kept import ROOT
from networks import set_backend
from safetensors import safe_open

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
    with torch.no_grad():
        y = set_backend(network, backend)(case.tensors["input"] / 255)
    torch.testing.assert_close(y, case.tensors["output"] / 255, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_fifths_of_the_channels_come_from_right_left_below_above_and_the_last_stays(size):
    x = torch.randn(2, 12, *size)  # the last fifth is larger
    around = torch.nn.functional.pad(x, (1, 1, 1, 1))
    here = slice(1, -1)
    moved = [around[:, :2, here, 2:], around[:, 2:4, here, :-2], around[:, 4:6, 2:, here], around[:, 6:8, :-2, here]]
    assert torch.equal(shift(x), torch.cat([*moved, x[:, 8:]], 1))
