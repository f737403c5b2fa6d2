"""Layers that reuse weights, against the plain formula and against the network itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kept import ROOT

from srlab.analysis.images import pair
from srlab.attention.contract import attended
from srlab.chapters.released import sharing
from srlab.chapters.released.sharing import ALONE, COMPUTING, EVEN, NEXT, NEXT_BUT_ONE, OWN, REUSING, SHARED, WEIGHTS
from srlab.data.layouts import held_out
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate, super_resolve
from srlab.measure.protocol import Protocol
from srlab.models import build
from srlab.weights.checkpoints import open_network

SIDES = (4, 8)
REFS = [ref.middle(144) for ref in held_out().hr if ref.name in ("brick", "page_left")]  # 36×36 LR pixels


def small():
    return build("elan_light", 4, 0, channels=6, layers=6, sides=SIDES).eval()


@pytest.fixture(scope="module")
def network():
    """A small ELAN of three blocks, of random weights that look at something."""
    network = small()
    torch.manual_seed(0)
    for first in set(sharing.reusing_layers(network).values()):
        torch.nn.init.normal_(first.project.weight, std=0.02)
    return network


@pytest.fixture(scope="module")
def looked(network):
    return sharing.look(network, REFS, 4)


def windows_of(network, lr, block, side, places):
    """Oracle: of each query the softmax over its window, cut out by hand, and how far down and right its keys are."""
    _, found = attended(network, lr[None].float() / 255)
    gmsa, x = found[2 * (block - 1)].layer, found[2 * (block - 1)].x
    embedding = gmsa.norm(gmsa.project(x))[0].detach().unflatten(0, (len(SIDES), 2, -1))[SIDES.index(side), 0]
    shift = side // 2 if gmsa.shifted else 0
    windows = []
    for row, col in places:
        top, left = ((at - shift) // side * side + shift for at in (row, col))
        tokens = embedding[:, top : top + side, left : left + side].flatten(1).T
        rows, columns = np.mgrid[top : top + side, left : left + side].reshape(2, -1)
        weights = (tokens @ embedding[:, row, col]).softmax(0).double().numpy()
        windows.append((weights, rows - row, columns - col))
    return windows


@pytest.mark.parametrize(("block", "side"), [(1, 4), (2, 8), (3, 8)])
def test_means_are_those_of_the_plain_formula(network, looked, block, side):
    lr, _ = pair(REFS[0], 4)
    places = sharing.grid(lr, 4)
    assert len(places) == 64 and all(4 <= at < 32 for place in places for at in place)
    asked = windows_of(network, lr, block, side, places)
    expected = {
        "queries": 64,
        "on_query": np.mean([weights[(down == 0) & (right == 0)] for weights, down, right in asked]),
        "keys_effective": np.mean([np.exp(-(weights * np.log(weights)).sum()) for weights, _, _ in asked]),
        "keys_seen": side**2,
        "distance": np.mean([weights @ np.hypot(down, right) for weights, down, right in asked]),
        "distance_even": np.mean([np.hypot(down, right).mean() for _, down, right in asked]),
    }
    maps = looked[0].query("image == 'brick' and block == @block and side == @side and what == 'weights'")
    [row] = maps.to_dict("records")
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert row["shifted"] == (block == 2) and row["keys_effective"] < 0.99 * side**2


def test_every_image_block_and_window_has_its_rows(looked):
    maps, alike = looked
    keys = ["image", "block", "side"]
    assert maps.groupby([*keys, "what"]).size().eq(1).all() and len(maps) == 2 * 3 * 2 * 3
    assert set(maps["what"]) == {WEIGHTS, COMPUTING, REUSING}
    assert alike.groupby([*keys, "stand_in"]).size().eq(1).all()
    assert alike.groupby("stand_in")["block"].max().to_dict() == {OWN: 3, EVEN: 3, ALONE: 3, NEXT: 2, NEXT_BUT_ONE: 1}
    assert alike["likeness"].between(0, 1 + 1e-9).all()


def test_attended_values_lie_where_weights_are_if_all_are_as_long(network, looked):
    """Values of one length leave the weights; those of the layers differ, and so do the shares."""
    maps = looked[0].pivot(index=["image", "block", "side"], columns="what", values="on_query")
    assert not np.allclose(maps[WEIGHTS], maps[COMPUTING], atol=1e-4)
    lr, _ = pair(REFS[1], 4)
    with torch.inference_mode():
        [block, *_] = sharing.blocks_of(network, lr)
        weights = block.at(block.first.pattern, [(20, 20)])
        block.reusing.layer.value = lambda x: torch.ones(1, 2, block.first.x[0, 0].numel(), 3)
        try:
            assert torch.allclose(sharing._looked_at(block, weights)[REUSING], weights, atol=1e-6)
        finally:
            del block.reusing.layer.value


def test_stand_ins_that_do_not_choose_have_known_cosines(network, looked):
    """Oracle: the cosines of a window's weights to n equal ones, and to one for the query."""
    lr, _ = pair(REFS[0], 4)
    asked = windows_of(network, lr, 2, 8, sharing.grid(lr, 4))
    own = [weights / np.linalg.norm(weights) for weights, _, _ in asked]
    alone = [unit[(down == 0) & (right == 0)] for unit, (_, down, right) in zip(own, asked, strict=True)]
    alike = looked[1].query("image == 'brick' and block == 2 and side == 8").set_index("stand_in")["likeness"]
    assert alike[EVEN] == pytest.approx(np.mean([unit.sum() / 8 for unit in own]), rel=1e-4)
    assert alike[ALONE] == pytest.approx(np.mean(alone), rel=1e-4)
    assert alike[NEXT] < 1 - 1e-4


def test_own_features_are_the_shared_weights_if_features_do_not_change(network):
    """Own features are those of the first layer if all between adds nothing; then likeness is 1 and PSNR stays."""
    still = small()
    still.load_state_dict(network.state_dict())
    for block in still.blocks:
        for part in (block.attentions[0].out, block.local[1].narrow):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    _, alike = sharing.look(still, REFS[1:], 4)
    own = alike.query("stand_in == @OWN")["likeness"]
    assert np.allclose(own, 1)
    measured = sharing.quality(still, "two", REFS, 4, Protocol("none"))
    wide = measured.pivot(index="image", columns="stand_in", values="psnr_y")
    assert np.allclose(wide[OWN], wide[SHARED], atol=1e-3)


def test_in_place_of_shared_weights_layers_attend_with_others(network):
    """Oracle: the block's layers one by one, with values that matter."""
    loud = small()
    loud.load_state_dict(network.state_dict())
    for layer in sharing.reusing_layers(loud):
        torch.nn.init.normal_(layer.out.weight, std=2.0)
    measured = sharing.quality(loud, "one", REFS[1:], 4, Protocol("none"))
    assert list(measured["stand_in"]) == [SHARED, *sharing.STAND_INS] and set(measured["benchmark"]) == {"one"}
    assert measured["psnr_y"].iloc[0] == evaluate(loud, REFS[1:], 4, Protocol("none"))["psnr_y"].iloc[0]
    assert measured["psnr_y"].nunique() == len(measured)
    lr, _ = pair(REFS[1], 4)
    before = super_resolve(loud, lr, 4)
    with torch.inference_mode():
        found = attended(loud, lr[None].float() / 255)[1]
        reusing, x = found[1].layer, found[1].x
        plain = reusing.output(x, reusing.value(x)[:, :, found[0].pattern.windows.places(x.device)])
        with sharing.stood_in(loud, ALONE):
            assert torch.allclose(reusing(x, found[0].pattern)[0], plain)
        mean = reusing(x, sharing.even(found[0].pattern))[0]
        with sharing.stood_in(loud, EVEN):
            assert torch.allclose(reusing(x, found[0].pattern)[0], mean, atol=1e-5)
    assert torch.equal(super_resolve(loud, lr, 4), before)
    assert not any(module._forward_hooks for module in loud.modules())


def test_an_example_is_the_strongest_corner_of_three_blocks(network):
    shown, around = sharing.example(network, REFS[0], 4)
    lr, _ = pair(REFS[0], 4)
    assert list(shown["block"].unique()) == [1, 2, 3]
    assert shown.groupby(["block", "side"]).size().tolist() == 3 * [16, 64]
    assert np.allclose(shown.groupby(["block", "side"])[[WEIGHTS, REUSING]].sum(), 1, atol=1e-5)
    [query] = around[around["query"]].itertuples()
    assert len(around) == 36 * 36  # all there is, of less than `AROUND` pixels a side
    for pixel in (query, around.iloc[7]):
        assert [pixel.red, pixel.green, pixel.blue] == lr[:, pixel.row, pixel.col].tolist()
    for _, keys in shown.groupby(["block", "side"]):
        assert keys["row"].min() <= query.row <= keys["row"].max()
    own = shown.query("block == 3 and side == 8")
    [(expected, down, right)] = windows_of(network, lr, 3, 8, [(query.row, query.col)])
    assert np.array_equal(own[["row", "col"]], np.stack([down + query.row, right + query.col], 1))
    assert np.allclose(own[WEIGHTS], expected, atol=1e-5)


def test_a_network_without_reused_weights_is_refused():
    trunk = build("trunk_nla", 2, 0, channels=8, groups=1, blocks=1)
    with pytest.raises(InputError):
        sharing.look(trunk, REFS, 2)
    with pytest.raises(InputError), sharing.stood_in(trunk, EVEN):
        pass


def test_the_released_network_looks_where_the_kept_tables_say(shared_data: Path):
    weights = shared_data.parent / "weights" / "elan_light_x4.pth"
    [kept] = ROOT.glob("results/reference/released-*/tables")
    if not weights.is_file():
        pytest.skip("no released weights here")
    [ref] = [ref for ref in held_out().hr if ref.name == "page_left"]
    looked = sharing.look(open_network("elan_light", weights, 4), [ref], 4)
    for table, again in zip(("maps", "reused"), looked, strict=True):
        known = pd.read_csv(kept / f"{table}.csv").query("image == 'page_left'").reset_index(drop=True)
        known = known.drop(columns="run")
        pd.testing.assert_frame_equal(known, again[known.columns], check_dtype=False, rtol=1e-2, atol=1e-3)
