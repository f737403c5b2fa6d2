"""Tiles: without effect where the overlap covers what a network sees, measured where it does not."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.tiling import deviation, tiled
from srlab.models import build

STATUS = Path("/proc/self/status")
IMAGE = embedded().benchmarks["held-out"][0].read()


def convolutional(scale=2, layers=3):
    """A network of 3×3 convolutions alone: an output pixel sees `layers` LR pixels to each side."""
    torch.manual_seed(0)
    channels = pairwise([3, *[8] * (layers - 1), 3 * scale**2])
    network = nn.Sequential(*(nn.Conv2d(*ab, 3, padding=1) for ab in channels), nn.PixelShuffle(scale)).double()
    return lambda image: network(image[None])[0].detach()


@given(height=st.integers(1, 40), width=st.integers(1, 40), tile=st.integers(1, 45), overlap=st.integers(3, 9))
@settings(max_examples=40)
def test_a_convolutional_network_does_not_notice_tiles_if_the_overlap_covers_what_it_sees(height, width, tile, overlap):
    enlarge = convolutional()
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(tiled(enlarge, image, 2, tile, overlap), enlarge(image), atol=1e-13, rtol=0)


@pytest.mark.parametrize("overlap", [0, 2])
def test_an_overlap_that_is_too_small_shows(overlap):
    image, enlarge = torch.rand(3, 40, 40, dtype=torch.float64), convolutional()
    assert not torch.allclose(tiled(enlarge, image, 2, 16, overlap), enlarge(image), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_bicubic_by_tiles_is_bicubic(dtype):
    image = (IMAGE[:, :70, :90].double() * (torch.iinfo(dtype).max / 255)).to(dtype)
    whole = super_resolve(None, image, 3)
    assert whole.dtype == dtype and torch.equal(super_resolve(None, image, 3, tile=32), whole)


def test_deviation_is_that_of_the_middle_and_in_levels():
    def by_mean(image):  # sees everything, so that every tile has another mean
        mean = image.double().mean().round().to(image.dtype)
        return torch.full_like(image, int(mean)).repeat_interleave(2, 1).repeat_interleave(2, 2)

    size, levels, psnr = deviation(by_mean, IMAGE, 2, tile=40, overlap=4)
    middle = IMAGE[:, 72:168, 72:168]
    difference = (tiled(by_mean, middle, 2, 40, 4).double() - by_mean(middle).double()).abs()
    assert size == (96, 96) and levels == difference.max() > 0
    assert psnr == pytest.approx(float(10 * torch.log10(255**2 / difference.square().mean())))
    assert deviation(by_mean, (IMAGE.int() * 257).to(torch.uint16), 2, 40, 4)[1] == pytest.approx(levels, abs=1)


@pytest.mark.parametrize(("model", "least", "most"), [("no_attention", 0, 1e-12), ("trunk_nla", 1e-7, 0.1)])
def test_only_attention_that_sees_the_whole_image_notices_tiles(model, least, most):
    network = build(model, 2, seed=0, channels=8, groups=1, blocks=1).double().eval()
    image = torch.rand(3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        whole = network(image[None])[0]
        by_tiles = tiled(lambda part: network(part[None])[0], image, 2, tile=16, overlap=8)
    assert least <= (by_tiles - whole).abs().max() < most


@pytest.mark.parametrize(("tile", "overlap"), [(0, 4), (-3, 4), (8, -1)])
def test_bad_sizes_are_refused(tile, overlap):
    with pytest.raises(InputError, match=f"tile {tile} .*{overlap}"):
        tiled(lambda image: image, IMAGE, 1, tile, overlap)


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.is_file(), reason="needs Linux, which tells a process's own peak")
def test_memory_is_bounded_by_the_tile():
    """Four times the pixels cost no more than their own bytes, and far less than the untiled image."""
    code = """
import multiprocessing, torch
from srlab.measure.evaluation import super_resolve
from srlab.models import build
network = build("esc_light", 2, seed=0, blocks=1, pairs=1)
def peak(side, tile):
    super_resolve(network, torch.zeros(3, side, side, dtype=torch.uint8), 2, tile=tile, overlap=8)
    print(*[int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:")])
for case in ((192, 64), (384, 64), (384, None)):
    process = multiprocessing.get_context("fork").Process(target=peak, args=case)
    process.start()
    process.join()
"""
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    small, large, whole = map(float, found.split())  # VmHWM is a process's own peak; ru_maxrss begins with its parent's
    assert large - small < 100  # MiB; runs differ by some tens, and images and results by 3
    assert whole - large > 110
