"""Local attribution maps (LAM): the contribution of each LR pixel to the detail that a network restored.

J. Gu, C. Dong, "Interpreting super-resolution networks with local attribution maps", CVPR 2021.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import skimage  # and not its `filters`, which takes a second and is loaded when first used
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from srlab.analysis.layers import check_pixel
from srlab.analysis.sorting import gini
from srlab.errors import InputError

#: Standard deviation (LR pixels) of the blur at the start of the path, as in the authors' demonstration.
BLUR = 1.2


def local_attribution(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], row: int, col: int, window: int = 8, steps: int = 20
) -> Float[np.ndarray, "h w"]:
    """Return the absolute contribution of each LR pixel to the edges in a window of the SR image, as shares of one.

    Edges are D, the sum of gradient magnitudes in the window. The gradient of D is integrated along a path from a
    blurred LR image (σ = `BLUR`) to the sharp one, σ falling evenly to 0, by the midpoint of each step. Signed
    contributions sum to the difference of D between the two ends. The map is NaN if there are none. A pixel outside
    the image, a window that does not fit into the SR image, or `steps` below 1 raises InputError.

    The network maps Float[Tensor, "1 3 h w"] of 0 to 1; it is put in evaluation mode. The LR pixel (row, col) is in the
    middle of the window, of `window` SR pixels a side; at an edge the window is moved inside. Each of the `steps` of
    the path is a forward and a backward pass.
    """
    magnitude = np.abs(contributions(network, lr, row, col, window, steps)).sum(0)
    with np.errstate(invalid="ignore"):
        return magnitude / magnitude.sum()


def contributions(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], row: int, col: int, window: int = 8, steps: int = 20
) -> Float[np.ndarray, "3 h w"]:
    """Return the signed contribution of each value of the LR image to D; see `local_attribution`."""
    check_pixel(row, col, *lr.shape[1:])
    if steps < 1:
        raise InputError(f"steps is {steps}; at least 1 is expected")
    network.eval()
    device = next(network.parameters()).device
    sharp = lr.double().numpy() / 255
    blur = partial(skimage.filters.gaussian, sharp, mode="reflect", channel_axis=0)
    path = [blur(sigma) if sigma else sharp for sigma in np.linspace(BLUR, 0, 2 * steps + 1)]
    total = np.zeros_like(sharp)
    for before, middle, after in zip(path[:-1:2], path[1::2], path[2::2], strict=True):
        image = torch.from_numpy(middle).float()[None].to(device).requires_grad_()
        [gradient] = torch.autograd.grad(edges(network(image), lr.shape[1], row, col, window), image)
        total += gradient[0].double().cpu().numpy() * (after - before)
    return total


def edges(sr: Float[Tensor, "1 3 sh sw"], lr_height: int, row: int, col: int, window: int) -> Float[Tensor, ""]:
    """Return D: the magnitude of differences with the next pixel below and to the right, summed over the window.

    The scale is sh / `lr_height`. The window needs one pixel below and to its right; see `local_attribution`.
    """
    scale = sr.shape[2] // lr_height
    least = min(sr.shape[2:]) - 1
    if not 1 <= window <= least:
        raise InputError(f"window is {window}; 1 to {least} is expected for this image")
    top, left = (
        min(max(0, scale * at + (scale - window) // 2), length - 1 - window)
        for at, length in ((row, sr.shape[2]), (col, sr.shape[3]))
    )
    part = sr[..., top : top + window + 1, left : left + window + 1]
    down, right = part.diff(dim=2)[..., :-1], part.diff(dim=3)[..., :-1, :]
    # Without the constant the root has no derivative where neighbours are equal.
    return (down.square() + right.square() + 1e-12).sqrt().sum()


def diffusion_index(attribution: Float[np.ndarray, "h w"]) -> float:
    """Return (1 − Gini coefficient) · 100 of a `local_attribution` map of n pixels.

    It is 100 for equal contributions and 100/n for a single contributing pixel. It depends on the image's size, so
    only networks on the same image are comparable.
    """
    return 100 * (1 - gini(attribution.ravel().astype(float)))


def radius(shares: Float[np.ndarray, "h w"], row: int, col: int, held: float) -> float:
    """Return the least distance (pixels) from a pixel within which pixels, by their centres, hold a share of a map.

    `held` is that share (0 to 1) of a map of `local_attribution` or `receptive_field`. A map of NaN has radius NaN.
    """
    distance = np.hypot(*np.ogrid[-row : shares.shape[0] - row, -col : shares.shape[1] - col]).ravel()
    order = np.argsort(distance, kind="stable")
    within = np.cumsum(shares.ravel()[order].astype(float))
    if not np.isfinite(within[-1]):
        return float("nan")
    return float(distance[order][np.searchsorted(within, held * within[-1])])
