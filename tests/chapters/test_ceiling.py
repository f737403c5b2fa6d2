"""Ceiling: far matches, fusers and their folds, and the verdicts on gains."""

import numpy as np
import pandas as pd
import pytest
import scipy
import torch
from images import picture

from srlab.chapters.ceiling import figures, frames
from srlab.chapters.ceiling.fusers import SIDE, ThreeLayers, cnn_errors, equations, neighbourhoods, ridge_errors, solved
from srlab.chapters.ceiling.matches import NOWHERE, cut, evenly_spaced, explained, far_matches
from srlab.chapters.ceiling.run import CELLS, HR, OWN, RULES, Base, FuseRun, MatchRun, Seen
from srlab.data.resize import downscale, upscale
from srlab.files import write_table
from srlab.measure.metrics import luma
from srlab.study.chapter import Tables

BICUBIC = Base(source="bicubic", name="bicubic")
HOW = {"data": "", "benchmark": "b", "distances": (16, 24), "places": 60, "scale": 2, "device": "cpu"}


def noise(seed: int, height: int = 96, width: int = 192) -> torch.Tensor:
    return torch.rand(height, width, generator=torch.manual_seed(seed)) * 255


@pytest.mark.parametrize(("height", "width", "number"), [(40, 64, 60), (41, 17, 7), (8, 8, 400)])
def test_queries_are_evenly_spaced_inside_the_image(height, width, number):
    corners = evenly_spaced(height, width, 4, number)
    steps = {int(step) for side in corners.T for step in side.unique().diff()}
    assert len(corners) <= number and len(steps) <= 1 and len(corners.unique(dim=0)) == len(corners)
    assert (corners >= 0).all() and (corners <= torch.tensor([height - 4, width - 4])).all()
    margins = torch.stack([corners.amin(0), torch.tensor([height - 4, width - 4]) - corners.amax(0)])
    assert (margins.diff(dim=0).abs() <= 1).all()


@pytest.mark.parametrize("scale", [2, 4])
def test_matches_are_the_nearest_patches_far_enough_away(scale):
    y, side = noise(0, 40, 80), 4 * scale
    corners = scale * evenly_spaced(40 // scale, 80 // scale, 4, 12)
    found = far_matches(y, corners, side, scale, (3, 5))
    fine = max(1, scale // 2)
    places = torch.cartesian_prod(torch.arange(0, 40 - side + 1, fine), torch.arange(0, 80 - side + 1, fine))
    patches, queries = (cut(y, at, side).flatten(1) for at in (places, corners))
    apart = torch.cdist(queries - queries.mean(1, keepdim=True), patches - patches.mean(1, keepdim=True))
    for distance, own in zip((3, 5), found, strict=True):
        close = (corners[:, None] - places).abs().amax(2) < scale * distance
        assert torch.equal(places[apart.masked_fill(close, torch.inf).argmin(1)], own)
    assert (far_matches(y, corners, side, scale, (80,)) == NOWHERE).all()


def test_an_exact_copy_is_found_and_explains_all():
    y = noise(1)
    y[:, 96:] = y[:, :96]
    corners = torch.tensor([[8, 16], [40, 120]])
    [found] = far_matches(y, corners, 8, 2, (32,))
    assert found.tolist() == [[8, 112], [40, 24]]
    assert explained(cut(y, corners, 8), cut(y, found, 8)) == pytest.approx(1)
    assert explained(cut(y, corners, 8), cut(noise(2), found, 8)) < 0.1


def seen(run: FuseRun, hr: torch.Tensor, name: str = "x") -> Seen:
    """Match an image and cut a fuser's windows, without files."""
    kept, ideal = (MatchRun(base=base, piece=0, **HOW).matched(hr, None, torch.device("cpu")) for base in (BICUBIC, HR))
    assert torch.equal(kept["sr"], upscale(downscale(hr, 2), 2))
    contents = {"SR": luma(kept["sr"].float()), "HR": luma(hr.float())}
    return run.windows(name, kept["corners"], {"seen": kept["found"], "perfect": ideal["found"]}, contents)


def gain(images: list[torch.Tensor], fuser: str, *cells: tuple[str, str]) -> pd.Series:
    """Return the mean gain of each cell over the own neighbourhood, dB."""
    run = FuseRun(base=BICUBIC, pieces=(0,), fuser=fuser, steps=60, **HOW)
    cut_out = [seen(run, hr, str(number)) for number, hr in enumerate(images)]
    found = pd.concat([run.fused(cut_out, 16, *cell) for cell in (OWN, *cells)])
    by = found.groupby(["match", "content"])["mse"].apply(lambda mse: -10 * np.log10(mse).mean())
    return by - by[OWN]


def test_copies_far_away_are_worth_much_and_noise_nothing():
    plain = [picture(96, 192, seed) for seed in range(5)]
    copied = [torch.cat([image[:, :, :96]] * 2, 2) for image in plain]
    with_copies, without = gain(copied, "ridge", *CELLS), gain(plain, "ridge", *CELLS)
    assert with_copies["perfect", "HR"] > 8 and abs(without["seen", "SR"]) < 0.15
    assert without["perfect", "HR"] < with_copies["perfect", "HR"] / 2
    assert gain(copied, "cnn", ("perfect", "HR"))["perfect", "HR"] > 3


def test_windows_of_every_cell_are_alike_and_hold_what_the_sr_lacks_in_their_middle():
    hr = picture(64, 96)
    windows = seen(FuseRun(base=BICUBIC, pieces=(0,), fuser="ridge", steps=1, **HOW), hr)
    own, lacks = windows.far[16, *OWN], windows.lacks[16]
    assert {each.shape for (distance, *_), each in windows.far.items() if distance == 16} == {own.shape}
    middle = own[:, SIDE // 2 : -(SIDE // 2), SIDE // 2 : -(SIDE // 2)]
    places = 2 * evenly_spaced(32, 48, RULES.match, 60) + 2
    true = cut(luma(hr.float()), places, RULES.middle * 2)
    here = torch.isclose((middle + lacks)[:, None], true, atol=1e-3).flatten(2).all(2)  # some places have no match
    assert len(lacks) > 10 and (here.sum(1) == 1).all()


def linear(images: int = 6, pixels: int = 300) -> tuple[list, list]:
    """Draw inputs, and outputs that depend on them linearly but for noise."""
    draw = torch.manual_seed(0)
    x = [torch.randn(pixels, 4, generator=draw) for _ in range(images)]
    return x, [each @ torch.tensor([1.0, -2, 0.5, 0]) + 0.1 * torch.randn(pixels, generator=draw) for each in x]


def test_ridge_from_equations_equals_a_direct_solution():
    x, y = linear()
    weights = solved(sum(equations(*pair) for pair in zip(x, y, strict=True)), 1e-12)
    direct = torch.linalg.lstsq(torch.cat(x).double(), torch.cat(y).double()[:, None]).solution[:, 0]
    torch.testing.assert_close(weights, direct, rtol=1e-8, atol=1e-10)
    folds = [0, 1, 2, 0, 1, 2]
    found = ridge_errors(x, y, folds)[0]
    for number in range(6):
        others = [other for other in range(6) if folds[other] != folds[number]]
        alike = [torch.cat([side[k].double() / y[k].norm() for k in others]) for side in (x, y)]
        direct = torch.linalg.lstsq(alike[0], alike[1][:, None]).solution[:, 0]
        error = (x[number].double() @ direct - y[number].double()).square().mean()
        assert float(found[number]) == pytest.approx(float(error), rel=1e-4)


@pytest.mark.parametrize("fuse", [ridge_errors, lambda *data: cnn_errors(*data, steps=5)])
def test_an_image_has_no_part_in_the_fuser_that_it_is_tested_with(fuse):
    x, y = linear()
    folds = [0, 1, 2, 0, 1, 2]
    before = fuse(x, y, folds)
    changed = [3 * each if number == 0 else each for number, each in enumerate(y)]
    after = fuse(x, changed, folds)
    same = torch.isclose(before, after, rtol=1e-12, atol=0)
    assert same[:, 3].all() and not same[:, [0, 1, 2, 4, 5]].any()


def test_networks_start_at_zero_repeat_and_differ_by_seed():
    x, y = linear()
    first, again = (cnn_errors(x, y, [0, 1] * 3, steps=20) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (len(RULES.seeds), 6)
    assert len(set(first[:, 0].tolist())) == len(RULES.seeds)
    window = neighbourhoods(torch.rand(2, 8, 8))
    assert window.shape == (2 * 16, 25) and window.mean(1).abs().max() < 1e-6
    features = 2 * window.shape[1]
    network = ThreeLayers(features, RULES.channels, (0,))
    assert sum(each.numel() for each in network.parameters()) == 50 * 32 + 32 + 32 * 32 + 32 + 32 + 1
    assert (network(torch.rand(1, 7, features)) == 0).all()


def cells(perfect_sr: float, seen_sr: float, perfect_hr: float = 1.0, spread: float = 0.01) -> pd.DataFrame:
    """Gains of 20 images by cell, around means."""
    means = dict(zip(CELLS, (seen_sr, perfect_sr, 0.5, perfect_hr), strict=True))
    swing = spread * np.tile([-1.0, 1.0], 10)
    setting = {"benchmark": "b", "base": "hit_srf", "fuser": "ridge", "distance": 16, "own_db": 0.1, "run": "r"}
    rows = [
        {**setting, "match": match, "content": content, "name": f"{i}", "gain_db": mean + off}
        for (match, content), mean in means.items()
        for i, off in enumerate(swing)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("perfect_sr", "seen_sr", "perfect_hr", "verdict"),
    [
        (0.05, 0.00, 1.0, "not from far matches"),
        (0.20, 0.08, 1.0, "possible"),
        (0.20, 0.02, 1.0, "undecided"),
        (0.09, 0.08, 1.0, "not from far matches"),  # the first that holds
        (0.099, 0.0, 1.0, "undecided"),  # the interval reaches the claim
        (0.05, 0.00, 0.001, "blind"),
    ],
)
def test_verdicts_on_the_smallest_claim(perfect_sr, seen_sr, perfect_hr, verdict):
    gains = frames.gains(cells(perfect_sr, seen_sr, perfect_hr))
    judged = frames.verdicts(gains).set_index("claim_db")
    assert judged["verdict"][0.1] == verdict and judged.index.tolist() == list(RULES.claims_db)
    row = gains.set_index(["match", "content"]).loc["perfect", "SR"]
    assert row["gain_db"] == pytest.approx(perfect_sr) and row["images"] == 20
    quantile = scipy.stats.t.ppf((1 + 0.95 ** (1 / 4)) / 2, 19)  # a family of four cells
    assert row["high_db"] - row["gain_db"] == pytest.approx(quantile * row["spread_db"] / 20**0.5)


def test_figures_draw_every_cell_in_its_row(tmp_path):
    first = frames.gains(cells(0.1, 0.0)).assign(base="bicubic")
    second = frames.gains(pd.concat([cells(0.2, 0.05), cells(0.2, 0.05).assign(fuser="cnn")]))
    write_table(tmp_path / "tables" / "ceiling.csv", pd.concat([first, second, first.assign(distance=32)]))
    [panel] = figures.ceiling(Tables(tmp_path)).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == [
        f"{base}: {words}" for base in ("bicubic", "HiT-SRF") for words, _, _ in figures.CELLS.values()
    ]
    marks = [tuple(line.get_xydata()[0]) for line in panel.lines if line.get_marker() == "o"]
    assert np.allclose(marks, [(0, 0), (0.05, 4), (0.05, 4.3)])
    first_panel, _ = figures.distances(Tables(tmp_path)).axes
    assert [text.get_text() for text in first_panel.get_xticklabels()] == ["16", "32"]
