"""How far networks look: attribution maps and receptive fields at one place an image, on the same crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from tqdm.auto import tqdm

from srlab.analysis.attribution import diffusion_index, local_attribution, radius
from srlab.analysis.images import pair
from srlab.analysis.layers import receptive_field
from srlab.data.layouts import ImageRef
from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import luma, psnr

#: Side of a crop in LR pixels, larger than any network's largest attention window.
SIDE = 96
#: Side in SR pixels of the window with the attributed detail.
WINDOW = 16
#: Steps of the path of a local attribution map.
STEPS = 5
#: Shares of what is attributed, by the names of their radii.
PARTS = {"50": 0.5, "90": 0.9}


def settings() -> dict[str, int]:
    """Return the numbers that every row depends on: side, window and steps."""
    return {"side": SIDE, "window": WINDOW, "steps": STEPS}


class Place(NamedTuple):
    """A crop of an image, `SIDE` LR pixels a side, around a place, its LR pixel (SIDE/2, SIDE/2)."""

    name: str  # the image's
    row: int  # of the place, in LR pixels of the whole image
    col: int
    lr: UInt8[Tensor, "3 h w"]
    hr: UInt8[Tensor, "3 sh sw"]


def hardest_place(ref: ImageRef, scale: int) -> Place | None:
    """Find the LR pixel around which bicubic enlargement errs most; None if no crop fits into the image.

    Of all LR pixels with a whole crop around them, the `WINDOW` of this one has the largest mean squared error of Y.
    """
    lr, hr = pair(ref, scale)
    half = SIDE // 2
    rows, cols = (range(half, length - half + 1) for length in lr.shape[1:])
    if not (rows and cols):
        return None
    error = (luma(upscale(lr, scale).double()) - luma(hr.double())).square()
    means = avg_pool2d(error[None, None], WINDOW, stride=1)[0, 0]
    row_starts, col_starts = ([_start(at, scale) for at in each] for each in (rows, cols))
    hardest = int(means[row_starts][:, col_starts].argmax())
    row, col = rows[hardest // len(cols)], cols[hardest % len(cols)]
    top, left, side = scale * (row - half), scale * (col - half), scale * SIDE
    crop = lr[:, row - half : row + half, col - half : col + half]
    return Place(ref.name, row, col, crop.contiguous(), hr[:, top : top + side, left : left + side].contiguous())


def hardest_places(refs: Sequence[ImageRef], count: int, scale: int) -> list[Place]:
    """Return the hardest place of each of the first images by name with room for a crop.

    Raises InputError if there are fewer such images than `count`.
    """
    found: list[Place] = []
    for ref in sorted(refs, key=lambda ref: ref.name):
        if len(found) < count and (place := hardest_place(ref, scale)):
            found.append(place)
    if len(found) < count:
        raise InputError(f"places is {count}; only {len(found)} images have room for {SIDE}×{SIDE} LR pixels")
    return found


def measure_reach(network: nn.Module, places: Sequence[Place], scale: int, device: torch.device) -> pd.DataFrame:
    """Measure what a network's detail depends on, a place a row.

    Columns: name (of the image), row, col, side, window, steps; diffusion_index; lam_50, lam_90, the radii in LR pixels
    that hold 50 and 90 % of what is attributed; erf_50, erf_90, those of the effective receptive field; psnr_y (dB, of
    the window) and gain_db over bicubic enlargement.
    """
    at, rows = (SIDE // 2, SIDE // 2), []
    for place in tqdm(places, desc="reach", unit="place"):
        attributed = local_attribution(network, place.lr, *at, WINDOW, STEPS)
        received = receptive_field(network, place.lr, scale, *at)
        reached, enlarged = (_psnr(each, place, scale, device) for each in (network, None))
        radii = {
            f"{kind}_{part}": radius(shares, *at, held)
            for kind, shares in (("lam", attributed), ("erf", received))
            for part, held in PARTS.items()
        }
        facts = {"name": place.name, "row": place.row, "col": place.col, **settings()}
        index = diffusion_index(attributed)
        rows.append(facts | {"diffusion_index": index, **radii, "psnr_y": reached, "gain_db": reached - enlarged})
    return pd.DataFrame(rows)


def _psnr(network: nn.Module | None, place: Place, scale: int, device: torch.device) -> float:
    """Compute PSNR of Y in the window alone, dB."""
    start = _start(SIDE // 2, scale)
    inside = slice(start, start + WINDOW)
    sr = super_resolve(network, place.lr, scale, device)
    return psnr(*(luma(image[:, inside, inside].double()) for image in (sr, place.hr)), border=0)


def _start(at: int, scale: int) -> int:
    """Return where the window around an LR pixel begins in SR, as `srlab.analysis.attribution.edges` places it."""
    return scale * at + (scale - WINDOW) // 2
