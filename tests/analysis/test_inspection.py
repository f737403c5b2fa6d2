from itertools import pairwise

import numpy as np
import pytest
import torch
from mechanisms import MECHANISMS
from networks import SHORT, small

from srlab import analysis, attention
from srlab.analysis.images import corners
from srlab.analysis.layers import LayerTrace, attention_row, reach, seen, trace
from srlab.analysis.views import view
from srlab.attention.pfa import FocusedWindows, focus
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
SORTS = {"clusters": 4, "window": 20}
NETWORKS = {"lcoan": SORTS, "trunk_lsp": SORTS | {"rounds": 2}, "trunk_nla": {}, "trunk_nla_shared": {}}
LR = embedded().benchmarks["held-out"][1].read()[:, :14, :19]


def traced_layer(layer, x, shared=None):
    layer.eval()
    with torch.no_grad():
        small = layer.small_kernels(x)[0] if isinstance(layer, attention.ConvAttn) else None
        return LayerTrace("layer", type(layer).__name__, layer.pattern(x, shared), *x.shape[2:], layer, small)


def sorted_layer(codes, window, width):
    tokens = torch.randn(1, 1, len(codes), 3)
    pattern = attention.SortedWindows(tokens, tokens, torch.tensor(codes)[None, None], window)
    return LayerTrace("layer", "LSP", pattern, len(codes) // width, width)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_sum_to_one_over_what_is_seen(name):
    layers = trace(build(name, 2, seed=0, **SIZES, **NETWORKS[name]), LR)
    assert [layer.name for layer in layers] == ["groups.0.attention", "groups.1.attention"]
    assert [(layer.number, layer.count) for layer in layers] == [(1, 2), (2, 2)]
    for layer in layers:
        weights, counts = attention_row(layer, 5, 7), seen(layer, 5, 7)
        assert weights.shape == counts.shape == LR.shape[1:]
        assert weights.sum() == pytest.approx(1, abs=1e-5)
        assert ((weights > 0) == (counts > 0)).all() and counts[5, 7] > 0
        shared = name in ("lcoan", "trunk_nla_shared")
        assert (layer.pattern is layers[0].pattern) == (shared or layer is layers[0])


def test_tracing_leaves_no_hook_and_needs_a_layer():
    network = build("lcoan", 2, seed=0, **SIZES, **SORTS).train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    trace(network, LR)
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(InputError, match="attention layer"):
        trace(build("no_attention", 2, seed=0, **SIZES), LR)


def test_windows_and_clusters_of_a_known_order_and_unseen_tokens():
    layer = sorted_layer([0, 1, 0, 1, 0, 1, 0, 1], 3, 4)  # sorted: 0 2 4, 6 1 3, 5 7 and 7 again
    assert analysis.clusters(layer).tolist() == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert analysis.windows(layer, 0, 0).tolist() == [[2, 3, 2, 3], [2, 1, 3, 1]]
    assert seen(layer, 0, 0).tolist() == [[1, 1, 1, 1], [1, 1, 1, 2]]
    layer = sorted_layer([0] * 20, 4, 5)
    labels = analysis.windows(layer, 0, 0)
    assert labels.ravel().tolist() == [2] * 4 + [3] * 4 + [0] * 8 + [1] * 4
    assert ((labels > 0) == (seen(layer, 0, 0) > 0)).all()
    single = sorted_layer([0, 1, 0, 1, 0, 1], 6, 3)
    assert (analysis.windows(single, 0, 0) == analysis.OWN).all() and (seen(single, 0, 0) == 3).all()


def test_groups_of_a_known_order_go_on_by_reflection():
    codes, tokens = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1]]), torch.randn(1, 1, 8, 3)
    # sorted: 0 2 4, 6 1 3, 5 7 and, reflected, 7; after that 5 3 1
    layer = LayerTrace("layer", "CATA", attention.SortedGroups(tokens, tokens, codes, 3, after=1), 2, 4)
    assert analysis.clusters(layer).tolist() == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert analysis.windows(layer, 0, 0).tolist() == [[2, 3, 2, 3], [2, 0, 3, 0]]
    assert analysis.windows(layer, 1, 1).tolist() == [[0, 3, 0, 3], [0, 2, 0, 2]]
    assert seen(layer, 1, 1).tolist() == [[0, 1, 0, 1], [0, 2, 0, 2]]
    both = attention.SortedGroups(tokens, tokens, codes, 3, before=1, after=1)
    layer = LayerTrace("layer", "CATA", both, 2, 4)
    assert analysis.windows(layer, 0, 1).tolist() == [[1, 2, 1, 2], [1, 3, 2, 3]]


#: Networks that sort into groups or keep fewer and fewer keys, two layers or more; the last two pad maps to 16×24.
FAMILY = {"trunk_cata": {}, "trunk_adapt": {}, "catanet": {"blocks": 2}, "trunk_pfa": {"kept": (40, 9)}}
FAMILY |= {name: SHORT[name] for name in ("atd_light", "pft_light")}


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_is_drawn_layer_by_layer(name):
    layers = trace(small(name, **FAMILY[name]).eval(), LR)
    assert [layer.number for layer in layers] == list(range(1, len(layers) + 1)) and layers[1:]
    for layer in layers:
        whole, shown = attention_row(layer, 5, 7), view(layer, LR, 5, 7)
        assert whole.sum() == pytest.approx(1, abs=1e-5) and np.array_equal(shown.weights, whole[:14, :19])
        assert ((shown.weights > 0) == (shown.seen > 0)).all()
        if "pf" not in name:
            groups, windows = shown.panels
            assert groups.labels.shape == (14, 19) and groups.own == groups.labels[5, 7]
            assert np.array_equal(windows.labels > 0, shown.seen > 0)


@pytest.mark.parametrize(("name", "step"), [("trunk_pfa", 1), ("pft_light", 2)])
def test_the_keys_that_a_query_keeps_shrink_along_a_chain(name, step):
    options = {"kept": (64, 20, 9), "groups": 3} if name == "trunk_pfa" else SHORT[name]
    layers = trace(small(name, **options).eval(), LR)
    kept = options["kept"]
    for number, layer in enumerate(layers):
        box, numbers = view(layer, LR, 5, 7).panels
        chain = layers[number % step : number + 1 : step]
        keys = [each.pattern.multiplicity(layer.query(5, 7))[0, :, 0] for each in chain]
        unmasked = [int((own > 0).sum(1).float().mean()) for own in keys]
        assert unmasked == [min(kept[i], unmasked[0]) for i in range(number % step, number + 1, step)]
        assert all(((later > 0) <= (before > 0)).all() for before, later in pairwise(keys))
        found = np.nan_to_num(numbers.values)
        expected = sum(own.float().mean(0) for own in keys)
        pixels = torch.zeros(layer.height * layer.width).index_add_(0, layer.pattern.pixels(), expected)
        assert np.allclose(found, pixels.view(layer.height, layer.width)[:14, :19].numpy())
        top, left, height, width = box.query
        assert found[top : top + height, left : left + width].sum() == pytest.approx(found.sum())
        assert f"{unmasked[-1]:,} keys" in numbers.title


@pytest.mark.parametrize("way", ["fused", "reference"])
@pytest.mark.parametrize("shifted", [False, True])
def test_the_weights_of_a_chain_are_those_that_it_attends_with(way, shifted):
    """Oracle: the identity as values; PFT's weights sum to less than one after a cut, the pattern's to one."""
    windows, chain, heads = ShiftedWindows((8, 12), 4, shifted), None, 2
    pixels = windows.cut(torch.arange(96.0).view(1, 8, 12, 1))[0, ..., 0].long()
    for top in (16, 9, 4):
        query, key = torch.randn(2, 1, 6, heads, 16, 3)
        value = torch.eye(16).expand(1, 6, heads, 16, 16)
        out, chain = focus(query, key, value, torch.randn(1, 16, 16), windows, top, chain, way)
        found = FocusedWindows(windows, heads, chain, way).weights()[0]
        expected = torch.zeros(heads, 96, 96)
        for window, own in enumerate(out[0]):
            expected[:, pixels[window][:, None], pixels[window]] = own / own.sum(-1, keepdim=True)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_heat_map_is_the_row_of_weights_that_the_fast_path_has(mechanism):
    """Oracle: values that are one at a single key and zero elsewhere come out as that key's weight."""
    x, shared = torch.randn(1, 8, 7, 9), None
    for layer in MECHANISMS[mechanism](8):
        traced = traced_layer(layer, x, shared)
        with torch.no_grad():
            _, shared = layer(x, shared)
    pattern = traced.pattern
    keys, heads = pattern.key.shape[2], pattern.weights(torch.tensor([0])).shape[1]
    with torch.no_grad():
        attended = pattern.attend(torch.eye(keys).expand(1, heads, keys, keys))[0].mean(0)
    for row, col in ((0, 0), (3, 4), (6, 8)):
        expected = torch.zeros(63).index_add_(0, pattern.pixels(), attended[row * 9 + col])
        found = attention_row(traced, row, col)
        assert np.allclose(found.ravel(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("kernel", [attention.LargeKernel(4, 5), attention.DecomposedKernel(4, 5)])
def test_the_heat_map_of_convattn_is_how_much_each_pixel_moves_the_query(kernel):
    """Oracle: one channel of one pixel is one, the rest zero, and the answer at the query is measured."""
    layer = attention.ConvAttn(6, attended=4, kernel=kernel)
    torch.nn.init.normal_(layer.to_small[-1].weight)
    traced = traced_layer(layer, torch.rand(1, 6, 8, 9))
    with torch.no_grad():
        impulses = torch.eye(4 * 72).view(4 * 72, 4, 8, 9)
        answers = torch.cat([traced.pattern.convolve(each[None], traced.small[None]) for each in impulses])[..., 2, 7]
    moved = answers.view(4, 72, 4).square().sum((0, 2)).sqrt().view(8, 9).numpy()
    assert np.allclose(attention_row(traced, 2, 7), moved / moved.sum(), atol=1e-6)
    shown = view(traced, LR[:, :8, :9], 2, 7)
    assert [panel.values.shape for panel in shown.panels] == [(5, 5), (3, 3)]
    assert (shown.seen > 0).sum() == 5 * 4  # two columns of the kernel fall off, and one of its rows not


def test_what_routed_windows_chose_is_framed_and_is_what_is_seen():
    traced = traced_layer(attention.FGCA(8, heads=2, side=4, top=3), torch.randn(1, 8, 10, 13))
    shown = view(traced, LR[:, :10, :13], 5, 9)
    [boxes] = shown.panels
    assert boxes.query == (4, 8, 4, 4) and len(boxes.keys) == 3
    framed = np.zeros((10, 13), bool)
    for top, left, height, width in boxes.keys:
        framed[top : top + height, left : left + width] = True
    assert ((shown.seen > 0) >= framed).all()  # what fills the map repeats pixels of it too


@pytest.mark.parametrize("position", [attention.PositionTable, attention.ImplicitPosition])
def test_the_bias_of_a_window_is_where_the_window_is(position):
    layer = attention.WindowAttention(8, 2, 4, position)
    shown = view(traced_layer(layer, torch.randn(1, 8, 6, 7)), LR[:, :6, :7], 5, 5)
    window, bias = shown.panels[0], shown.panels[1].values
    assert window.query == (4, 4, 4, 4)
    assert np.isfinite(bias).sum() == 2 * 3 and np.isfinite(bias[4:, 4:]).all()
    with torch.no_grad():
        held = layer.position()  # a table, or factors
        held = held if torch.is_tensor(held) else held[0] @ held[1].mT
    assert bias[5, 6] == pytest.approx(float(held[:, 1 * 4 + 1, 1 * 4 + 2].mean()), rel=1e-5)


def test_every_round_has_its_buckets():
    traced = traced_layer(attention.NLSA(8, window=12, rounds=3), torch.randn(1, 8, 6, 8))
    seen_by_windows = np.zeros((6, 8), bool)
    for number in range(3):
        buckets, sorted_windows = view(traced, LR[:, :6, :8], 2, 3, number).panels
        assert np.array_equal(buckets.labels.ravel(), traced.pattern.codes[0, number].numpy())
        assert buckets.own == buckets.labels[2, 3]
        seen_by_windows |= sorted_windows.labels > 0
    assert np.array_equal(seen_by_windows, seen(traced, 2, 3) > 0)
    with pytest.raises(InputError, match="round 4"):
        view(traced, LR[:, :6, :8], 2, 3, 3)


def test_dense_layers_have_no_clusters_and_scc_has_no_weights():
    dense = trace(build("trunk_nla", 2, seed=0, **SIZES), LR)[0]
    shown = view(dense, LR, 3, 4)
    assert shown.panels == () and (shown.seen == 1).all()
    scc = trace(build("hit_srf", 2, seed=0, channels=12, heads=2, stages=1), LR)[0]
    shown = view(scc, LR, 3, 4)
    assert shown.weights is None and isinstance(shown.panels[0], analysis.Boxes) and shown.seen[3, 4] > 0
    with pytest.raises(InputError, match="NLA"):
        analysis.clusters(dense)
    with pytest.raises(InputError, match="SCC"):
        attention_row(scc, 3, 4)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("place", [(0, 0), (0, 9), (5, 6), (7, 15)])
def test_windows_of_several_sizes_are_drawn_where_their_pixels_are_seen(shifted, place):
    traced = traced_layer(attention.GMSA(6, (2, 4, 8), shifted=shifted), torch.randn(1, 6, 8, 16))
    boxes = view(traced, LR[:, :8, :16], *place).panels
    assert len(boxes) == 3
    for panel, seen_by_head in zip(boxes, traced.pattern.multiplicity(traced.query(*place))[0, :, 0], strict=True):
        drawn = np.zeros((8, 16), int)
        for top, left, height, width in (panel.query, *panel.keys):
            drawn[top : top + height, left : left + width] += 1
        assert np.array_equal(drawn, seen_by_head.unflatten(0, (8, 16)).numpy())
        top, left, height, width = panel.query
        assert 0 <= place[0] - top < height and 0 <= place[1] - left < width


def test_the_receptive_field_of_a_convolution_is_its_kernel():
    convolution = torch.nn.Conv2d(3, 12, 5, padding=2)
    network = torch.nn.Sequential(convolution, torch.nn.PixelShuffle(2)).eval()
    field = analysis.receptive_field(network, LR, 2, 6, 8)
    expected = np.zeros((14, 19))
    expected[4:9, 6:11] = convolution.weight.detach().sum(0).abs().sum(0)
    assert np.allclose(field, expected / expected.sum(), atol=1e-6)


def test_reach_of_even_weights():
    layer = sorted_layer([0] * 12, 12, 4)
    layer.pattern.query = torch.zeros(1, 1, 12, 3)
    measured = reach(layer, [(0, 0), (2, 3)])
    assert measured["keys_seen"].tolist() == [12, 12] and np.allclose(measured["keys_effective"], 12)
    assert np.allclose(measured["distance"], measured["distance_even"])


def test_corners_lie_on_structure():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 20:, 30:] = 255
    assert corners(image, 1)[0] == pytest.approx((20, 30), abs=2)
    assert corners(torch.zeros(3, 40, 30, dtype=torch.uint8), 1) == [(20, 15)]
