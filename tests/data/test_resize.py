import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kept import ROOT
from safetensors.torch import load_file

from srlab.data.resize import downscale, modcrop, upscale
from srlab.errors import InputError

GOLDEN = {
    name: tensor.permute(2, 0, 1)
    for name, tensor in load_file(ROOT / "tests" / "golden" / "matlab_imresize.safetensors").items()
}
quickly = settings(max_examples=30)
scales = st.sampled_from([1, 2, 3, 4, 8])


@st.composite
def images(draw, multiple_of=1):
    height, width = (multiple_of * draw(st.integers(1, 9)) for _ in range(2))
    return torch.from_numpy(draw(arrays(np.uint8, (3, height, width))))


def matrix(side, ratio):
    """MATLAB's weights along one side, from its definition; a row for each output pixel."""
    out = round(side * ratio)
    stretch = max(1, 1 / ratio)
    centres = (np.arange(out) + 0.5) / ratio - 0.5
    positions = np.arange(-4 * side - 40, 5 * side + 40)
    x = np.abs(centres[:, None] - positions) / stretch
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x <= 2, far, 0))
    weights /= weights.sum(1, keepdims=True)
    folded = np.zeros((out, side))
    mirror = np.concatenate([np.arange(side), np.arange(side)[::-1]])
    for column, position in enumerate(positions):
        folded[:, mirror[position % (2 * side)]] += weights[:, column]
    return folded


def assert_resized(got, image, ratio):
    rows, columns = (matrix(side, ratio) for side in image.shape[1:])
    exact = np.clip(rows @ image.double().numpy() @ columns.T, 0, 255)
    assert got.dtype == torch.uint8 and got.shape == exact.shape
    assert np.abs(got.numpy() - exact).max() <= 0.5 + 1e-9  # rounded to nearest, either way at a tie


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_golden_vectors_of_matlab(scale):
    """The file holds shrunk images whole, and the bottom left corner of each enlarged one."""
    lr, corner = GOLDEN[f"lr_x{scale}"], GOLDEN[f"bicubic_up_x{scale}"]
    height, width = corner.shape[1:]
    for got, expected in ((downscale(GOLDEN["hr"], scale), lr), (upscale(lr, scale)[:, -height:, :width], corner)):
        difference = (got.int() - expected.int()).abs()
        assert difference.max() <= 1 and difference.count_nonzero() <= 3


@quickly
@given(scale=scales, data=st.data())
def test_both_are_matlab_s_definition(scale, data):
    image = data.draw(images(multiple_of=scale))
    assert_resized(downscale(image, scale), image, 1 / scale)
    image = data.draw(images())
    assert_resized(upscale(image, scale), image, scale)


@given(sides=st.tuples(st.integers(1, 40), st.integers(1, 40)), scale=scales)
def test_modcrop_keeps_the_largest_multiple(sides, scale):
    image = torch.arange(3 * sides[0] * sides[1]).reshape(3, *sides).to(torch.uint8)
    if min(sides) < scale:
        with pytest.raises(InputError, match=f"{sides[1]}×{sides[0]}"):
            modcrop(image, scale)
        return
    cropped = modcrop(image, scale)
    _, height, width = cropped.shape
    assert (height, width) == tuple(side // scale * scale for side in sides)
    assert torch.equal(cropped, image[:, :height, :width])


@pytest.mark.parametrize("function", [modcrop, downscale, upscale])
def test_bad_scales_are_refused(function):
    for scale in (0, -2):
        with pytest.raises(InputError, match=f"scale {scale}"):
            function(GOLDEN["hr"], scale)
    if function is downscale:
        with pytest.raises(InputError, match="241×240"):
            downscale(torch.zeros(3, 240, 241, dtype=torch.uint8), 2)
