"""PSNR and SSIM against the formulas of their papers and against known errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr

from srlab.data.images import read_image
from srlab.data.photographs import FOLDER
from srlab.errors import InputError
from srlab.measure.metrics import image_quality, luma, psnr, ssim

PHOTO = read_image(FOLDER / "chelsea.png")[:, 60:140, 100:200]


def noisy(image, sigma=12):
    noise = torch.randn(image.shape, generator=torch.manual_seed(0)) * sigma
    return (image + noise).round().clamp(0, 255).to(torch.uint8)


def ssim_of_the_paper(a, b):
    """Compute the SSIM of one plane, window by window."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    p, q = (np.lib.stride_tricks.sliding_window_view(plane, (11, 11)) for plane in (a, b))
    mp, mq = ((window * x).sum((2, 3), keepdims=True) for x in (p, q))
    vp, vq, covariance = (
        (window * x * y).sum((2, 3), keepdims=True) for x, y in ((p - mp, p - mp), (q - mq, q - mq), (p - mp, q - mq))
    )
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * mp * mq + c1) * (2 * covariance + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))


def test_luma_is_bt_601_in_studio_swing():
    rgb = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]).double()
    expected = torch.tensor([16, 235, 81.481, 144.553, 40.966]).double()
    torch.testing.assert_close(luma(rgb.T[:, :, None])[:, 0], expected)
    np.testing.assert_allclose(luma(PHOTO.double()), rgb2ycbcr(PHOTO.numpy(), channel_axis=0)[0], atol=1e-9)
    assert luma(PHOTO.float().expand(2, 4, -1, -1, -1)).shape == (2, 4, 80, 100)


def test_psnr_of_a_known_error():
    a = torch.full((3, 6, 8), 100.0)
    assert psnr(a, a + 1, 0) == pytest.approx(48.130803608679)
    assert psnr(a, a - 10, 2) == pytest.approx(28.130803608679)
    assert psnr(torch.zeros(4, 4), torch.full((4, 4), 255.0), 0) == 0


def test_ssim_is_the_paper_s():
    a, b = PHOTO[:, :24, :30], noisy(PHOTO)[:, :24, :30]
    expected = [ssim_of_the_paper(p, q) for p, q in zip(a.double().numpy(), b.double().numpy(), strict=True)]
    assert 0.3 < expected[0] < 0.95
    assert ssim(a[0], b[0], 0) == pytest.approx(expected[0], abs=1e-9)
    assert ssim(a, b, 0) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_border_does_not_count_and_the_rest_does(scale):
    assert set(image_quality(PHOTO, PHOTO.clone(), scale).values()) == {1, math.inf}
    sr = noisy(PHOTO, 60)
    sr[:, scale:-scale, scale:-scale] = PHOTO[:, scale:-scale, scale:-scale]
    assert image_quality(sr, PHOTO, scale)["psnr_rgb"] == math.inf
    sr[:, scale, scale] ^= 128
    quality = image_quality(sr, PHOTO, scale)
    assert quality["psnr_y"] < math.inf and quality["ssim_rgb"] < 1


@settings(max_examples=20)
@given(sigma=st.floats(0.5, 60), border=st.integers(0, 8))
def test_metrics_are_symmetric_bounded_and_fall_with_noise(sigma, border):
    other, worse = noisy(PHOTO, sigma), image_quality(noisy(PHOTO, 4 * sigma), PHOTO, border)
    assert psnr(PHOTO, other, border) == psnr(other, PHOTO, border) > 0
    assert ssim(PHOTO, other, border) == pytest.approx(ssim(other, PHOTO, border), abs=1e-12)
    assert -1 <= ssim(PHOTO, other, border) < 1
    assert all(value > worse[name] for name, value in image_quality(other, PHOTO, border).items())


def test_y_rounding_is_the_only_difference_between_conventions():
    sr = noisy(PHOTO, 3)
    matlab, none = image_quality(sr, PHOTO, 2), image_quality(sr, PHOTO, 2, "none")
    assert matlab["psnr_rgb"] == none["psnr_rgb"] and matlab["ssim_rgb"] == none["ssim_rgb"]
    y_sr, y_hr = (torch.from_numpy(rgb2ycbcr(x.numpy(), channel_axis=0)[0]) for x in (sr, PHOTO))
    assert none["psnr_y"] == pytest.approx(psnr(y_sr, y_hr, 2))
    assert matlab["psnr_y"] == pytest.approx(psnr(y_sr.round(), y_hr.round(), 2))
    squared_error = [255**2 / 10 ** (quality["psnr_y"] / 10) for quality in (matlab, none)]
    # rounding each of two values adds a variance of 1/12
    assert squared_error[0] - squared_error[1] == pytest.approx(1 / 6, rel=0.2)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"100×79 .*100×80"):
        image_quality(PHOTO[:, :79], PHOTO, 2)
    with pytest.raises(InputError, match="y_rounding 'up'"):
        image_quality(PHOTO, PHOTO, 2, "up")
    with pytest.raises(InputError, match=r"100×18 .*19×19"):
        image_quality(PHOTO[:, :18], PHOTO[:, :18], 4)
    assert image_quality(PHOTO[:, :19], PHOTO[:, :19], 4)["ssim_y"] == 1
