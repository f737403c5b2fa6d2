"""FGCA: which windows are seen, at any image size, and a fast path that copies few keys and values."""

from functools import partial

import pytest
import torch

from srlab.attention import BRA, FGCA, routed_windows
from srlab.errors import InputError
from srlab.measure.profiling import peak_memory


@pytest.mark.parametrize(
    ("size", "windows"), [((8, 12), 6), ((7, 9), 6), ((3, 2), 1), ((1, 1), 1), ((1, 9), 3), ((4, 4), 1)]
)
def test_any_size_is_cut_into_whole_windows(size, windows):
    layer = FGCA(8, side=4, top=4).eval()
    x = torch.randn(2, 8, *size)
    pattern = layer.pattern(x)
    assert pattern.routes.shape == (2, windows, min(4, windows))
    assert pattern.query.shape == (2, 4, size[0] * size[1], 2)
    assert pattern.key.shape == (2, 4, windows * 16, 2)
    assert layer(x)[0].shape == x.shape
    assert (pattern.multiplicity().sum(-1) == 16 * min(4, windows)).all()


def test_a_window_chooses_those_whose_mean_key_suits_its_mean_query():
    layer = FGCA(4, heads=2, side=2, top=2).double().eval()
    x = torch.randn(1, 4, 4, 6, dtype=torch.float64)
    tokens = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).permute(0, 2, 3, 4, 1).reshape(6, 4, 4)
    query, key, _ = layer.qkv(tokens).mean(1).chunk(3, -1)
    assert torch.equal(layer.pattern(x).routes[0], (query @ key.mT).topk(2).indices)


def test_what_fills_a_map_is_seen_like_the_rest():
    layer = FGCA(4, side=4, top=1, heads=1).double().eval()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64)
    mirrored = torch.nn.functional.pad(x, (0, 0, 0, 1), mode="reflect")
    torch.testing.assert_close(layer(x)[0], layer(mirrored)[0][:, :, :3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [partial(FGCA, side=4), partial(BRA, windows=3)])
def test_each_key_tells_its_pixel(make):
    layer = make(4).double().eval()
    x = torch.randn(1, 4, 6, 9, dtype=torch.float64)
    pattern = layer.pattern(x)
    key = layer.qkv(x.flatten(2).mT).chunk(3, -1)[1][0]
    torch.testing.assert_close(pattern.key[0].transpose(0, 1).flatten(1), key[pattern.pixels()])


def test_with_few_windows_it_is_dense_attention():
    layer = FGCA(8, heads=2, side=4, top=99).double().eval()
    x = torch.randn(1, 8, 8, 8, dtype=torch.float64)
    query, key, value = layer.qkv(x.flatten(2).mT).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    dense = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    y = layer.merge(dense.transpose(1, 2).flatten(2)).mT.unflatten(2, (8, 8))
    torch.testing.assert_close(layer(x)[0], y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gathered", [1, 3000, 2**30])
def test_groups_of_any_size_give_the_same_numbers_and_gradients(gathered, monkeypatch):
    monkeypatch.setitem(routed_windows.GATHERED, "cpu", gathered)
    layer = FGCA(8, side=3, top=2).double()
    x = torch.randn(2, 8, 8, 7, dtype=torch.float64, requires_grad=True)
    found = []
    for backend in ("fused", "reference"):
        layer.backend = backend
        y, _ = layer(x)
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    for fused, reference in zip(*found, strict=True):
        torch.testing.assert_close(fused, reference, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_the_fast_path_holds_few_copies_of_keys_and_values(training):
    x = torch.randn(1, 32, 128, 128)
    held = {}
    for backend in ("fused", "reference"):
        layer = FGCA(32, side=8, top=16, backend=backend)

        def call(layer: FGCA = layer) -> None:
            with torch.set_grad_enabled(training):
                y, _ = layer(x)
            if training:
                y.sum().backward()

        call()
        held[backend] = peak_memory(call, "cpu")
    copies = 2 * 16 * x.numel() * 4 / 2**20  # MiB
    assert held["reference"] > copies
    assert held["fused"] < held["reference"] / 3


def test_the_fused_path_trains_in_mixed_precision():
    layer, x = FGCA(16, side=4, top=3), torch.randn(1, 16, 12, 12)
    gradients = []
    for enabled in (True, False):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(x)[0].square().mean().backward()
        gradients.append(layer.qkv.weight.grad)
    mixed, full = gradients
    assert torch.nn.functional.cosine_similarity(mixed.flatten(), full.flatten(), 0) > 0.9


def test_channels_must_divide_among_heads():
    with pytest.raises(InputError, match="10 channels cannot be divided among 4 heads"):
        FGCA(10)
