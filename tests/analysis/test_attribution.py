import numpy as np
import pytest
import torch
from skimage.filters import gaussian

from srlab.analysis.attribution import BLUR, contributions, diffusion_index, edges, local_attribution
from srlab.analysis.layers import receptive_field
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.models import build

SIZES = {"channels": 8, "groups": 1, "blocks": 1}
LR = embedded().benchmarks["held-out"][1].read()[:, 60:100, 60:104]


def test_beyond_the_receptive_field_nothing_contributes():
    network = build("no_attention", 2, seed=0, **SIZES).eval()
    # A window of 4, and one SR pixel further, lies in the SR pixels of these LR pixels.
    fields = [receptive_field(network, LR, 2, row, col) for row in (19, 20, 21) for col in (20, 21, 22)]
    box = np.sum(fields, 0) > 0
    attribution = local_attribution(network, LR, 20, 21, 4, steps=3)
    assert 0 < box.sum() < box.size / 2
    assert (attribution[~box] == 0).all() and (attribution[box] > 0).mean() > 0.8


@pytest.mark.parametrize(
    ("name", "options"),
    [("trunk_nla", {}), ("lcoan", {"clusters": 4, "window": 64}), ("trunk_window", {"heads": 2, "side": 32})],
)
def test_a_non_local_network_uses_what_is_far(name, options):
    near = local_attribution(build("no_attention", 2, seed=0, **SIZES), LR, 20, 21, 4, steps=2)
    far = local_attribution(build(name, 2, seed=0, **SIZES | options), LR, 20, 21, 4, steps=2)
    assert near.sum() == pytest.approx(1) and far.sum() == pytest.approx(1) and far.shape == LR.shape[1:]
    assert near.min() == 0 and far.min() >= 0 and far[near == 0].sum() > 0


def test_contributions_sum_to_what_sharpness_added():
    """Completeness of integrated gradients."""
    network = build("trunk_lsp", 2, seed=0, **SIZES, clusters=2, window=32).eval()
    signed = contributions(network, LR, 20, 21, steps=40)
    sharp = LR.double().numpy() / 255
    ends = [sharp, gaussian(sharp, BLUR, mode="reflect", channel_axis=0)]
    with torch.inference_mode():
        srs = [network(torch.from_numpy(image).float()[None]) for image in ends]
        one, other = (edges(sr, LR.shape[1], 20, 21, 8).item() for sr in srs)
    assert signed.sum() == pytest.approx(one - other, rel=0.02)
    expected = np.abs(signed).sum(0) / np.abs(signed).sum()
    assert np.allclose(local_attribution(network, LR, 20, 21, steps=40), expected)


def test_edges_of_a_step():
    sr = torch.zeros(1, 3, 24, 24)
    sr[..., 12:] = 0.5  # right of column 11
    found = [edges(sr, 12, 6, col, 8).item() for col in (6, 0)]
    assert found == pytest.approx([3 * 8 * 0.5, 0], abs=1e-3)


def test_a_window_at_the_edge_is_moved_inside_and_repeats_give_the_same_map():
    network = build("no_attention", 2, seed=0, **SIZES).train()
    for row, col in ((0, 0), (39, 43)):
        attribution, again = (local_attribution(network, LR, row, col, steps=1) for _ in range(2))
        assert attribution.sum() == pytest.approx(1) and np.array_equal(attribution, again)
        assert attribution[row, col] > 0 and attribution[39 - row, 43 - col] == 0
    assert not any(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("where", [{"row": 40}, {"col": -1}, {"window": 80}, {"window": 0}, {"steps": 0}])
def test_an_error_names_the_value(where):
    with pytest.raises(InputError, match=str(next(iter(where.values())))):
        local_attribution(build("no_attention", 2, seed=0, **SIZES), LR, **{"row": 1, "col": 1, **where})


def test_diffusion_index():
    for share, index in ((1 / 200, 100 / 200), (0.5, 50), (1, 100)):
        shares = (np.arange(200) < 200 * share).reshape(10, 20)
        assert diffusion_index(shares / shares.sum()) == pytest.approx(index)
    values = np.random.default_rng(0).random((6, 7))
    pairs = np.abs(values.reshape(-1, 1) - values.reshape(1, -1)).sum()  # Gini's definition
    assert diffusion_index(values) == pytest.approx(100 * (1 - pairs / (2 * 42**2 * values.mean())))
