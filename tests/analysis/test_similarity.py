"""Similarity of attention weights: rows of every mechanism, compared head by head."""

import numpy as np
import pytest
import torch

from srlab.analysis.layers import attention_row, trace
from srlab.analysis.similarity import cosine, weights_at
from srlab.data.sources import embedded
from srlab.models import build

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, :17, :23]
NETWORKS = {
    "trunk_nla": {},
    "trunk_lsp": {"clusters": 4, "window": 20},
    "trunk_window": {"heads": 2, "side": 8},  # it fills the map: several keys of one pixel
    "trunk_conv_attn": {"attended": 4, "kernel_size": 5},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_over_heads_is_the_row_of_weights(name):
    places = [(8, 11), (0, 22)]
    for layer in trace(build(name, 2, seed=0, **SIZES, **NETWORKS[name]), LR):
        if name == "trunk_conv_attn":  # as made, its dynamic kernels are zero
            torch.nn.init.normal_(layer.layer.to_small[-1].weight)
        with torch.no_grad():
            weights = weights_at(layer, places)
        rows = np.stack([attention_row(layer, *place).ravel() for place in places])
        assert weights.mean(0).numpy() == pytest.approx(rows, abs=1e-6)
        assert cosine(weights, weights) == pytest.approx(1)


def test_shared_weights_are_the_same_and_own_ones_are_not():
    for name, same in (("lcoan", True), ("trunk_lsp", False)):
        network = build(name, 2, seed=0, **SIZES, **NETWORKS["trunk_lsp"])
        with torch.no_grad():
            first, second = (weights_at(layer, [(5, 5), (9, 3)]) for layer in trace(network, LR))
        assert (cosine(first, second) > 0.999) == same


def test_other_numbers_of_heads_are_compared_by_their_means():
    one, other = torch.rand(2, 5, 7), torch.rand(3, 5, 7)
    expected = torch.cosine_similarity(one.mean(0), other.mean(0), dim=1).mean().item()
    assert cosine(one, other) == pytest.approx(expected, rel=1e-5)
    assert cosine(one, one.flip(0)) < 1 - 1e-3  # head by head, though the means are the same
