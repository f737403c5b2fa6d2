"""SSCAN: its class, its layers, and its fast path."""

import pytest
import torch

from srlab.attention import FGCA
from srlab.measure.profiling import count_parameters
from srlab.models import build


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_sscan_is_a_lightweight_network(scale):
    assert 0.6e6 < count_parameters(build("sscan", scale)) < 1.05e6


def test_sscan_has_the_documented_size():
    assert round(count_parameters(build("sscan", 4)) / 1e6, 2) == 0.92


def test_its_layers_are_fgca():
    layers = build("sscan", 2, channels=8, blocks=2).non_local_layers()
    assert len(layers) == 4
    assert all(isinstance(layer, FGCA) for layer in layers)


def test_fast_and_reference_paths_give_the_same_image():
    x = torch.rand(1, 3, 13, 18, dtype=torch.float64)
    images = [
        build("sscan", 3, seed=0, channels=8, blocks=1, side=4, top=3, backend=backend).double().eval()(x)
        for backend in ("fused", "reference")
    ]
    torch.testing.assert_close(*images, rtol=0, atol=1e-12)
