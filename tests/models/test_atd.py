"""ATD-light: its layer equals the released code."""

import pytest
import torch
from networks import set_backend

from srlab.weights.checkpoints import from_released


@pytest.mark.parametrize("way", ["fused", "reference"])
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
