"""The one step from features to an image equals convolutions and pixel shuffles one after another."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mechanisms import assert_same
from torch.nn.functional import conv2d, pixel_shuffle

from srlab.models import upsampler
from srlab.models.upsampler import REACH, Upsampler, conv3x3, enlarge, folded, one_by_one

CHANNELS = 5


def made(scale: int) -> list[torch.nn.Module]:
    torch.manual_seed(scale)
    return [*Upsampler(CHANNELS, scale).double(), conv3x3(CHANNELS, 3).double()]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@given(height=st.integers(3, 11), width=st.integers(3, 11), images=st.integers(1, 2))
@settings(max_examples=15)
def test_image_and_gradients_are_those_of_the_layers(scale: int, height: int, width: int, images: int) -> None:
    layers = made(scale)
    features = torch.randn(images, CHANNELS, height, width, dtype=torch.double, requires_grad=True)
    inputs = [features, *(p for layer in layers for p in layer.parameters())]
    ways = {"one step": lambda: enlarge(layers, features, scale), "layers": lambda: one_by_one(layers, features)}
    with patch.object(upsampler, "FROM", 0):
        assert_same(lambda way: ways[way](), ways, inputs, rtol=1e-7, atol=1e-7)


def test_one_convolution_is_enough_except_at_the_edges() -> None:
    layers, scale = made(4), 4
    features = torch.randn(1, CHANNELS, 9, 9, dtype=torch.double)
    weight, bias = folded(layers, scale)
    assert weight.shape == (3 * scale**2, CHANNELS, 2 * REACH + 1, 2 * REACH + 1)
    off = (pixel_shuffle(conv2d(features, weight, bias, padding=REACH), scale) - one_by_one(layers, features)).abs()
    assert off[..., scale:-scale, scale:-scale].max() < 1e-12
    assert off[..., 0, :].min() > 1e-6


def test_small_maps_are_enlarged_layer_by_layer_and_autocast_folds_in_full_precision() -> None:
    layers = [layer.float() for layer in made(4)]
    features = torch.randn(1, CHANNELS, upsampler.FROM - 1, upsampler.FROM)
    assert torch.equal(enlarge(layers, features, 4), one_by_one(layers, features))
    features = torch.randn(1, CHANNELS, upsampler.FROM, upsampler.FROM)
    with torch.autocast("cpu", torch.bfloat16):
        half = enlarge(layers, features, 4)
    whole = one_by_one(layers, features)
    assert (half - whole).abs().max() < 0.02 * whole.abs().max()
