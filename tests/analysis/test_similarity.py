import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srlab.analysis import similarity
from srlab.analysis.layers import attention_row, trace
from srlab.analysis.similarity import SIMILARITY, cka, feature_similarity, layer_similarity, map_similarity
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build
from srlab.study.records import Record
from srlab.study.study import Study

SIZES = {"channels": 8, "groups": 3, "blocks": 1}
REF = embedded().benchmarks["held-out"][1]
LR = REF.read()[:, :17, :23]
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


def hsic_oracle(x, y):
    """CKA by its definition: Gram matrices of samples, centred, and their Hilbert–Schmidt products."""
    n = len(x)
    centring = torch.eye(n, dtype=torch.double) - 1 / n
    one, other = (centring @ (f @ f.T) @ centring for f in (x.double(), y.double()))
    return ((one * other).sum() / (one.norm() * other.norm())).item()


features = st.tuples(st.integers(3, 20), st.integers(1, 6), st.integers(1, 6), st.integers(0, 999))


@given(features)
def test_cka_is_the_alignment_of_gram_matrices(sizes):
    n, p, q, seed = sizes
    random = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, p, generator=random) + 5, torch.randn(n, q, generator=random)
    assert cka(x, y) == pytest.approx(hsic_oracle(x, y), rel=1e-9)
    assert 0 <= cka(x, y) <= 1 + 1e-12
    assert cka(x, y) == pytest.approx(cka(y, x), rel=1e-9)
    assert cka(x, x) == pytest.approx(1)


@given(features, st.floats(0.01, 100))
def test_cka_knows_neither_rotation_nor_scale_nor_shift(sizes, scale):
    n, p, q, seed = sizes
    random = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(n, width, generator=random, dtype=torch.double) for width in (p, q))
    rotation, _ = torch.linalg.qr(torch.randn(p, p, generator=random, dtype=torch.double))
    assert cka(scale * x @ rotation + 3, y) == pytest.approx(cka(x, y), rel=1e-6)


def test_cka_of_independent_features_is_low_and_of_a_skewed_copy_is_not_one():
    x, y = torch.randn(5000, 4), torch.randn(5000, 4)
    assert cka(x, y) < 0.01
    assert 0.3 < cka(x, x * torch.tensor([1.0, 1.0, 1.0, 10.0])) < 0.9


def test_features_of_units_that_do_nothing_are_alike():
    trunk = network("no_attention")
    assert feature_similarity(trunk, LR)[0, 2] < 1 - 1e-6
    for unit in trunk.groups:
        torch.nn.init.zeros_(unit.merge.weight)
        torch.nn.init.zeros_(unit.merge.bias)
    assert np.allclose(feature_similarity(trunk, LR), 1)
    assert not any(module._forward_hooks for module in trunk.modules())


def test_features_are_those_of_the_units():
    """Oracle: the units, called one after another."""
    trunk = network("lcoan").eval()
    with torch.inference_mode():
        x, shared, outputs = trunk.head(LR[None].float() / 255 - trunk.mean.mean), None, []
        for unit in trunk.groups:
            x, shared = unit(x, shared)
            outputs.append(x[0].flatten(1).T)
    expected = [[hsic_oracle(one, other) for other in outputs] for one in outputs]
    assert np.allclose(feature_similarity(trunk, LR), expected)


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


def test_what_cannot_be_compared_is_told():
    with pytest.raises(InputError, match="no non-local layer"):
        map_similarity(network("no_attention"), LR)
    with pytest.raises(InputError, match="SCC has no attention weights"):
        map_similarity(build("hit_srf", 2, seed=0, channels=12, heads=2, stages=1), LR)
    with pytest.raises(InputError, match="queries is 0; at least 1"):
        map_similarity(network("trunk_nla"), LR, queries=0)


def test_a_table_has_what_each_network_has(monkeypatch, tmp_path):
    study = Study("smoke")
    networks = {
        "no_attention": network("no_attention"),
        "trunk_lsp": network("trunk_lsp"),
        "esc": build("esc", 2, seed=0, channels=16, blocks=1, pairs=2, side=8, attended=8),
        "hit_srf": build("hit_srf", 2, seed=0, channels=12, heads=2, stages=1),
    }
    records = [Record(study.training(name, seed=3), tmp_path) for name in networks]
    monkeypatch.setattr(Record, "network", lambda self: networks[self.run.network.model])
    monkeypatch.setattr(similarity, "SIDE", 20)
    table = layer_similarity(records, [REF], 2)
    assert list(table.columns) == SIMILARITY
    counts = table.groupby(["model", "kind"]).size()
    layers = len(networks["esc"].non_local_layers())
    assert counts.to_dict() == {
        ("no_attention", "features"): 9,
        ("trunk_lsp", "features"): 9,
        ("trunk_lsp", "maps"): 9,
        ("esc", "maps"): layers**2,
    }
    assert set(table["seed"]) == {3} and set(table["image"]) == {REF.name}
    assert table["run"].iloc[0] == records[0].run.hash
    lr = similarity.centre(similarity.pair(REF, 2)[0], 20)
    own = table[(table["model"] == "trunk_lsp") & (table["kind"] == "maps")]
    matrix = own.pivot(index="first", columns="second", values="similarity").to_numpy()
    assert np.allclose(matrix, map_similarity(networks["trunk_lsp"], lr))
    assert list(layer_similarity([], [REF], 2).columns) == SIMILARITY
