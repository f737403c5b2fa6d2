"""Self-similarity against its definition."""

import numpy as np
import pytest
import torch

from srlab.chapters.released.similarity import SIDE, self_similarity
from srlab.errors import InputError
from srlab.measure.metrics import luma


def noise(seed=0):
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8))


def test_exact_repeats_are_wholly_self_similar_and_noise_is_hardly():
    repeated = noise()[:, :31, :31].repeat(1, 7, 7)[:, :SIDE, :SIDE]
    assert self_similarity(repeated) == pytest.approx(1, abs=1e-9)
    assert 0 <= self_similarity(noise()) < 0.3
    assert self_similarity(torch.full((3, 64, 64), 9, dtype=torch.uint8)) == 1


def test_repeats_must_be_far():
    """A patch's repeat nearer than 12 pixels does not count, its repeat at 12 does."""
    random = np.random.default_rng(1)

    def doubled(shift):
        """Noise in which rows come in runs of `2 * shift`, the second half of a run as the first."""
        runs = random.integers(0, 256, (3, SIDE // (2 * shift) + 1, shift, SIDE), dtype=np.uint8)
        return torch.from_numpy(np.concatenate([runs, runs], 2).reshape(3, -1, SIDE)[:, :SIDE].copy())

    near, far = self_similarity(doubled(11)), self_similarity(doubled(24))
    assert near < 0.3 < 0.6 < far


def test_self_similarity_by_its_definition():
    """Oracle: the definition, patch by patch, on a small image."""
    hr = noise(3)[:, :40, :35]
    hr[:, 20:38, 17:34] = hr[:, :18, :17]
    y = luma(hr.double()).numpy()
    every = {
        (row, col): y[row : row + 7, col : col + 7] - y[row : row + 7, col : col + 7].mean()
        for row in range(34)
        for col in range(29)
    }
    residual = variance = 0
    for row in range(0, 34, 6):
        for col in range(0, 29, 6):
            own = every[row, col]
            far = [p for (r, c), p in every.items() if max(abs(r - row), abs(c - col)) >= 12]
            residual += min(((own - patch) ** 2).sum() for patch in far)
            variance += (own**2).sum()
    assert self_similarity(hr) == pytest.approx(1 - residual / variance, rel=1e-6)


def test_brightness_does_not_matter():
    dark = (noise(5) // 2).clone()
    dark[:, 100:150, 100:150] = dark[:, 10:60, 20:70]
    assert self_similarity(dark + 60) == pytest.approx(self_similarity(dark), abs=1e-6)


def test_the_middle_is_measured_and_small_images_are_refused():
    hr = noise()
    larger = torch.zeros(3, SIDE + 100, SIDE + 60, dtype=torch.uint8)
    larger[:, 50 : 50 + SIDE, 30 : 30 + SIDE] = hr
    assert self_similarity(larger) == self_similarity(hr)
    with pytest.raises(InputError, match="40×30"):
        self_similarity(hr[:, :30, :40])
