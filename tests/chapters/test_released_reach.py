"""Reach: places by rule, and radii that hold their part."""

import numpy as np
import pytest
import torch
from images import write_png

from srlab.analysis.attribution import radius
from srlab.chapters.released import reach
from srlab.chapters.released.reach import SIDE, WINDOW, hardest_place, hardest_places, measure_reach
from srlab.data.layouts import image_refs
from srlab.errors import InputError
from srlab.models import build

HARD = (61, 75)  # the LR pixel around which the first image has stripes that an LR image cannot hold


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
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
    return image_refs(folder)


def test_a_place_is_where_bicubic_enlargement_errs_most(refs):
    place = hardest_place(refs[0], 4)
    assert (place.name, place.row, place.col) == ("a", *HARD)
    assert place.lr.shape == (3, SIDE, SIDE) and place.hr.shape == (3, 4 * SIDE, 4 * SIDE)
    start = 4 * (SIDE // 2) + 2 - WINDOW // 2
    assert (place.hr[:, start : start + WINDOW, start : start + WINDOW : 2] == 255).all()
    assert (place.hr == 255).sum() == 3 * WINDOW * WINDOW // 2


def test_places_are_of_the_first_images_with_room_for_a_crop(refs):
    assert [place.name for place in hardest_places(refs, 2, 4)] == ["a", "c"]
    assert [place.name for place in hardest_places(refs[::-1], 1, 4)] == ["a"]
    with pytest.raises(InputError, match="places is 3"):
        hardest_places(refs, 3, 4)


def test_a_radius_holds_its_part():
    shares = np.zeros((9, 11))
    shares[4, 5], shares[4, 8], shares[0, 5] = 0.5, 0.3, 0.2
    assert [radius(shares, 4, 5, held) for held in (0.2, 0.5, 0.6, 0.8, 0.9)] == [0, 0, 3, 3, 4]
    even = np.full((101, 101), 1 / 101**2)
    assert radius(even, 50, 50, 0.5) == pytest.approx(101 / np.sqrt(2 * np.pi), rel=0.01)
    assert np.isnan(radius(np.full((3, 3), np.nan), 1, 1, 0.5))


def test_attention_reaches_farther_than_convolutions(refs, monkeypatch):
    monkeypatch.setattr(reach, "STEPS", 1)
    places, device = hardest_places(refs, 2, 4), torch.device("cpu")
    convolutions, everywhere = (
        measure_reach(build(name, 4, 0, channels=8, groups=1, blocks=1).eval(), places, 4, device)
        for name in ("no_attention", "trunk_nla")
    )
    assert convolutions["name"].tolist() == ["a", "c"] and tuple(convolutions[["row", "col"]].iloc[0]) == HARD
    for table in (convolutions, everywhere):
        assert (table["lam_50"] <= table["lam_90"]).all() and (table["erf_50"] <= table["erf_90"]).all()
        assert np.isfinite(table[["psnr_y", "gain_db"]]).all().all()
    assert convolutions["erf_90"].max() < 12
    assert (everywhere["diffusion_index"] > convolutions["diffusion_index"]).all()
