"""Which LR pixels a network used for the detail that it restored: local attribution maps (LAM).

J. Gu, C. Dong, "Interpreting super-resolution networks with local attribution maps", CVPR 2021.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from skimage.filters import gaussian
from torch import Tensor, nn

from srlab.analysis.sorting import gini
from srlab.errors import InputError

#: Standard deviation, in LR pixels, of the blur with which the path begins, as in the authors' demonstration.
BLUR = 1.2


def local_attribution(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], row: int, col: int, window: int = 8, steps: int = 20
) -> Float[np.ndarray, "h w"]:
    """How much each LR pixel contributed to the edges in a window of the SR image.

    Edges are D, the sum of gradient magnitudes in the window. From a blurred LR image, σ = `BLUR`, in which
    detail is missing, to the sharp one, σ falling evenly to 0, the gradient of D is integrated along the path
    (by the midpoint of each step). The contributions of all pixels and channels, with their signs, sum to the
    D of the sharp less that of the blurred image. A map of absolute contributions is given back.

    Parameters
    ----------
    network : nn.Module
        Maps Float[Tensor, "1 3 h w"] of 0 to 1; it is put in evaluation mode.
    lr : UInt8[Tensor, "3 h w"]
        0 to 255.
    row, col : int
        The LR pixel around whose SR pixels the window lies; at an edge it is moved inside.
    window : int
        Its side in SR pixels.
    steps : int
        Of the path; each is a forward and a backward pass.

    Returns
    -------
    Float[np.ndarray, "h w"]
        Absolute contributions summed over channels, as shares of one; not a number if there is none.

    Raises
    ------
    InputError
        If the pixel is not in the image, the window does not fit into the SR image, or there is no step.
    """
    return _shares(contributions(network, lr, row, col, window, steps))


def contributions(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], row: int, col: int, window: int = 8, steps: int = 20
) -> Float[np.ndarray, "3 h w"]:
    """The same before absolute values and sums: what each value of the LR image added to D.

    Raises
    ------
    InputError
        As `local_attribution` does.
    """
    _, height, width = lr.shape
    if not (0 <= row < height and 0 <= col < width):
        raise InputError(
            f"pixel (row {row}, column {col}) is outside the LR image: rows are 0 to {height - 1}, "
            f"columns 0 to {width - 1}"
        )
    if steps < 1:
        raise InputError(f"steps is {steps}; at least 1 is expected")
    network.eval()
    device = next(network.parameters()).device
    sharp = lr.double().numpy() / 255
    path = [_blurred(sharp, sigma) for sigma in np.linspace(BLUR, 0, 2 * steps + 1)]
    total = np.zeros_like(sharp)
    for before, middle, after in zip(path[:-1:2], path[1::2], path[2::2], strict=True):
        image = torch.from_numpy(middle).float()[None].to(device).requires_grad_()
        [gradient] = torch.autograd.grad(edges(network(image), height, row, col, window), image)
        total += gradient[0].double().cpu().numpy() * (after - before)
    return total


def edges(sr: Float[Tensor, "1 3 sh sw"], lr_height: int, row: int, col: int, window: int) -> Float[Tensor, ""]:
    """D: the magnitude of differences with the next pixel below and to the right, summed over the window.

    Parameters
    ----------
    sr : Float[Tensor, "1 3 sh sw"]
    lr_height : int
        h, which tells the scale.
    row, col, window : int
        As in `local_attribution`.

    Raises
    ------
    InputError
        If the window, and one pixel below and to its right, does not fit into the SR image.
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
    # The root has no derivative at zero, where neighbours are equal.
    return (down.square() + right.square() + 1e-12).sqrt().sum()


def diffusion_index(attribution: Float[np.ndarray, "h w"]) -> float:
    """How widely contributions are spread: (1 − Gini coefficient) · 100.

    Parameters
    ----------
    attribution : Float[np.ndarray, "h w"]
        As of `local_attribution`.

    Returns
    -------
    float
        100 if all n pixels contribute alike, 100/n if one alone does. It depends on the size of the image:
        compare networks on the same one.
    """
    return 100 * (1 - gini(attribution.ravel().astype(float)))


def radius(shares: Float[np.ndarray, "h w"], row: int, col: int, held: float) -> float:
    """How far from a pixel one must go to find a part of what is attributed.

    Parameters
    ----------
    shares : Float[np.ndarray, "h w"]
        As of `local_attribution` or `srlab.analysis.layers.receptive_field`; they sum to one.
    row, col : int
        The pixel.
    held : float
        The part, 0 to 1.

    Returns
    -------
    float
        Pixels: the least distance within which pixels, by their centres, hold the part. Not a number where shares are
        none.
    """
    distance = np.hypot(*np.ogrid[-row : shares.shape[0] - row, -col : shares.shape[1] - col]).ravel()
    order = np.argsort(distance, kind="stable")
    within = np.cumsum(shares.ravel()[order].astype(float))
    if not np.isfinite(within[-1]):
        return float("nan")
    return float(distance[order][np.searchsorted(within, held * within[-1])])


def _shares(signed: Float[np.ndarray, "3 h w"]) -> Float[np.ndarray, "h w"]:
    magnitude = np.abs(signed).sum(0)
    with np.errstate(invalid="ignore"):
        return magnitude / magnitude.sum()


def _blurred(image: Float[np.ndarray, "3 h w"], sigma: float) -> Float[np.ndarray, "3 h w"]:
    return gaussian(image, sigma, mode="reflect", channel_axis=0) if sigma else image
