"""Similarity of attention weights: rows of weights as the explorer draws them, and their cosines."""

import numpy as np
import pytest
import torch

from srlab.analysis.layers import attention_row, trace
from srlab.analysis.similarity import cosine, weights_at
from srlab.data.sources import embedded
from srlab.models import build

SIZES = {"channels": 8, "groups": 3, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, :17, :23]
NETWORKS = {
    "trunk_nla": SIZES,
    "trunk_lsp": SIZES | {"clusters": 4, "window": 20},
    "trunk_window": SIZES | {"heads": 2, "side": 8},  # it fills the map: several keys of one pixel
    "trunk_conv_attn": SIZES | {"attended": 4, "kernel_size": 5},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_of_the_heat_maps(name):
    places = [(8, 11), (0, 0)]
    for layer in trace(build(name, 2, seed=0, **NETWORKS[name]), LR):
        with torch.inference_mode():
            weights = weights_at(layer, places).mean(0)
        expected = [attention_row(layer, *place).ravel() for place in places]
        np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_cosines_are_head_by_head_or_of_the_means_of_heads():
    one, other = torch.rand(2, 5, 7), torch.rand(3, 5, 7)
    expected = torch.cosine_similarity(one.mean(0), other.mean(0), dim=1).mean().item()
    assert cosine(one, other) == pytest.approx(expected, rel=1e-5) and cosine(one, one) == pytest.approx(1)
    assert cosine(one, one.flip(0)) < 1 - 1e-3
