import time

import numpy as np
import pytest
import torch

from srlab import inspection
from srlab.attention import SortedWindows, dense_attention
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.inspection import LayerTrace, attention_row, corners, gini, pair, reach, seen, trace, view
from srlab.models import build

SIZES = {"channels": 8, "groups": 2, "blocks": 1}
NETWORKS = {
    "lcoan": SIZES | {"clusters": 4, "window": 20},
    "lspn": SIZES | {"clusters": 4, "window": 20, "rounds": 2},
    "nlan": SIZES,
    "nlan_shared": SIZES,
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
    assert traced("lspn")[1].pattern is not traced("lspn")[0].pattern


def test_tracing_leaves_no_hook_and_needs_a_layer():
    network = build("lcoan", 2, seed=0, **NETWORKS["lcoan"]).train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    trace(network, LR)
    assert all((network.state_dict()[key] == tensor).all() for key, tensor in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(InputError, match="no non-local layer"):
        trace(build("edsr_like", 2, seed=0, **SIZES), LR)


def test_pixels_outside_are_refused():
    layer = traced("nlan")[0]
    for row, col in ((14, 0), (0, 19), (-1, 0)):
        with pytest.raises(InputError, match="rows are 0 to 13, columns 0 to 18"):
            attention_row(layer, row, col)


def test_windows_and_clusters_of_a_known_order():
    layer = sorted_layer([0, 1, 0, 1, 0, 1, 0, 1], 3, 4)  # sorted: 0 2 4, 6 1 3, 5 7 and 7 again
    assert inspection.clusters(layer).tolist() == [[0, 1, 0, 1], [0, 1, 0, 1]]
    assert inspection.cluster_sizes(layer, 3).tolist() == [4, 4, 0]
    assert inspection.windows(layer, 0, 0).tolist() == [[2, 3, 2, 3], [2, 1, 3, 1]]
    assert seen(layer, 0, 0).tolist() == [[1, 1, 1, 1], [1, 1, 1, 2]]
    assert inspection.pure_windows(layer) == pytest.approx(2 / 3)


def test_unseen_tokens_are_in_no_window():
    layer = sorted_layer([0] * 20, 4, 5)
    labels = inspection.windows(layer, 0, 0)
    assert labels.ravel().tolist() == [2] * 4 + [3] * 4 + [0] * 8 + [1] * 4
    assert ((labels > 0) == (seen(layer, 0, 0) > 0)).all()
    assert inspection.pure_windows(layer) == 1


def test_one_window_is_the_own_window():
    layer = sorted_layer([0, 1, 0, 1, 0, 1], 6, 3)
    assert (inspection.windows(layer, 0, 0) == inspection.OWN).all()
    assert (seen(layer, 0, 0) == 3).all()


def test_dense_layers_have_no_clusters():
    layer = traced("nlan")[0]
    with pytest.raises(InputError, match="NLA sorts no tokens"):
        inspection.clusters(layer)
    shown = view(layer, LR, 3, 4)
    assert shown.clusters is None and shown.windows is None
    assert (shown.seen == 1).all()


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


def test_restored_parts_and_their_psnr():
    ref = embedded().benchmarks["held-out"][0]
    (words, hr), (bicubic, part) = inspection.restored({"bicubic": None}, ref, 2, side=30)
    assert words == "brick: HR" and hr.shape == part.shape == (60, 60, 3)
    assert bicubic.startswith("bicubic: ") and bicubic.endswith(" dB")
    assert 20 < float(bicubic.split()[1]) < 40


def test_a_128_pixel_image_is_answered_in_time():
    lr = inspection.centre(pair(embedded().benchmarks["held-out"][0], 1)[0])
    assert lr.shape == (3, 128, 128)
    options = {"channels": 16, "groups": 1, "blocks": 1, "clusters": 32, "window": 96}
    layer = trace(build("lcoan", 2, seed=0, **options), lr)[0]
    start = time.perf_counter()
    view(layer, lr, 64, 64)
    assert time.perf_counter() - start < 0.3
