import numpy as np
import pytest
from torch import nn

from srlab.analysis.contrasts import contrast
from srlab.data.sources import embedded
from srlab.errors import InputError


class Lifted(nn.Module):
    """Bicubic, lighter by so much in a square of SR pixels."""

    def __init__(self, by: float, top: int, left: int, side: int):
        super().__init__()
        self.by, self.square = by, (..., slice(top, top + side), slice(left, left + side))

    def forward(self, lr):
        sr = nn.functional.interpolate(lr, scale_factor=2, mode="bicubic")
        sr[self.square] += self.by
        return sr


def test_networks_contrast_most_where_one_differs():
    networks = {"bicubic": None, "same": Lifted(0, 0, 0, 0), "lighter": Lifted(0.1, 40, 60, 40)}
    most = contrast(networks, embedded().benchmarks["held-out"][:2], 2, side=20)
    assert most.box == (40, 60, 40, 40) and list(most.made) == list(networks)
    assert most.spread == pytest.approx(0.1 * 219 / 2, abs=0.5)  # Y spans 219 levels
    lifted = most.made["lighter"].difference - most.made["same"].difference
    assert np.abs(lifted - 0.1 * 219).max() <= 2
    for made in most.made.values():
        assert made.psnr == pytest.approx(10 * np.log10(255**2 / np.square(made.difference).mean()))
    assert np.array_equal(most.hr, most.whole[40:80, 60:100])
    del networks["same"]  # a single network contrasts with bicubic
    alone = contrast(networks, embedded().benchmarks["held-out"][:1], 2, side=20)
    assert abs(alone.box[0] - 40) <= 2 and abs(alone.box[1] - 60) <= 2


@pytest.mark.parametrize(("networks", "images"), [({"bicubic": None, "one": None}, 0), ({"one": None}, 1)])
def test_too_few_are_refused(networks, images):
    with pytest.raises(InputError, match=f"{images} images, {len(networks)} networks"):
        contrast(networks, embedded().benchmarks["held-out"][:images], 2, side=20)
