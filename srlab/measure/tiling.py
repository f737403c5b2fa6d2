"""Enlarge a large image tile by tile, so that memory is bounded by the tile."""

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor
from tqdm.auto import tqdm

from srlab.errors import InputError

OVERLAP = 32  # LR pixels; a multiple of the windows of most networks, so that windows of tiles and image agree

Enlarge = Callable[[Shaped[Tensor, "c h w"]], Shaped[Tensor, "c H W"]]


def tiled(
    enlarge: Enlarge, image: Shaped[Tensor, "c h w"], scale: int, tile: int, overlap: int = OVERLAP
) -> Shaped[Tensor, "c H W"]:
    """Enlarge each tile of an image with its surroundings, and keep the tile alone.

    A convolutional network gives the same as on the whole image, if `overlap` covers its receptive field and `tile`
    and `overlap` are multiples of its grid. Attention that reaches farther is cut off; `deviation` measures the effect.
    `enlarge` is called with (tile + 2 * overlap)² pixels at most. A tile below 1 or overlap below 0 is an InputError.
    """
    if tile < 1 or overlap < 0:
        raise InputError(f"tile {tile} with an overlap of {overlap} pixels: at least 1 and at least 0 are expected")
    channels, height, width = image.shape
    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    whole = None
    for top, left in tqdm(corners, desc="tiles", unit="tile", leave=False, disable=len(corners) == 1):
        above, before = min(top, overlap), min(left, overlap)
        seen = image[:, top - above : top + tile + overlap, left - before : left + tile + overlap]
        enlarged = enlarge(seen)[:, scale * above :, scale * before :]
        if whole is None:
            whole = torch.empty(channels, scale * height, scale * width, dtype=enlarged.dtype)
        bottom, right = scale * min(top + tile, height), scale * min(left + tile, width)
        rows, columns = slice(scale * top, bottom), slice(scale * left, right)
        whole[:, rows, columns] = enlarged[:, : bottom - scale * top, : right - scale * left]
    return whole


def deviation(
    enlarge: Enlarge, image: Shaped[Tensor, "c h w"], scale: int, tile: int, overlap: int = OVERLAP
) -> tuple[tuple[int, int], float, float]:
    """Measure what tiling changes, on the middle of an image of 8 or 16 bits, twice a tile with its surroundings.

    Return height and width of the middle in pixels of `image`; the largest difference, in levels of 255; the PSNR (dB)
    of the tiled result against the whole one, `inf` if they are equal.
    """
    _, height, width = image.shape
    seen = tile + 2 * overlap
    top, left = (max(0, side // 2 - seen) for side in (height, width))
    part = image[:, top : top + 2 * seen, left : left + 2 * seen]
    largest = torch.iinfo(image.dtype).max
    error = tiled(enlarge, part, scale, tile, overlap).double() - enlarge(part).double()
    error *= 255 / largest
    psnr = float(10 * torch.log10(255**2 / error.square().mean()))
    return (part.shape[1], part.shape[2]), float(error.abs().max()), psnr
