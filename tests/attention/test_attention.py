"""Every mechanism: equal to the released code, and its fast path equal to a dense masked softmax."""

from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mechanisms import MECHANISMS
from torch import Tensor

from srlab.attention import (
    LSP,
    NLA,
    Attention,
    CoA,
    SortedWindows,
    dense_attention,
    fused,
    sorted_windows,
)
from srlab.measure.profiling import peak_memory
from srlab.weights.checkpoints import from_released

# Of L = h·w tokens: a multiple of the window, not one, one and two windows, fewer than a window, one token.
SIZES = [(6, 8), (7, 9), (3, 4), (4, 5), (3, 3), (1, 5), (1, 1)]


def run(layers: list[Attention], x: Tensor, attend: Callable) -> Tensor:
    shared = None
    for layer in layers:
        y = attend(layer, x, shared)
        _, shared = layer(x, shared)
        x = y
    return x


def fast(layer: Attention, x: Tensor, shared: object) -> Tensor:
    return layer(x, shared)[0]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", MECHANISMS)
def test_equals_dense_masked_softmax(name, size):
    layers = [layer.double().eval() for layer in MECHANISMS[name](8)]
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    torch.testing.assert_close(run(layers, x, fast), run(layers, x, dense_attention), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MECHANISMS)
def test_gradients_equal_those_of_dense_masked_softmax(name):
    layers = torch.nn.ModuleList(MECHANISMS[name](8)).double().eval()
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)
    inputs = [x, *layers.parameters()]
    of_fast = torch.autograd.grad((run(layers, x, fast) * direction).sum(), inputs)
    of_dense = torch.autograd.grad((run(layers, x, dense_attention) * direction).sum(), inputs)
    for ours, oracle in zip(of_fast, of_dense, strict=True):
        torch.testing.assert_close(ours, oracle, rtol=0, atol=1e-10)
    assert all(gradient.abs().max() > 0 for gradient in of_fast if gradient.dim() > 1)


@pytest.mark.parametrize("name", MECHANISMS)
def test_rows_of_weights_sum_to_one_and_can_be_asked_for_singly(name):
    layers = [layer.eval() for layer in MECHANISMS[name](8)]
    x, shared = torch.randn(1, 8, 7, 9), None
    for layer in layers:
        pattern = layer.pattern(x, shared)
        _, shared = layer(x, shared)
    rows = torch.tensor([0, 17, 62])
    weights = pattern.weights()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    torch.testing.assert_close(pattern.weights(rows), weights[:, :, rows])


@pytest.mark.parametrize("name", ["lsp_coa_module", "lsp_coa_one_window", "lsp_coa_two_windows", "lsp_coa_two_rounds"])
def test_lsp_and_coa_equal_the_released_code(golden, name):
    case = golden(name)
    own = {part: {} for part in ("lsp", "coa")}
    for key, tensor in case.weights.items():
        part, _, rest = key.partition(".")
        own[part][rest] = tensor
    lsp, coa = (from_released(part, own[part], **case.config) for part in ("lsp", "coa"))
    for sharing in ("plain", "recomputed", "stored"):
        lsp.sharing = sharing
        with torch.no_grad():
            y, shared = lsp(case.tensors["lsp_input"])
            z, passed_on = coa(case.tensors["coa_input"], shared)
        assert passed_on is shared
        torch.testing.assert_close(y, case.tensors["lsp_output"], rtol=0, atol=1e-5)
        torch.testing.assert_close(z, case.tensors["coa_output"], rtol=0, atol=1e-5)
    # The released code numbers the clusters of all rounds consecutively.
    clusters = case.config["n_clusters"] * torch.arange(shared.codes.shape[1])[:, None]
    assert torch.equal((shared.codes + clusters).flatten(1), case.tensors["cluster_codes"])
    previous, own_window, following = shared.stored.chunk(3, -1)
    released_order = torch.cat([own_window, previous, following], -1)
    torch.testing.assert_close(released_order, case.tensors["attention_weights"], rtol=0, atol=1e-5)


def test_nla_equals_the_released_code(golden):
    case = golden("nla_module")
    for sharing in ("recomputed", "stored"):
        layer = from_released("nla", case.weights, **case.config)
        layer.sharing = sharing
        with torch.no_grad():
            y, _ = layer(case.tensors["input"])
        torch.testing.assert_close(y, case.tensors["output"], rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 40), window=st.integers(1, 50), rounds=st.integers(1, 3), seed=st.integers(0, 99))
def test_each_query_sees_three_windows_a_round(length, window, rounds, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 4, (1, rounds, length), generator=generator)
    tokens = torch.randn(1, 1, length, 3, generator=generator)
    seen = SortedWindows(tokens, tokens, codes, window).multiplicity()
    assert (seen.sum(-1) == 3 * rounds * min(window, length)).all()
    assert (seen.diagonal(dim1=-2, dim2=-1) >= rounds).all()  # its own window is among them


def test_sorting_is_stable_and_undone():
    codes = torch.tensor([[[2, 0, 1, 0, 2]]])
    tokens = torch.arange(5.0).reshape(1, 1, 5, 1)
    pattern = SortedWindows(tokens, tokens, codes, window=2)
    assert pattern.slots.tolist() == [[[1, 3, 2, 0, 4, 4]]]  # the last one is repeated to fill the window
    assert pattern.slot_of.tolist() == [[[3, 0, 2, 1, 4]]]


def test_auto_stores_weights_where_that_is_faster_and_small(monkeypatch):
    tokens = torch.randn(1, 1, 40, 3)
    codes = torch.randint(0, 4, (1, 1, 40))
    bytes_stored = 4 * 40 * 3 * 8  # of float32, for 40 queries, three windows of 8

    def taken() -> str:
        return SortedWindows(tokens, tokens, codes, 8, "auto").sharing

    assert taken() == "recomputed"  # with gradients
    with torch.no_grad():
        monkeypatch.setattr(sorted_windows, "STORED", bytes_stored)
        assert taken() == "stored"
        monkeypatch.setattr(sorted_windows, "STORED", bytes_stored - 1)
        assert taken() == "recomputed"


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(1, 40),
    window=st.integers(1, 50),
    block=st.integers(1, 4000),
    depth=st.integers(1, 6),
    images=st.integers(1, 2),
)
def test_products_in_blocks_are_softmax_attention_and_its_mass(length, window, block, depth, images):
    query, key = torch.randn(2, images, 3, length, depth)
    key, value = key[:, :, : min(window, length)], torch.randn(images, 3, min(window, length), depth + 2)
    scores = (query @ key.mT).double()
    with patch.object(fused, "BLOCK", block), torch.no_grad():
        narrow = length * key.shape[2] <= block
        assert fused.suits_blocks(query, key, value) == narrow
        out, mass = fused.attend(query, key, value)
    torch.testing.assert_close(out, (scores.softmax(-1) @ value.double()).float())
    torch.testing.assert_close(mass.float(), scores.logsumexp(-1).float())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda sharing: LSP(16, clusters=8, window=384, sharing=sharing), 3 * 384),
        (lambda sharing: NLA(16, sharing=sharing), 2304),
    ],
    ids=["lsp", "nla"],
)
def test_the_fast_path_never_holds_the_scores(make, keys, layout):
    x = torch.randn(1, 16, 48, 48).to(memory_format=layout)
    held = {}
    for sharing in ("recomputed", "stored"):
        layer = make(sharing).eval()
        with torch.inference_mode():
            layer(x)
            held[sharing] = peak_memory(lambda layer=layer: layer(x), "cpu")
    scores = 2304 * keys * 4 / 2**20  # MiB
    assert held["stored"] > scores
    assert held["recomputed"] < scores / 2


def test_coa_without_a_pattern_says_what_is_missing():
    with pytest.raises(ValueError, match="put LSP or NLA before it"):
        CoA(4)(torch.randn(1, 4, 3, 3))


@pytest.mark.parametrize("name", MECHANISMS)
def test_each_key_says_which_pixel_it_is(name):
    """A key made at a pixel, by layers that look at one pixel only, follows that pixel's input alone."""
    layers = [layer.eval() for layer in MECHANISMS[name](8)]
    for layer in layers:  # 3×3 convolutions look at their middle only
        for module in layer.modules():
            if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
                middle = module.weight.data[..., 1, 1].clone()
                module.weight.data.zero_()[..., 1, 1] = middle
    x = torch.randn(1, 8, 7, 9)
    shared = None
    for layer in layers:
        pattern = layer.pattern(x, shared)
        value, pixels = layer.value(x), pattern.pixels()
        _, shared = layer(x, shared)
    assert pixels.shape == (value.shape[2],) and set(pixels.tolist()) == set(range(63))
    moved = x.clone()
    moved[..., 3, 4] += 1
    changed = (layer.value(moved) - value).abs().amax((0, 1, 3)) > 1e-6
    # What zeros fill the map with follows no pixel.
    assert set(pixels[changed].tolist()) == {3 * 9 + 4}
    assert torch.equal(changed, pixels == 3 * 9 + 4) or "bra" in name
