import time

import numpy as np
import pytest
import torch
from mechanisms import MECHANISMS

from srlab import analysis
from srlab.analysis.images import corners, pair
from srlab.analysis.layers import LayerTrace, attention_row, reach, seen, trace
from srlab.analysis.sorting import gini
from srlab.analysis.views import _box, view
from srlab.attention import (
    FGCA,
    GMSA,
    NLSA,
    ConvAttn,
    DecomposedKernel,
    ImplicitPosition,
    LargeKernel,
    PositionTable,
    SortedWindows,
    WindowAttention,
    dense_attention,
)
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
NETWORKS = {
    "lcoan": SIZES | {"clusters": 4, "window": 20},
    "trunk_lsp": SIZES | {"clusters": 4, "window": 20, "rounds": 2},
    "trunk_nla": SIZES,
    "trunk_nla_shared": SIZES,
}
LR = embedded().benchmarks["held-out"][1].read()[:, :14, :19]


def traced(name):
    return trace(build(name, 2, seed=0, **NETWORKS[name]), LR)


def sorted_layer(codes, window, width):
    """A layer of random tokens with these codes."""
    tokens = torch.randn(1, 1, len(codes), 3)
    pattern = SortedWindows(tokens, tokens, torch.tensor(codes)[None, None], window)
    return LayerTrace("layer", "LSP", pattern, len(codes) // width, width)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_layer_attended_as_its_trace_says(name):
    network = build(name, 2, seed=0, **NETWORKS[name]).eval()
    maps = []
    layer = network.non_local_layers()[0]
    hook = layer.register_forward_hook(lambda _, inputs, outputs: maps.append((inputs[0], outputs[0])))
    first = trace(network, LR)[0]
    hook.remove()
    [(x, y)] = maps
    weights = np.stack([attention_row(first, row, col).ravel() for row in range(14) for col in range(19)])
    with torch.inference_mode():
        value = layer.value(x)[0, 0].numpy()
        assert np.allclose(weights @ value, first.pattern.attend(layer.value(x))[0, 0].numpy(), atol=1e-5)
        torch.testing.assert_close(dense_attention(layer, x), y, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_sum_to_one_over_what_is_seen(name):
    layers = traced(name)
    assert [layer.name for layer in layers] == ["groups.0.attention", "groups.1.attention"]
    for layer in layers:
        weights, counts = attention_row(layer, 5, 7), seen(layer, 5, 7)
        assert weights.shape == counts.shape == LR.shape[1:]
        assert weights.sum() == pytest.approx(1, abs=1e-5)
        assert ((weights > 0) == (counts > 0)).all() and counts[5, 7] > 0


def test_shared_layers_have_the_first_ones_pattern():
    first, second = traced("lcoan")
    assert (first.mechanism, second.mechanism) == ("LSP", "CoA")
    assert second.pattern is first.pattern
    assert traced("trunk_lsp")[1].pattern is not traced("trunk_lsp")[0].pattern


def test_tracing_leaves_no_hook_and_needs_a_layer():
    network = build("lcoan", 2, seed=0, **NETWORKS["lcoan"]).train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    trace(network, LR)
    assert all((network.state_dict()[key] == tensor).all() for key, tensor in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(InputError, match="no non-local layer"):
        trace(build("no_attention", 2, seed=0, **SIZES), LR)


def test_pixels_outside_are_refused():
    layer = traced("trunk_nla")[0]
    for row, col in ((14, 0), (0, 19), (-1, 0)):
        with pytest.raises(InputError, match="rows are 0 to 13, columns 0 to 18"):
            attention_row(layer, row, col)


def test_windows_and_clusters_of_a_known_order():
    layer = sorted_layer([0, 1, 0, 1, 0, 1, 0, 1], 3, 4)  # sorted: 0 2 4, 6 1 3, 5 7 and 7 again
    assert analysis.clusters(layer).tolist() == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert analysis.cluster_sizes(layer, 3).tolist() == [4, 4, 0]
    assert analysis.windows(layer, 0, 0).tolist() == [[2, 3, 2, 3], [2, 1, 3, 1]]
    assert seen(layer, 0, 0).tolist() == [[1, 1, 1, 1], [1, 1, 1, 2]]
    assert analysis.pure_windows(layer) == pytest.approx(2 / 3)


def test_unseen_tokens_are_in_no_window():
    layer = sorted_layer([0] * 20, 4, 5)
    labels = analysis.windows(layer, 0, 0)
    assert labels.ravel().tolist() == [2] * 4 + [3] * 4 + [0] * 8 + [1] * 4
    assert ((labels > 0) == (seen(layer, 0, 0) > 0)).all()
    assert analysis.pure_windows(layer) == 1


def test_one_window_is_the_own_window():
    layer = sorted_layer([0, 1, 0, 1, 0, 1], 6, 3)
    assert (analysis.windows(layer, 0, 0) == analysis.OWN).all()
    assert (seen(layer, 0, 0) == 3).all()


def test_dense_layers_have_no_clusters():
    layer = traced("trunk_nla")[0]
    with pytest.raises(InputError, match="NLA sorts no tokens"):
        analysis.clusters(layer)
    shown = view(layer, LR, 3, 4)
    assert shown.panels == () and (shown.seen == 1).all()


# --- every mechanism ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_heat_map_is_the_row_of_weights_that_the_fast_path_has(mechanism):
    """Oracle: values that are one at a single key and zero elsewhere come out as that key's weight."""
    height, width = 7, 9
    x, shared = torch.randn(1, 8, height, width), None
    for layer in MECHANISMS[mechanism](8):
        layer.eval()
        with torch.no_grad():
            pattern = layer.pattern(x, shared)
            _, shared = layer(x, shared)
    keys = pattern.key.shape[2]
    heads = pattern.weights(torch.tensor([0])).shape[1]
    with torch.no_grad():
        attended = pattern.attend(torch.eye(keys).expand(1, heads, keys, keys))[0].mean(0)
    traced = LayerTrace("layer", type(layer).__name__, pattern, height, width, layer)
    for row, col in ((0, 0), (3, 4), (6, 8)):
        expected = torch.zeros(height * width).index_add_(0, pattern.pixels(), attended[row * width + col])
        found = attention_row(traced, row, col)
        assert np.allclose(found.ravel(), expected.numpy(), atol=1e-5)
        assert found.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kernel", [LargeKernel(4, 5), DecomposedKernel(4, 5)])
def test_the_heat_map_of_convattn_is_how_much_each_pixel_moves_the_query(kernel):
    """Oracle: one channel of one pixel is one, the rest zero, and the answer at the query is measured."""
    layer = ConvAttn(6, attended=4, kernel=kernel).eval()
    torch.nn.init.normal_(layer.to_small[-1].weight)
    x = torch.rand(1, 6, 8, 9)
    with torch.no_grad():
        pattern, small = layer.pattern(x), layer.small_kernels(x)
        impulses = torch.eye(4 * 72).view(4 * 72, 4, 8, 9)
        answers = torch.cat([pattern.convolve(each[None], small) for each in impulses])[..., 2, 7]
    moved = answers.view(4, 72, 4).square().sum((0, 2)).sqrt().view(8, 9).numpy()
    traced = LayerTrace("layer", "ConvAttn", pattern, 8, 9, layer, small[0])
    assert np.allclose(attention_row(traced, 2, 7), moved / moved.sum(), atol=1e-6)
    shown = view(traced, LR[:, :8, :9], 2, 7)
    assert [panel.title for panel in shown.panels] == ["shared kernel, 5×5", "this image's kernel, 3×3"]
    assert (shown.seen > 0).sum() == 5 * 4  # two columns of the kernel fall off, and one of its rows not


def test_what_routed_windows_chose_is_framed_and_is_what_is_seen():
    layer = FGCA(8, heads=2, side=4, top=3).eval()
    x = torch.randn(1, 8, 10, 13)
    with torch.no_grad():
        traced = LayerTrace("layer", "FGCA", layer.pattern(x), 10, 13, layer)
    shown = view(traced, LR[:, :10, :13], 5, 9)
    [boxes] = shown.panels
    assert boxes.query == (4, 8, 4, 4) and len(boxes.keys) == 3
    framed = np.zeros((10, 13), bool)
    for top, left, height, width in boxes.keys:
        framed[top : top + height, left : left + width] = True
    assert ((shown.seen > 0) >= framed).all()  # what fills the map repeats pixels of it too
    assert boxes.keys[0] == _box(traced.pattern.grid, int(traced.pattern.routes[0, 6, 0]))


@pytest.mark.parametrize("position", [PositionTable, ImplicitPosition, None])
def test_the_bias_of_a_window_is_where_the_window_is(position):
    layer = WindowAttention(8, 2, 4, position).eval()
    x = torch.randn(1, 8, 6, 7)
    with torch.no_grad():
        traced = LayerTrace("layer", "WindowAttention", layer.pattern(x), 6, 7, layer)
    shown = view(traced, LR[:, :6, :7], 5, 5)
    assert shown.panels[0].query == (4, 4, 4, 4)
    if position is None:
        assert len(shown.panels) == 1
        return
    bias = shown.panels[1].values
    assert np.isfinite(bias).sum() == 2 * 3 and np.isfinite(bias[4:, 4:]).all()
    with torch.no_grad():
        held = layer.position.plain() if position is PositionTable else None
        if held is None:
            queries, keys = layer.position.compute()
            held = queries @ keys.mT
    assert bias[5, 6] == pytest.approx(float(held[:, 1 * 4 + 1, 1 * 4 + 2].mean()), rel=1e-5)


def test_every_round_has_its_buckets():
    layer = NLSA(8, window=12, rounds=3).eval()
    with torch.no_grad():
        pattern = layer.pattern(torch.randn(1, 8, 6, 8))
    traced = LayerTrace("layer", "NLSA", pattern, 6, 8, layer)
    seen_by_windows = np.zeros((6, 8), bool)
    for turn in range(3):
        buckets, sorted_windows = view(traced, LR[:, :6, :8], 2, 3, turn).panels
        assert buckets.title == f"hash buckets, round {turn + 1} of 3"
        assert np.array_equal(buckets.labels.ravel(), pattern.codes[0, turn].numpy())
        assert buckets.own == buckets.labels[2, 3]
        seen_by_windows |= sorted_windows.labels > 0
    assert np.array_equal(seen_by_windows, seen(traced, 2, 3) > 0)
    with pytest.raises(InputError, match="round 4: NLSA has rounds 1 to 3"):
        view(traced, LR[:, :6, :8], 2, 3, 3)


def test_scc_has_a_window_but_no_weights():
    traced_layers = trace(build("hit_srf", 2, seed=0, channels=12, heads=2, stages=1), LR)
    shown = view(traced_layers[0], LR, 3, 4)
    assert shown.weights is None and isinstance(shown.panels[0], analysis.Boxes)
    assert shown.seen[3, 4] > 0
    with pytest.raises(InputError, match="SCC has no attention weights"):
        attention_row(traced_layers[0], 3, 4)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("place", [(0, 0), (0, 9), (5, 6), (7, 15)])
def test_windows_of_several_sizes_are_drawn_where_their_pixels_are_seen(shifted, place):
    layer = GMSA(6, (2, 4, 8), shifted=shifted).eval()
    with torch.no_grad():
        pattern = layer.pattern(torch.randn(1, 6, 8, 16))
    traced = LayerTrace("layer", "GMSA", pattern, 8, 16, layer)
    boxes = view(traced, LR[:, :8, :16], *place).panels
    assert [panel.title for panel in boxes] == ["2×2 window", "4×4 window", "8×8 window"]
    for panel, seen_by_head in zip(boxes, pattern.multiplicity(traced.query(*place))[0, :, 0], strict=True):
        drawn = np.zeros((8, 16), int)
        for top, left, height, width in (panel.query, *panel.keys):
            drawn[top : top + height, left : left + width] += 1
        assert np.array_equal(drawn, seen_by_head.unflatten(0, (8, 16)).numpy())
        top, left, height, width = panel.query
        assert 0 <= place[0] - top < height and 0 <= place[1] - left < width


def test_the_receptive_field_of_a_convolution_is_its_kernel():
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 12, 5, padding=2)
    network = torch.nn.Sequential(convolution, torch.nn.PixelShuffle(2)).eval()
    field = analysis.receptive_field(network, LR, 2, 6, 8)
    expected = np.zeros((14, 19))
    expected[4:9, 6:11] = convolution.weight.detach().sum(0).abs().sum(0)
    assert np.allclose(field, expected / expected.sum(), atol=1e-6)


def test_gini():
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    assert gini(np.array([1, 3])) == pytest.approx(1 / 4)


def test_reach_of_even_weights():
    layer = sorted_layer([0] * 12, 12, 4)
    layer.pattern.query = torch.zeros(1, 1, 12, 3)
    measured = reach(layer, [(0, 0), (2, 3)])
    assert measured["keys_seen"].tolist() == [12, 12]
    assert np.allclose(measured["keys_effective"], 12)
    assert np.allclose(measured["distance"], measured["distance_even"])


def test_corners_lie_on_structure():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 20:, 30:] = 255
    assert corners(image, 1)[0] == pytest.approx((20, 30), abs=2)
    assert corners(image, 3) == corners(image, 3)
    assert corners(torch.zeros(3, 40, 30, dtype=torch.uint8), 1) == [(20, 15)]


@pytest.mark.alone
def test_a_128_pixel_image_is_answered_in_time():
    lr = analysis.centre(pair(embedded().benchmarks["held-out"][0], 1)[0])
    assert lr.shape == (3, 128, 128)
    options = {"channels": 16, "groups": 1, "blocks": 1, "clusters": 32, "window": 96}
    layer = trace(build("lcoan", 2, seed=0, **options), lr)[0]
    start = time.perf_counter()
    view(layer, lr, 64, 64)
    assert time.perf_counter() - start < 0.3
