"""Recall scores the copying oracle 1 and what is left as it is 0, and reach is what patterns say."""

import pytest
import torch
from torch import nn

from srlab.attention.contract import attended
from srlab.data.recall import Scene, enlarge, recall_images
from srlab.measure.recall import SETTINGS, Setting, measure_recall, reach
from srlab.models import build

SCENE = Scene(
    side=24,
    distance=(8, 8),
    pairs=(2, 2),
    distractors=(2, 2),
    copies=(1, 1),
    without_copy=1,
    colours=25,
    apart=(0.1, 0.1),
)
SETTING = (Setting("distance", 8, SCENE),)


class Leaves(nn.Module):
    """Enlarges what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, lr):
        return enlarge(lr, 2)


class Copies(Leaves):
    """Puts into each pixel the detail of the lit pixels, anywhere, whose red and green are its own."""

    def forward(self, lr):
        red_green = (lr[0, :2].flatten(1) * 1e4).round()
        alike = (red_green[:, :, None] == red_green[:, None]).all(0)
        detail = lr[0, 2].flatten() - 0.5
        out = lr.clone()
        side = lr.shape[3]
        for row, column in torch.nonzero((lr[0, :2] != 0.5).any(0)).tolist():
            # The place within its own tile: tiles begin at odd pixels.
            inside = ((row + 1) % 2, (column + 1) % 2)
            there = alike[row * side + column].clone() & (detail.abs() > 0.1)
            rows, columns = torch.arange(side**2) // side, torch.arange(side**2) % side
            there &= ((rows + 1) % 2 == inside[0]) & ((columns + 1) % 2 == inside[1])
            if there.any():
                out[0, 2, row, column] = 0.5 + detail[there][0]
        return enlarge(out, 2)


def test_an_oracle_that_copies_has_recall_one_and_invents_nothing():
    found = measure_recall(Copies(), 2, SETTING)
    assert found["recall"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert found["invented"].to_numpy() == pytest.approx(0, abs=1e-5)


def test_what_is_left_as_it_is_has_recall_zero():
    found = measure_recall(Leaves(), 2, SETTING)
    assert found[["recall", "invented"]].to_numpy() == pytest.approx(0, abs=1e-5)
    assert "found" not in found


@pytest.mark.parametrize(
    "model",
    [
        "trunk_nla",
        "trunk_lsp",
        "nlsn",
        "trunk_window",
        "trunk_fgca",
        "trunk_bra",
        "trunk_conv_attn",
        "trunk_conv7",
        "enlcn",
    ],
)
def test_reach_is_what_the_whole_multiplicity_says(model):
    network = build(
        model,
        2,
        channels=12,
        groups=1,
        blocks=1,
        **{"trunk_window": {"side": 8}, "trunk_conv_attn": {"attended": 8}}.get(model, {}),
    ).eval()
    images = recall_images(SCENE, 1, 2, 5)
    with torch.inference_mode():
        _, [layer] = attended(network, images.lr)
        queries = images.damaged[0].flatten().nonzero()[:, 0]
        copies = images.copy[0].flatten()[queries]
        found, weight, seen = reach(layer, queries, copies)
        whole = layer.pattern.multiplicity()[0]
    pixels = layer.pattern.pixels()
    for i, (query, copy) in enumerate(zip(queries.tolist(), copies.tolist(), strict=True)):
        keys = (pixels == copy).nonzero()[:, 0]
        assert found[i] == (whole[:, query][:, keys] > 0).any()
        assert seen[i] == pytest.approx(whole[:, query].sum(1).float().mean().item())
    if model in ("trunk_conv_attn", "trunk_conv7"):
        assert weight.isnan().all()
    else:
        assert ((weight >= 0) & (weight <= 1 + 1e-5)).all()


def test_dense_attention_sees_every_copy_and_even_weights_fall_on_four_pixels():
    network = build("trunk_nla", 2, channels=12, groups=1, blocks=1).eval()
    for parameter in network.groups[0].attention.parameters():
        nn.init.zeros_(parameter)
    found = measure_recall(network, 2, SETTING)
    assert (found["found"] == 1).all() and (found["seen"] == 24**2).all()
    assert found["weight"].to_numpy() == pytest.approx(4 / 24**2, rel=1e-4)


def test_windows_find_no_copy_beyond_their_side():
    network = build("trunk_window", 2, channels=12, groups=1, blocks=1, side=8).eval()
    far = SCENE.model_copy(update={"distance": (16, 16)})
    assert (measure_recall(network, 2, (Setting("distance", 16, far),))["found"] == 0).all()


def test_settings_are_one_dial_at_a_time_and_named_once():
    names = [(setting.dial, setting.value) for setting in SETTINGS]
    assert len(set(names)) == len(names)
    usual = next(setting.scene for setting in SETTINGS if (setting.dial, setting.value) == ("distractors", 4))
    for dial in ("distractors", "side", "copies"):
        for setting in (setting for setting in SETTINGS if setting.dial == dial):
            other = {key for key, value in setting.scene if value != getattr(usual, key)}
            assert other <= {dial}
