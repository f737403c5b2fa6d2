"""Every mechanism: equal to the released code, and its fast path equal to a dense masked softmax."""

from collections.abc import Callable

import pytest
import torch
from mechanisms import MECHANISMS, assert_same
from torch import Tensor

from srlab.attention import FGCA, LSP, NLA, NLSA, SCC, CoA, ConvAttn, SharedGMSA, SummedLSP, SummedNLA, WindowAttention
from srlab.attention.contract import Attention, Pattern, dense_attention
from srlab.measure.profiling import peak_memory
from srlab.weights.checkpoints import from_released

# Of L = h·w tokens: a multiple of the window, not one, one and two windows, fewer than a window, one token.
SIZES = [(6, 8), (7, 9), (3, 4), (4, 5), (3, 3), (1, 5), (1, 1)]


REUSING = (CoA(4), SharedGMSA(4), ConvAttn(4, 2), SummedLSP(4), SummedNLA(4))
WAYS = {"fast": lambda *call: Attention.__call__(*call)[0], "dense": dense_attention}


def run(layers: list[Attention], x: Tensor, attend: Callable) -> Tensor:
    shared = None
    for layer in layers:
        y = attend(layer, x, shared)
        _, shared = layer(x, shared)
        x = y
    return x


def last_pattern(layers: list[Attention], x: Tensor) -> Pattern:
    shared = None
    for layer in layers:
        pattern = layer.pattern(x, shared)
        _, shared = layer(x, shared)
    return pattern


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", MECHANISMS)
def test_equals_dense_masked_softmax(name, size):
    layers = [layer.double().eval() for layer in MECHANISMS[name](8)]
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    torch.testing.assert_close(*(run(layers, x, way) for way in WAYS.values()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MECHANISMS)
def test_gradients_equal_those_of_dense_masked_softmax(name):
    layers = torch.nn.ModuleList(MECHANISMS[name](8)).double().eval()
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64, requires_grad=True)
    inputs = [x, *layers.parameters()]
    assert_same(lambda way: run(layers, x, WAYS[way]), WAYS, inputs, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad((run(layers, x, WAYS["fast"]) * torch.randn_like(x)).sum(), inputs)
    assert all(gradient.abs().max() > 0 for gradient in gradients if gradient.dim() > 1)


@pytest.mark.parametrize("name", MECHANISMS)
def test_rows_of_weights_sum_to_one_and_each_key_has_its_pixel(name):
    """A key of a pixel, made by layers that read one pixel only, follows that pixel's input alone."""
    layers = [layer.eval() for layer in MECHANISMS[name](8)]
    for module in torch.nn.ModuleList(layers).modules():  # 3×3 convolutions read their middle only
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            middle = module.weight.data[..., 1, 1].clone()
            module.weight.data.zero_()[..., 1, 1] = middle
    x, rows = torch.randn(1, 8, 7, 9), torch.tensor([0, 17, 62])
    value, pattern = layers[-1].value(x), last_pattern(layers, x)
    weights, pixels = pattern.weights(), pattern.pixels()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    torch.testing.assert_close(pattern.weights(rows), weights[:, :, rows])
    assert pixels.shape == (value.shape[2],) and set(pixels.tolist()) == set(range(63))
    moved = x.clone()
    moved[:, :4, 3, 4] += 1  # not all channels alike, which a norm over channels removes
    changed = (layers[-1].value(moved) - value).abs().amax((0, 1, 3)) > 1e-6
    assert set(pixels[changed].tolist()) == {3 * 9 + 4}
    assert torch.equal(changed, pixels == 3 * 9 + 4) or "bra" in name  # padding by zeros follows no pixel


@pytest.mark.parametrize(
    ("name", "option", "ways"),
    [
        ("nla", "sharing", ("recomputed", "stored")),
        ("nlsa", "backend", ("fused", "reference")),
        ("bra", "backend", ("fused", "reference")),
        ("rib_window", "backend", ("sdpa", "reference")),
        ("enla", "training", (False,)),
    ],
)
def test_equals_the_released_code(golden, name, option, ways):
    case = golden(f"{name}_module")
    layer, x, expected = from_released(name, case.weights, **case.config), case.tensors["input"], case.tensors["output"]
    if name == "bra":  # channels-last
        x, expected = (tensor.permute(0, 3, 1, 2) for tensor in (x, expected))
        assert torch.equal(layer.pattern(x).routes, case.tensors["routing_indices"])
    given = {"rotations": case.tensors["rotations"]} if name == "nlsa" else {}
    for way in ways:
        setattr(layer, option, way)
        with torch.no_grad():
            y, _ = layer(x, **given)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["lsp_coa_module", "lsp_coa_one_window", "lsp_coa_two_windows", "lsp_coa_two_rounds"])
def test_lsp_and_coa_equal_the_released_code(golden, name):
    case = golden(name)
    lsp, coa = (
        from_released(part, {k[4:]: t for k, t in case.weights.items() if k.startswith(f"{part}.")}, **case.config)
        for part in ("lsp", "coa")
    )
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
    if "two" not in name:  # the other two files hold no weights; their outputs depend on them
        torch.testing.assert_close(released_order, case.tensors["attention_weights"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    ("make", "option", "ways", "scores"),
    [
        (lambda: LSP(16, clusters=8, window=384), "sharing", ("recomputed", "stored"), 2304 * 3 * 384),
        (lambda: NLA(16), "sharing", ("recomputed", "stored"), 2304**2),
        (lambda: NLSA(16), "backend", ("fused", "reference"), 4 * 2304 * 3 * 144),
        (lambda: WindowAttention(16, 4, 48), "backend", ("sdpa", "reference"), 4 * 2304**2),
    ],
    ids=["lsp", "nla", "nlsa", "window"],
)
def test_the_fast_path_never_holds_the_scores(make, option, ways, scores, layout):
    x, held = torch.randn(1, 16, 48, 48).to(memory_format=layout), []
    for way in ways:
        layer = make().eval()
        setattr(layer, option, way)
        with torch.inference_mode():
            layer(x)
            held.append(peak_memory(lambda layer=layer: layer(x), "cpu"))
    mib = scores * 4 / 2**20
    assert held[0] < mib / 2 and held[1] > mib


@pytest.mark.parametrize("make", [lambda: NLSA(16, window=16), lambda: FGCA(16, side=4, top=3)], ids=["nlsa", "fgca"])
def test_the_fused_path_trains_in_mixed_precision(make):
    layer, x, gradients = make().eval(), torch.randn(1, 16, 12, 12), []
    for enabled in (True, False):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(x)[0].square().mean().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in layer.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, 0) > 0.9


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: WindowAttention(8, 3), "channels is 8.*heads, 3"),
        (lambda: FGCA(10), "channels is 10.*heads, 4"),
        (lambda: ConvAttn(8, 16), "attended is 16.*channels, 8"),
        (lambda: SCC(60, 7), "channels is 60.*heads, 7"),
        (lambda: SCC(window=(12, 12)), r"window \(12, 12\).*base \(8, 8\)"),
        (lambda: SharedGMSA(2, (4, 8, 16)), "channels is 2.*3"),
        # Layers that reuse a pattern need one.
        *((lambda layer=layer: layer(torch.randn(1, 4, 3, 3)), "shared") for layer in REUSING),
    ],
)
def test_bad_input_is_named(make, named):
    with pytest.raises(ValueError, match=named):
        make()
