"""Ways to make LR images: each against what it is said to be."""

import numpy as np
import pytest
import torch
from PIL import Image

from srlab.data.resize import downscale
from srlab.data.shrinking import SHRINKING
from srlab.data.sources import embedded

PHOTO = embedded().benchmarks["held-out"][0].read()[:, :96, :64]


def test_what_is_not_rounded_rounds_to_what_is():
    exact = SHRINKING["unrounded"].shrink(PHOTO, 4)
    assert exact.dtype == torch.uint16
    levels = exact.double() / 257
    assert (levels - downscale(PHOTO, 4).double()).abs().max() <= 0.51
    assert (levels - levels.round()).abs().max() > 0.4


def test_pillow_is_matlabs_inside_but_for_its_roundings():
    difference = (SHRINKING["pillow"].shrink(PHOTO, 4).int() - downscale(PHOTO, 4).int()).abs()
    assert difference[:, 2:-2, 2:-2].max() <= 1
    direct = Image.fromarray(PHOTO.permute(1, 2, 0).numpy()).resize((16, 24), Image.Resampling.BICUBIC)
    assert np.array_equal(SHRINKING["pillow"].shrink(PHOTO, 4).permute(1, 2, 0), np.asarray(direct))


def test_without_antialiasing_a_pattern_of_single_pixels_survives_as_it_falls():
    """Columns 0, 255, 0, 255 … shrink to grey, but to one of the two where only the nearest four are looked at."""
    stripes = torch.zeros(3, 32, 32, dtype=torch.uint8)
    stripes[..., 3::4] = 255
    grey, odd = downscale(stripes, 4)[:, 2:-2, 2:-2].double(), SHRINKING["opencv"].shrink(stripes, 4)[:, 2:-2, 2:-2]
    assert (grey - 255 / 4).abs().max() <= 1
    # Around the middle of pixels 1 and 2 the formula weighs −0.09375, 0.59375, 0.59375, −0.09375.
    assert odd.unique().tolist() == [0]
    stripes = stripes.roll(-1, -1)
    assert SHRINKING["opencv"].shrink(stripes, 4)[:, 2:-2, 2:-2].unique().tolist() == [round(0.59375 * 255)]


@pytest.mark.parametrize("name", SHRINKING)
def test_each_has_the_size_and_depth_that_it_reports(name):
    lr = SHRINKING[name].shrink(PHOTO, 2)
    assert lr.shape == (3, 48, 32) and 8 * lr.dtype.itemsize == SHRINKING[name].bits
