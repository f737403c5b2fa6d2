"""The part of some images where networks differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn
from torch.nn.functional import avg_pool2d

from srlab.analysis.images import differ, pair, picture
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import luma


class Made(NamedTuple):
    """A network's SR of a part, its difference from HR and its PSNR; see :func:`srlab.analysis.images.differ`."""

    sr: UInt8[np.ndarray, "_h _w 3"]
    difference: Float[np.ndarray, "_h _w"]
    psnr: float


@dataclass(frozen=True)
class Part:
    """A part of an HR image, and its SR by network.

    `box` is (top, left, height, width) in HR pixels. `spread` is the standard deviation of Y over networks, its mean
    over the part (levels of 255).
    """

    name: str
    whole: UInt8[np.ndarray, "h w 3"]
    box: tuple[int, int, int, int]
    hr: UInt8[np.ndarray, "_h _w 3"]
    made: dict[str, Made]
    spread: float


def contrast(networks: Mapping[str, nn.Module | None], refs: Sequence[ImageRef], scale: int, side: int) -> Part:
    """Find the part of some images where networks differ most, on the grid of LR pixels.

    The difference is the standard deviation of Y over networks, with bicubic (None) only beside a single network.
    `side` is that of a part in LR pixels, less in a smaller image. No image, or fewer than two networks, raises
    InputError.
    """
    if not refs or len(networks) < 2:
        raise InputError(f"{len(refs)} images, {len(networks)} networks: parts need one image and two networks or more")
    compared = [name for name, network in networks.items() if network is not None]
    compared = compared if len(compared) > 1 else list(networks)
    most = None
    for ref in refs:
        lr, hr = pair(ref, scale)
        made = {name: super_resolve(network, lr, scale) for name, network in networks.items()}
        own = scale * min(side, *lr.shape[1:])
        spread = torch.stack([luma(made[name].double()) for name in compared]).std(0, correction=0)
        spread = avg_pool2d(spread[None, None], own, scale)[0, 0]
        if most is None or spread.max() > most[0]:
            top, left = (scale * int(at) for at in np.unravel_index(int(spread.argmax()), spread.shape))
            most = float(spread.max()), ref.name, hr, made, (top, left, own, own)
    spread, name, hr, made, (top, left, height, width) = most
    square = (..., slice(top, top + height), slice(left, left + width))
    found = {model: Made(picture(sr[square]), *differ(sr[square], hr[square])) for model, sr in made.items()}
    return Part(name, picture(hr), (top, left, height, width), picture(hr[square]), found, spread)
