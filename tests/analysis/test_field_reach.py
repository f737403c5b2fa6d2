"""What released networks draw on: places by rule, radii, and a file that goes on where it stopped."""

import numpy as np
import pandas as pd
import pytest
import torch
from images import write_png

from srlab.analysis import field_reach as field
from srlab.analysis.attribution import radius
from srlab.analysis.field_reach import SIDE, WINDOW, hardest_place, hardest_places, measure_reach, read_reach
from srlab.data.layouts import open_benchmark
from srlab.errors import InputError
from srlab.measure.field import contenders
from srlab.models import build
from srlab.weights.checkpoints import save_network

SMALL = {
    "no_attention": {"channels": 8, "groups": 1, "blocks": 1},
    "trunk_nla": {"channels": 8, "groups": 1, "blocks": 1},
}
HARD = (61, 75)  # the LR pixel around which the first image has stripes that an LR image cannot hold


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Two images that hold a crop, smooth but for one place, and between them one that does not."""
    folder = tmp_path_factory.mktemp("Stripes")
    rows, cols = np.mgrid[:480, :520]
    smooth = np.stack(3 * [(60 + 0.2 * rows + 0.1 * cols).astype(np.uint8)])
    for name, (row, col) in {"a": HARD, "c": (50, 50)}.items():
        image = smooth.copy()
        top, left = 4 * row + 2 - WINDOW // 2, 4 * col + 2 - WINDOW // 2
        image[:, top : top + WINDOW, left : left + WINDOW : 2] = 255
        write_png(folder / f"{name}.png", torch.from_numpy(image))
    write_png(folder / "b.png", torch.from_numpy(smooth[:, :, : 4 * SIDE - 4].copy()))
    return open_benchmark(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for name, options in SMALL.items():
        save_network(folder / f"{name}.safetensors", build(name, 4, 0, **options), name, 4, options)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, benchmark, weights):
    folder = tmp_path_factory.mktemp("records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field, "STEPS", 1)
        measure_reach(contenders(weights), benchmark, folder, 2)
    return folder


def test_a_place_is_where_bicubic_enlargement_errs_most(benchmark):
    place = hardest_place(benchmark.hr[0])
    assert (place.name, place.row, place.col) == ("a", *HARD)
    assert place.lr.shape == (3, SIDE, SIDE) and place.hr.shape == (3, 4 * SIDE, 4 * SIDE)
    start = 4 * (SIDE // 2) + 2 - WINDOW // 2
    assert (place.hr[:, start : start + WINDOW, start : start + WINDOW : 2] == 255).all()
    assert (place.hr == 255).sum() == 3 * WINDOW * WINDOW // 2


def test_places_are_of_the_first_images_that_hold_a_crop(benchmark):
    assert [place.name for place in hardest_places(benchmark.hr, 2)] == ["a", "c"]
    assert [place.name for place in hardest_places(benchmark.hr[::-1], 1)] == ["a"]
    with pytest.raises(InputError, match="3 places are asked for, and 2 images hold 96×96 LR pixels"):
        hardest_places(benchmark.hr, 3)


def test_a_radius_holds_its_part():
    shares = np.zeros((9, 11))
    shares[4, 5], shares[4, 8], shares[0, 5] = 0.5, 0.3, 0.2
    assert [radius(shares, 4, 5, held) for held in (0.2, 0.5, 0.6, 0.8, 0.9)] == [0, 0, 3, 3, 4]
    even = np.full((101, 101), 1 / 101**2)
    assert radius(even, 50, 50, 0.5) == pytest.approx(101 / np.sqrt(2 * np.pi), rel=0.01)
    assert np.isnan(radius(np.full((3, 3), np.nan), 1, 1, 0.5))


def test_every_network_has_a_row_a_place_and_attention_reaches_farther(folder):
    table = read_reach(folder)
    assert table[["model", "name"]].to_numpy().tolist() == [
        [model, name] for name in "ac" for model in ("no_attention", "trunk_nla")
    ]
    assert set(table["dataset"].str[:7]) == {"Stripes"} and set(table["side"]) == {SIDE}
    assert tuple(table[["row", "col"]].iloc[0]) == HARD
    assert (table["lam_50"] <= table["lam_90"]).all() and (table["erf_50"] <= table["erf_90"]).all()
    convolutions, everywhere = (table[table["model"] == model] for model in SMALL)
    assert convolutions["erf_90"].max() < 12
    assert (everywhere["diffusion_index"].to_numpy() > convolutions["diffusion_index"].to_numpy()).all()
    assert np.isfinite(table[["psnr_y", "gain_db"]]).all().all()


def test_what_is_measured_is_kept_and_a_call_that_was_stopped_goes_on(
    folder, benchmark, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(field, "STEPS", 1)
    real, calls = field._reach, []

    def broken(*args):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(field, "_reach", broken)
    with pytest.raises(KeyboardInterrupt):
        measure_reach(contenders(weights), benchmark, tmp_path, 2)
    assert len(read_reach(tmp_path)) == 3
    calls.clear()
    again = measure_reach(contenders(weights), benchmark, tmp_path, 2)
    assert len(calls) == 1
    pd.testing.assert_frame_equal(again, read_reach(folder))
    calls.clear()
    monkeypatch.setattr(field, "STEPS", 2)  # other settings: measured anew
    assert set(measure_reach(contenders(weights, ["trunk_nla"]), benchmark, tmp_path, 1)["steps"]) == {1, 2}
    assert len(calls) == 1 and len(read_reach(tmp_path)) == 4


def test_a_folder_without_reaches_is_told(tmp_path):
    with pytest.raises(InputError, match=r"reach\.csv: no such file; `srlab field reach` measures it"):
        read_reach(tmp_path)
