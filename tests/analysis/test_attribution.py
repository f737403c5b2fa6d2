import numpy as np
import pytest
import torch
from torch import nn

from srlab.analysis.attribution import BLUR, contributions, diffusion_index, edges, local_attribution
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build

SIZES = {"channels": 8, "groups": 1, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, 60:100, 60:104]


def receptive_radius(network):
    """LR pixels to either side that an SR pixel's own LR pixel can depend on, from the layers themselves.

    Convolutions after the pixel shuffle reach SR pixels, two of which are one LR pixel; rounded up.
    """
    after = 0
    lr = 0
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            reach = layer.kernel_size[0] // 2
            if name == "tail":
                after += reach
            else:
                lr += reach
    return lr, after


def test_beyond_the_receptive_field_nothing_contributes():
    network = build("no_attention", 2, seed=0, **SIZES)
    lr, after = receptive_radius(network)
    row, col, window = 20, 21, 4
    attribution = local_attribution(network, LR, row, col, window, steps=3)
    # SR pixels that D reads: the window and one further; then what the tail reads; then LR pixels.
    top, left = 2 * row - 1 - after, 2 * col - 1 - after
    bottom, right = 2 * row - 1 + window + after, 2 * col - 1 + window + after
    box = np.zeros(LR.shape[1:], bool)
    box[top // 2 - lr : bottom // 2 + lr + 1, left // 2 - lr : right // 2 + lr + 1] = True
    assert 0 < box.sum() < box.size / 2
    assert (attribution[~box] == 0).all()
    rows, columns = np.nonzero(attribution)
    seen = np.argwhere(box)
    assert (rows.min(), columns.min(), rows.max(), columns.max()) == (*seen.min(0), *seen.max(0))


@pytest.mark.parametrize(
    ("name", "options"),
    [("trunk_nla", {}), ("lcoan", {"clusters": 4, "window": 64}), ("trunk_window", {"heads": 2, "side": 32})],
)
def test_a_non_local_network_uses_what_is_far(name, options):
    near = local_attribution(build("no_attention", 2, seed=0, **SIZES), LR, 20, 21, 4, steps=2)
    far = local_attribution(build(name, 2, seed=0, **SIZES | options), LR, 20, 21, 4, steps=2)
    assert near.sum() == pytest.approx(1) and far.sum() == pytest.approx(1)
    assert near.min() == 0 and far.min() >= 0
    assert far[near == 0].sum() > 0
    assert far.shape == LR.shape[1:]


def test_contributions_sum_to_what_sharpness_added():
    """Completeness of integrated gradients."""
    from skimage.filters import gaussian

    network = build("trunk_lsp", 2, seed=0, **SIZES, clusters=2, window=32).eval()
    signed = contributions(network, LR, 20, 21, steps=40)
    sharp = LR.double().numpy() / 255
    ends = [sharp, gaussian(sharp, BLUR, mode="reflect", channel_axis=0)]
    with torch.inference_mode():
        one, other = (
            edges(network(torch.from_numpy(image).float()[None]), LR.shape[1], 20, 21, 8).item() for image in ends
        )
    assert signed.sum() == pytest.approx(one - other, rel=0.02)
    expected = np.abs(signed).sum(0) / np.abs(signed).sum()
    assert np.allclose(local_attribution(network, LR, 20, 21, steps=40), expected)


def test_edges_of_a_step():
    sr = torch.zeros(1, 3, 24, 24)
    sr[..., 12:] = 0.5  # right of column 11
    assert edges(sr, 12, 6, 6, 8).item() == pytest.approx(3 * 8 * 0.5, abs=1e-3)
    assert edges(sr, 12, 6, 0, 8).item() == pytest.approx(0, abs=1e-3)


def test_a_window_at_the_edge_is_moved_inside():
    network = build("no_attention", 2, seed=0, **SIZES)
    for row, col in ((0, 0), (39, 43)):
        attribution = local_attribution(network, LR, row, col, steps=1)
        assert attribution.sum() == pytest.approx(1)
        assert attribution[row, col] > 0 and attribution[39 - row, 43 - col] == 0


def test_the_same_window_and_the_same_network_have_the_same_map():
    network = build("no_attention", 4, seed=0, **SIZES).train()
    one, other = (local_attribution(network, LR[:, :24, :24], 9, 12, steps=2) for _ in range(2))
    assert np.array_equal(one, other)
    assert not any(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"row": 40, "col": 0}, "rows are 0 to 39, columns 0 to 43"),
        ({"row": 0, "col": -1}, "rows are 0 to 39, columns 0 to 43"),
        ({"row": 1, "col": 1, "window": 80}, "window is 80; 1 to 79"),
        ({"row": 1, "col": 1, "window": 0}, "window is 0; 1 to 79"),
        ({"row": 1, "col": 1, "steps": 0}, "steps is 0; at least 1"),
    ],
)
def test_what_cannot_be_asked_is_told(where, told):
    with pytest.raises(InputError, match=told):
        local_attribution(build("no_attention", 2, seed=0, **SIZES), LR, **where)


def test_diffusion_index():
    one = np.zeros((10, 20))
    one[3, 4] = 1.0
    assert diffusion_index(one) == pytest.approx(100 / 200)
    assert diffusion_index(np.full((10, 20), 0.005)) == pytest.approx(100)
    half = np.repeat([0.0, 0.01], 100).reshape(10, 20)
    assert diffusion_index(half) == pytest.approx(50)
    values = np.random.default_rng(0).random((6, 7))
    pairs = np.abs(values.reshape(-1, 1) - values.reshape(1, -1)).sum()  # Gini's definition
    assert diffusion_index(values) == pytest.approx(100 * (1 - pairs / (2 * 42**2 * values.mean())))
