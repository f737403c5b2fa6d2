"""Images to inspect: LR and HR, their middle, their strongest corners, and the parts where networks differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from skimage.feature import corner_peaks, corner_shi_tomasi
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import luma
from srlab.study.runs import Run
from srlab.study.study import Study

#: Largest side of an inspected image (LR pixels): the cost of dense attention is the square of its area.
SIDE = 128


@dataclass(frozen=True, kw_only=True)
class TaskImage(ImageRef, ABC):
    """An image of a chapter's own task, which defines its LR image, its queries and its networks.

    A chapter returns such images, by the name that people read, from its hook `scenes(study, settings)`.
    """

    path: Path = Path()

    @abstractmethod
    def pair(self, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
        """Return LR and HR."""

    @abstractmethod
    def read(self) -> UInt8[Tensor, "3 h w"]:
        """Return HR at ×2."""

    @abstractmethod
    def start(self) -> tuple[int, int]:
        """Return (row, column) of the query to show first, in LR pixels."""

    @abstractmethod
    def queries(self) -> tuple[list[int], list[int]]:
        """Return rows and columns of the explorer page's grid of queries, in LR pixels."""

    @abstractmethod
    def run(self, study: Study, model: str) -> Run:
        """Return the run that trains the network to inspect on this image."""


def pair(ref: ImageRef, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
    """Return LR and HR of an image, as `srlab.measure.evaluation.evaluate` makes them; a TaskImage has its own."""
    if isinstance(ref, TaskImage):
        return ref.pair(scale)
    hr = modcrop(ref.read(), scale)
    return downscale(hr, scale), hr


def centre(image: UInt8[Tensor, "3 _h _w"], side: int = SIDE) -> UInt8[Tensor, "3 h w"]:
    """Return the middle of an image, at most `side` pixels a side."""
    top, left = (max(0, length - side) // 2 for length in image.shape[1:])
    return image[:, top : top + side, left : left + side]


def picture(image: UInt8[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image in matplotlib's layout."""
    return image.permute(1, 2, 0).numpy()


def corners(lr: UInt8[Tensor, "3 h w"], count: int) -> list[tuple[int, int]]:
    """Return (row, column) of the strongest corners, an eighth of the shorter side or more apart and from the edge.

    Corners are peaks of the Shi–Tomasi measure of Y at σ = 2; an image without corners has its middle as the only one.
    """
    apart = max(1, min(lr.shape[1:]) // 8)
    strength = corner_shi_tomasi(luma(lr.double()).numpy(), sigma=2)
    peaks = corner_peaks(strength, min_distance=apart, exclude_border=apart, num_peaks=count)
    return [(int(row), int(col)) for row, col in peaks] or [(lr.shape[1] // 2, lr.shape[2] // 2)]


def differ(sr: UInt8[Tensor, "3 h w"], hr: UInt8[Tensor, "3 h w"]) -> tuple[Float[np.ndarray, "h w"], float]:
    """Return Y of SR minus Y of HR (levels of 255), and the Y-PSNR (dB, Y rounded, no border excluded)."""
    difference = (luma(sr.double()).round() - luma(hr.double()).round()).numpy()
    mean = np.square(difference).mean()
    return difference, float(10 * np.log10(255**2 / mean)) if mean else float("inf")


class Made(NamedTuple):
    """A network's SR of a part of an image, its difference from HR, and its PSNR, as `differ` computes them."""

    sr: UInt8[np.ndarray, "_h _w 3"]
    difference: Float[np.ndarray, "_h _w"]
    psnr: float


@dataclass(frozen=True)
class Part:
    """A part of an image and its SR by several networks.

    Attributes
    ----------
    whole : UInt8[np.ndarray, "h w 3"]
        The HR image.
    box : tuple of int
        (top, left, height, width) of the part in HR pixels.
    hr : UInt8[np.ndarray, "_h _w 3"]
        The part in HR.
    made : dict of str to Made
        By network.
    spread : float
        Standard deviation of Y over networks, its mean over the part (levels of 255).
    """

    name: str
    whole: UInt8[np.ndarray, "h w 3"]
    box: tuple[int, int, int, int]
    hr: UInt8[np.ndarray, "_h _w 3"]
    made: dict[str, Made]
    spread: float


def contrasts(
    networks: dict[str, nn.Module | None], refs: Sequence[ImageRef], scale: int, side: int
) -> tuple[Part, Part]:
    """Return the parts of images where networks differ most, and least among the more detailed half of all parts.

    The difference is the standard deviation of Y over networks (with bicubic only beside a single network); detail
    is the variance of Y of the HR pixels. Parts lie on the grid of LR pixels.

    Parameters
    ----------
    networks : dict
        By the name to show; None is bicubic interpolation.
    refs : sequence of ImageRef
        HR images.
    scale : int
    side : int
        Side of a part in LR pixels, less in a smaller image.

    Raises
    ------
    InputError
        If there is no image, or fewer than two networks, bicubic included.
    """
    if not refs or len(networks) < 2:
        raise InputError(f"{len(refs)} images, {len(networks)} networks: parts need one image and two networks or more")
    compared = [name for name, network in networks.items() if network is not None]
    compared = compared if len(compared) > 1 else list(networks)
    found, parts = [], []
    for number, ref in enumerate(refs):
        lr, hr = pair(ref, scale)
        made = {name: super_resolve(network, lr, scale) for name, network in networks.items()}
        own = scale * min(side, *lr.shape[1:])
        found.append((ref.name, hr, made, own))
        y = luma(hr.double())
        spread = _means(torch.stack([luma(made[name].double()) for name in compared]).std(0, correction=0), own, scale)
        detail = _means(y.square(), own, scale) - _means(y, own, scale).square()
        for at, (far, fine) in enumerate(zip(spread.flatten().tolist(), detail.flatten().tolist(), strict=True)):
            parts.append((number, scale * (at // spread.shape[1]), scale * (at % spread.shape[1]), far, fine))
    half = np.median([fine for *_, fine in parts])
    most = max(parts, key=lambda part: part[3])
    least = min((part for part in parts if part[4] >= half), key=lambda part: part[3])
    return tuple(_part(*found[number], top, left, far) for number, top, left, far, _ in (most, least))


def _means(values: Float64[Tensor, "h w"], side: int, step: int) -> Float64[Tensor, "_a _b"]:
    """Average over squares, a step apart."""
    return avg_pool2d(values[None, None], side, step)[0, 0]


def _part(
    name: str,
    hr: UInt8[Tensor, "3 h w"],
    made: dict[str, UInt8[Tensor, "3 h w"]],
    side: int,
    top: int,
    left: int,
    spread: float,
) -> Part:
    def cut(image: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 _h _w"]:
        return image[:, top : top + side, left : left + side]

    found = {model: Made(picture(cut(sr)), *differ(cut(sr), cut(hr))) for model, sr in made.items()}
    return Part(name, picture(hr), (top, left, side, side), picture(cut(hr)), found, spread)
