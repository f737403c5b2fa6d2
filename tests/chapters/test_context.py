"""Context: cuts and fillings of tiles, far repeats, and the verdicts on losses."""

import numpy as np
import pandas as pd
import pytest
import torch
from images import picture, write_png
from made_records import study_of
from torch import nn

from srlab.chapters.context import figures, frames
from srlab.chapters.context.fillings import BLOCK, FILLINGS, Place, cut_off, middle_tile, permuted
from srlab.chapters.context.repeats import repeats
from srlab.chapters.context.run import ContextRun
from srlab.data.layouts import ImageRef
from srlab.data.sources import DataSource
from srlab.files import write_table
from srlab.study.chapter import Tables
from srlab.study.records import Record

IMAGE = torch.arange(3 * 80 * 112, dtype=torch.float32).reshape(3, 80, 112)
OTHER = -torch.arange(3 * 50 * 60, dtype=torch.float32).reshape(3, 50, 60) - 1


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("radius", [0, 4, 16])
def test_pixels_within_the_radius_are_real_and_no_others(filling, radius):
    place = Place(16, 32, 16)
    seen, where = cut_off(IMAGE, place, radius, filling, 32, OTHER)
    inside = tuple(slice(start - radius, start + 16 + radius) for start in where[:2])
    real = IMAGE[:, 16 - radius : 32 + radius, 32 - radius : 48 + radius]
    assert torch.equal(seen[:, *inside], real)
    assert seen.shape == (real.shape if filling == "edge" else (3, 64, 80))  # to the border above and at the left
    if filling != "edge":
        row, column = (start - radius - 1 for start in where[:2])
        expected = {
            "mirror": real[:, 0, 0],
            "other": OTHER[:, (15 - radius) % 50, (31 - radius) % 60],
            "permuted": permuted(IMAGE)[:, 15 - radius, 31 - radius],
        }
        if row >= 0:
            assert torch.equal(seen[:, row, column], expected[filling])


def test_mirrors_repeat_where_the_tile_is_smaller_than_its_surroundings():
    seen, where = cut_off(IMAGE, Place(32, 32, 8), 0, "mirror", 24, OTHER)
    tile = IMAGE[:, 32:40, 32:40]
    assert torch.equal(seen[:, where.top - 8 : where.top, where.left : where.left + 8], tile.flip(1))
    assert torch.equal(seen[:, where.top - 16 : where.top - 8, where.left : where.left + 8], tile)


def test_blocks_are_permuted_whole_and_none_is_lost():
    mixed = permuted(IMAGE)
    corners = IMAGE[0, ::BLOCK, ::BLOCK].flatten().sort().values
    assert not torch.equal(mixed, IMAGE) and torch.equal(mixed[0, ::BLOCK, ::BLOCK].flatten().sort().values, corners)
    assert torch.equal(mixed[:, 1:BLOCK, 0] - mixed[:, : BLOCK - 1, 0], IMAGE[:, 1:BLOCK, 0] - IMAGE[:, : BLOCK - 1, 0])
    assert permuted(IMAGE[:, :9]).shape == (3, 9, 112)  # holds no block


def test_the_tile_of_the_grid_nearest_to_the_middle():
    assert middle_tile(256, 192, 64) == Place(64, 64, 64)
    assert middle_tile(80, 120, 64) == Place(0, 0, 64)
    assert middle_tile(63, 200, 64) is None


@pytest.fixture
def refs(tmp_path) -> list[ImageRef]:
    """Two photographs of noise, 128×160 pixels."""
    found = []
    for seed, name in enumerate(("one", "two")):
        write_png(tmp_path / f"{name}.png", picture(128, 160, seed))
        found.append(ImageRef(name, tmp_path / f"{name}.png"))
    return found


def test_convolutions_lose_nothing_beyond_their_field_and_something_within(refs):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 12, 5, padding=2), nn.PixelShuffle(2))
    how = {"source": "released", "network": "x", "weights": "", "data": "", "benchmark": "b", "piece": 0}
    run = ContextRun(**how, scale=2, device="cpu", tile=16, around=16, near=4, radii=(0, 2, 4, 8))
    measured = run.measure(network, *refs, torch.device("cpu"))
    cells = measured["context"].set_index(["filling", "radius"])["mse"]
    whole = cells["whole"].item()
    assert list(measured["places"].columns) == ["name", "top", "left", "bicubic_mse", "repeats"]
    for filling in FILLINGS:
        assert cells[filling][[4, 8]].to_numpy() == pytest.approx(whole, rel=1e-6)
        assert (abs(cells[filling][[0, 2]] / whole - 1) > 1e-6).all()


def test_an_image_that_a_kill_left_in_one_table_is_measured_again_and_stands_once(refs, tmp_path, monkeypatch):
    how = {"source": "released", "network": "x", "weights": "", "data": "", "benchmark": "b", "piece": 0}
    run = ContextRun(**how, scale=2, device="cpu", tile=16, around=16, near=4, radii=(0,))
    monkeypatch.setattr(ContextRun, "open", lambda *_: nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2)))
    study, record = study_of(tmp_path, {}, monkeypatch), Record(run, tmp_path / "record")
    vars(study)["data"] = DataSource("mine", (), {"b": tuple(refs)})
    record.begin()
    half = pd.DataFrame({"name": ["one"], "filling": ["whole"], "radius": [16], "mse": [1.0]})
    record.write("context", half)
    run.make(record, study, torch.device("cpu"), 1, None)
    cells = record.table("context")
    assert len(cells) == 1 + len(FILLINGS) and not cells.duplicated(["name", "filling", "radius"]).any()
    assert record.table("places")["name"].tolist() == ["one"] and record.facts["images"] == 1


def test_exact_copies_far_away_explain_all_and_noise_little():
    noise = torch.from_numpy(np.random.default_rng(0).random((96, 192), dtype=np.float32))
    copied = noise.clone()
    copied[:32, 128:160] = copied[:32, :32]
    place = Place(0, 0, 16)
    assert repeats(copied, place, 2, 32) == pytest.approx(1, abs=1e-3)
    assert repeats(noise, place, 2, 32) < 0.4
    assert repeats(copied, place, 2, 65) < 0.4  # the copy is 64 LR pixels away
    assert repeats(torch.ones(96, 192), place, 2, 32) == 1
    assert np.isnan(repeats(noise, place, 2, 90))  # no patch is so far away


def cells(loss: dict[str, float], spread: float, images: int = 40) -> pd.DataFrame:
    """Losses of one network at radius 32 by filling, around a mean."""
    random = np.random.default_rng(0)
    rows = [
        {
            "network": "x",
            "benchmark": "b",
            "name": f"{i}",
            "filling": filling,
            "radius": 32,
            "run": "r",
            "loss_db": value,
        }
        for filling, mean in loss.items()
        for i, value in enumerate(mean + spread * random.standard_normal(images))
    ]
    return pd.DataFrame(rows).assign(bicubic_db=25.0, repeats=0.5)


@pytest.mark.parametrize(
    ("mirror", "other", "spread", "verdict"),
    [
        (0.001, -0.002, 0.01, "nothing"),
        (0.001, 0.05, 0.01, "undecided"),  # one filling loses
        (0.05, 0.04, 0.01, "loss"),
        (0.001, 0.001, 0.5, "undecided"),
    ],
)
def test_verdicts_need_every_filling_that_counts(mirror, other, spread, verdict):
    losses = frames.losses(cells({"edge": 1.0, "mirror": mirror, "other": other, "permuted": mirror}, spread))
    [judged] = frames.verdicts(losses).itertuples()
    assert judged.verdict == verdict and judged.images == 40
    assert judged.least_db == pytest.approx(min(mirror, other), abs=spread)


def test_pairs_of_tiles_are_alike_in_bicubic_error():
    rows = cells({"mirror": 0.0}, 0.0, images=9)
    index = rows["name"].astype(int)
    rows = rows.assign(repeats=index / 10, bicubic_db=20 + index % 3, loss_db=np.where(index > 5, 0.3, 0.1))
    [row] = frames.where(rows).itertuples()
    assert row.pairs == 3 and row.difference_db == pytest.approx(0.2)
    assert (row.repeats_with, row.repeats_without) == pytest.approx((0.7, 0.1))
    far = rows.assign(bicubic_db=20 + 5 * index)
    assert frames.where(far)["pairs"].item() == 0 and np.isnan(frames.where(far)["difference_db"].item())


def test_points_stand_at_their_radii_and_many_networks_in_panels_of_their_own(tmp_path):
    few, many = ["span", "elan_light"], [f"lcoan clusters={k}" for k in range(1, 2 + figures.TOGETHER)]
    rows = pd.DataFrame({"network": few + many, "benchmark": ["few"] * len(few) + ["many"] * len(many)})
    rows = rows.merge(pd.DataFrame({"radius": [0, 4, 48]}), how="cross")
    rows = rows.merge(pd.DataFrame({"filling": figures.RULES.fillings}), how="cross")
    rows = rows.assign(loss_db=0.01, low_db=-0.03, high_db=0.05, images=9)
    write_table(tmp_path / "tables" / "context.csv", rows)
    drawn = [ax for ax in figures.context(Tables(tmp_path)).axes if ax.lines]
    assert [len(ax.lines) for ax in drawn] == [len(few)] + [1] * len(many)
    assert all(line.get_xdata().tolist() == [0, 4, 48] for ax in drawn for line in ax.lines)
    bands = [band.get_paths()[0].get_extents() for ax in drawn for band in ax.collections]
    assert len(bands) == len(few) + len(many)
    assert {(round(band.y0, 3), round(band.y1, 3)) for band in bands} == {(-0.03, 0.05)}
