"""Images to inspect: LR and HR, their middle, and their strongest corners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage  # and not its `feature`, which takes a second and is loaded when first used
from jaxtyping import Float, UInt8
from torch import Tensor

from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.measure.metrics import luma
from srlab.study.runs import Run
from srlab.study.study import Study

#: Largest side of an inspected image (LR pixels): the cost of dense attention is the square of its area.
SIDE = 128
#: Top, left, height and width in LR pixels.
Box = tuple[int, int, int, int]


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
    def target(self, row: int, col: int) -> tuple[Box, Box] | None:
        """Return the damaged part that holds a query, and the intact copy of it; None if there are none."""

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
    strength = skimage.feature.corner_shi_tomasi(luma(lr.double()).numpy(), sigma=2)
    peaks = skimage.feature.corner_peaks(strength, min_distance=apart, exclude_border=apart, num_peaks=count)
    return [(int(row), int(col)) for row, col in peaks] or [(lr.shape[1] // 2, lr.shape[2] // 2)]


def differ(sr: UInt8[Tensor, "3 h w"], hr: UInt8[Tensor, "3 h w"]) -> tuple[Float[np.ndarray, "h w"], float]:
    """Return Y of SR minus Y of HR (levels of 255), and the Y-PSNR (dB, Y rounded, no border excluded)."""
    difference = (luma(sr.double()).round() - luma(hr.double()).round()).numpy()
    mean = np.square(difference).mean()
    return difference, float(10 * np.log10(255**2 / mean)) if mean else float("inf")
