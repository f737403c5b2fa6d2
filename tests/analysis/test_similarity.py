"""Similarity of layers: cosines of attention weights."""

import numpy as np
import pytest
import torch

from srlab.analysis import similarity
from srlab.analysis.layers import attention_row, trace
from srlab.analysis.similarity import map_similarity
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build

SIZES = {"channels": 8, "groups": 3, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, :17, :23]
NETWORKS = {
    "no_attention": SIZES,
    "trunk_nla": SIZES,
    "trunk_nla_shared": SIZES,
    "trunk_lsp": SIZES | {"clusters": 4, "window": 20},
    "lcoan": SIZES | {"clusters": 4, "window": 20},
    "nlsn": SIZES | {"window": 20},
    "enlcn": SIZES,
    "trunk_window": SIZES | {"heads": 2, "side": 8},  # it fills the map: several keys of one pixel
    "trunk_fgca": SIZES | {"heads": 2, "side": 4, "top": 3},
    "trunk_bra": SIZES | {"heads": 2, "windows": 3, "top": 3},
    "trunk_conv_attn": SIZES | {"attended": 4, "kernel_size": 5},
}


def network(name):
    return build(name, 2, seed=0, **NETWORKS[name])


@pytest.mark.parametrize("name", list(NETWORKS)[1:])
def test_maps_are_compared_as_cosines(name):
    matrix = map_similarity(network(name), LR, queries=9)
    assert matrix.shape == (3, 3) and np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 1)
    assert matrix.min() >= 0 and matrix.max() <= 1 + 1e-9


@pytest.mark.parametrize("name", ["trunk_lsp", "trunk_nla", "trunk_conv_attn"])
def test_one_head_is_the_cosine_of_heat_maps(name):
    """Oracle: rows of weights as the explorer draws them, one query at the middle."""
    model = network(name)
    if name == "trunk_conv_attn":  # as made, their dynamic kernels are zero
        for layer in model.non_local_layers():
            torch.nn.init.normal_(layer.to_small[-1].weight)
    rows = [attention_row(layer, 8, 11).ravel() for layer in trace(model, LR)]
    units = [row / np.linalg.norm(row) for row in rows]
    assert np.allclose(map_similarity(model, LR, queries=1), np.array(units) @ np.array(units).T, atol=1e-5)
    assert map_similarity(model, LR, queries=1)[0, 2] < 1 - 1e-6


def test_shared_weights_are_the_same_and_own_ones_are_not():
    assert np.allclose(map_similarity(network("lcoan"), LR), 1)
    assert np.allclose(map_similarity(network("trunk_nla_shared"), LR), 1)
    assert map_similarity(network("trunk_lsp"), LR)[0, 1] < 0.99


def test_other_numbers_of_heads_are_compared_by_their_means():
    one, other = torch.rand(2, 5, 7), torch.rand(3, 5, 7)
    expected = torch.cosine_similarity(one.mean(0), other.mean(0), dim=1).mean().item()
    assert similarity.cosine(one, other) == pytest.approx(expected, rel=1e-5)
    assert similarity.cosine(one, one.flip(0)) < 1 - 1e-3  # head by head, though the means are the same


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="layer"):
        map_similarity(network("no_attention"), LR)
    with pytest.raises(InputError, match="SCC"):
        map_similarity(build("hit_srf", 2, seed=0, channels=12, heads=2, stages=1), LR)
    with pytest.raises(InputError, match="queries is 0"):
        map_similarity(network("trunk_nla"), LR, queries=0)
