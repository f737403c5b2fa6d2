"""Images to look at: LR and HR, their middle, their strongest corners, what networks make of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from skimage.feature import corner_peaks, corner_shi_tomasi
from torch import Tensor, nn

from srlab.data.resize import downscale, modcrop
from srlab.data.sources import ImageRef
from srlab.looking.recall import RecallRef
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality, luma

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


def restored(
    networks: dict[str, nn.Module | None], ref: ImageRef, scale: int, side: int
) -> list[tuple[str, UInt8[np.ndarray, "_h _w 3"]]]:
    """An image as networks restore it, around its strongest corner.

    Parameters
    ----------
    networks : dict
        By the name to show; None is bicubic interpolation.
    ref : ImageRef
        The HR image.
    scale : int
    side : int
        Of the part to show, in LR pixels.

    Returns
    -------
    list of (str, array)
        HR first, then each network's with the Y-PSNR (dB) of the whole image.
    """
    lr, hr = pair(ref, scale)
    [(row, col)] = corners(lr, 1)
    top, left = (
        scale * min(max(0, at - side // 2), max(0, length - side))
        for at, length in ((row, lr.shape[1]), (col, lr.shape[2]))
    )

    def part(image: UInt8[Tensor, "3 sh sw"]) -> UInt8[np.ndarray, "_h _w 3"]:
        return picture(image[:, top : top + scale * side, left : left + scale * side])

    parts = [(f"{ref.name}: HR", part(hr))]
    for name, network in networks.items():
        sr = super_resolve(network, lr, scale)
        parts.append((f"{name}: {image_quality(sr, hr, scale)['psnr_y']:.2f} dB", part(sr)))
    return parts
