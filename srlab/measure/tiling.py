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
    """Enlarge each tile of an image with its surroundings, and keep of each result the tile alone.

    For a network that is convolutional this is what `enlarge(image)` gives, if `overlap` is at least as far
    as an output pixel sees, and `tile` and `overlap` are multiples of whatever grid the network has.
    Attention that sees farther sees only the tile and its surroundings; `deviation` measures what that does.

    Parameters
    ----------
    enlarge : callable
        Maps [c, h, w] to [c, scale * h, scale * w]. It is given (tile + 2 * overlap)² pixels at most.
    image : Shaped[Tensor, "c h w"]
        Of any dtype.
    scale : int
    tile : int
        Side of a tile, in pixels of `image`.
    overlap : int
        Pixels around the tile that are given with it, fewer at the edges of the image.

    Returns
    -------
    Shaped[Tensor, "c H W"]
        Of the dtype that `enlarge` returns.

    Raises
    ------
    InputError
        If `tile` is below 1 or `overlap` below 0.
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
    """Measure what tiling changes, on the middle of an image, twice as wide and high as what a tile sees.

    Parameters
    ----------
    enlarge, image, scale, tile, overlap
        As in `tiled`; 8 or 16 bits a channel. `enlarge` is given up to four times the pixels that a tile
        has with its surroundings.

    Returns
    -------
    (height, width) : tuple of int
        Of the part of `image` that was enlarged both ways, in its pixels.
    levels : float
        The largest difference, in levels of 255.
    psnr : float
        Of the tiled result against the whole one, dB over all channels; `inf` if they are equal.
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
