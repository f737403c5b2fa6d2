"""Images to look at: LR and HR, their middle, and their strongest corners."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from skimage.feature import corner_peaks, corner_shi_tomasi
from torch import Tensor

from srlab.data.resize import downscale, modcrop
from srlab.data.sources import ImageRef
from srlab.measure.metrics import luma

class TaskImage(ImageRef):
    """An image of a chapter's own task; stub until merged."""


RecallRef = TaskImage
#: Largest side, in LR pixels, of what is shown of an image: dense attention takes the square of its area.
SIDE = 128


def pair(ref: ImageRef, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
    """LR and HR of an image, as `srlab.measure.evaluation.evaluate` makes them; a recall image has its own LR."""
    if isinstance(ref, RecallRef):
        return ref.pair(scale)
    hr = modcrop(ref.read(), scale)
    return downscale(hr, scale), hr


def centre(image: UInt8[Tensor, "3 _h _w"], side: int = SIDE) -> UInt8[Tensor, "3 h w"]:
    """The middle of an image, at most `side` pixels a side."""
    top, left = (max(0, length - side) // 2 for length in image.shape[1:])
    return image[:, top : top + side, left : left + side]


def picture(image: UInt8[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """An image as drawing wants it."""
    return image.permute(1, 2, 0).numpy()


def corners(lr: UInt8[Tensor, "3 h w"], count: int) -> list[tuple[int, int]]:
    """(row, column) of the strongest corners, at least an eighth of the shorter side apart and from the edge.

    These are structured places chosen by no one's taste: peaks of the Shi–Tomasi measure of Y at σ = 2. Where
    there is none, it is the middle.
    """
    apart = max(1, min(lr.shape[1:]) // 8)
    strength = corner_shi_tomasi(luma(lr.double()).numpy(), sigma=2)
    peaks = corner_peaks(strength, min_distance=apart, exclude_border=apart, num_peaks=count)
    return [(int(row), int(col)) for row, col in peaks] or [(lr.shape[1] // 2, lr.shape[2] // 2)]


def differ(sr: UInt8[Tensor, "3 h w"], hr: UInt8[Tensor, "3 h w"]) -> tuple[Float[np.ndarray, "h w"], float]:
    """Y of SR less Y of HR, in levels of 255, and the Y-PSNR (dB, Y rounded, no border left out) of what is given."""
    difference = (luma(sr.double()).round() - luma(hr.double()).round()).numpy()
    mean = np.square(difference).mean()
    return difference, float(10 * np.log10(255**2 / mean)) if mean else float("inf")
