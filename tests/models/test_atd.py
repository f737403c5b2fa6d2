"""ATD-light: equal to the released code, whatever the path and the size."""

import pytest
import torch
from networks import set_backend

from srlab.models import build
from srlab.weights.checkpoints import from_released

WAYS = ("fused", "reference")


@pytest.mark.parametrize("way", WAYS)
def test_equals_the_released_network(golden, way):
    case = golden("atd_tiny_x2")
    network = set_backend(from_released("atd_light", case.weights, **case.config), way)
    with torch.no_grad():
        torch.testing.assert_close(network(case.tensors["input"]), case.tensors["output"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_equals_the_released_one(golden, way):
    case = golden("atd_module")
    layer = set_backend(from_released("atd_layer", case.weights, **case.config), way)
    size, known = (case.config["height"], case.config["width"]), case.tensors
    with torch.no_grad():
        tokens, attention = layer.norm(known["input"]), layer.attention
        similarity, attended = attention.dictionary(tokens, known["dictionary"])
        qkv = attention.project(tokens)
        pattern = attention.pattern(qkv, similarity)
        x = known["input"].unflatten(1, size).permute(0, 3, 1, 2)
        y, dictionary = layer(x, known["dictionary"])
    assert torch.equal(pattern.codes, known["codes"]) and torch.equal(pattern.order, known["order"])
    found = [similarity, attended, attention.categories(qkv, similarity), y.flatten(2).mT, dictionary]
    names = ("similarity", "attended_dictionary", "attended_category", "output", "dictionary_output")
    torch.testing.assert_close(found, [known[name] for name in names], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 13)])
def test_paths_give_the_same_numbers_and_gradients(size):
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    options = {"channels": 8, "depths": (2, 1), "heads": 2, "side": 4, "group": 6, "entries": 5, "rank": 3}
    found = []
    for way in WAYS:
        network = build("atd_light", 2, 0, backend=way, **options).double()
        y = network(x)
        found.append([y, *torch.autograd.grad(y.square().sum(), list(network.parameters()))])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)
