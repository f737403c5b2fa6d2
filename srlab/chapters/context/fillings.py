"""Cut a tile off from its image beyond r pixels: real pixels up to r, a filling from there on."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

#: "edge": the image ends there. "mirror": it is reflected there. "other": another image's pixels follow. "permuted":
#: blocks of the image itself follow, in random order.
Filling = Literal["edge", "mirror", "other", "permuted"]
FILLINGS: tuple[Filling, ...] = get_args(Filling)
#: Side of the permuted blocks, LR pixels.
BLOCK = 16
#: Seed of their order.
SEED = 0


class Place(NamedTuple):
    """A square of an LR image, in pixels."""

    top: int
    left: int
    side: int

    def spans(self, more: int, height: int, width: int) -> tuple[slice, slice]:
        """Return rows and columns of the square with `more` pixels around, as far as the image goes."""
        rows, columns = (
            slice(max(0, start - more), min(length, start + self.side + more))
            for start, length in ((self.top, height), (self.left, width))
        )
        return rows, columns


def middle_tile(height: int, width: int, side: int) -> Place | None:
    """Return the whole tile of the image's grid that is nearest to its middle; None if the image holds no tile."""
    if min(height, width) < side:
        return None
    starts = (range(0, length - side + 1, side) for length in (height, width))
    (top, left) = (
        min(own, key=lambda start, length=length: abs(start + side / 2 - length / 2))
        for own, length in zip(starts, (height, width), strict=True)
    )
    return Place(top, left, side)


def cut_off(
    lr: Shaped[Tensor, "3 h w"],
    place: Place,
    radius: int,
    filling: Filling,
    around: int,
    other: Shaped[Tensor, "3 _h _w"],
) -> tuple[Shaped[Tensor, "3 _height _width"], Place]:
    """Return the surroundings of a tile without what lies beyond `radius`, and the tile's place in them.

    Every filling but "edge" reaches `around` pixels from the tile, or to the image's own border. If tile and `around`
    are multiples of a network's windows, its grid does not move. Pixels of `other` beyond its border are its first ones
    again.
    """
    height, width = lr.shape[1:]
    real = place.spans(radius, height, width)
    if filling == "edge":
        rows, columns = real
        return lr[:, rows, columns], Place(place.top - rows.start, place.left - columns.start, place.side)
    rows, columns = place.spans(around, height, width)
    at = [torch.arange(span.start, span.stop) for span in (rows, columns)]
    if filling == "mirror":
        source, at = lr[:, real[0], real[1]], [_mirrored(i, span) for i, span in zip(at, real, strict=True)]
    else:
        source = other if filling == "other" else permuted(lr)
        at = [i % length for i, length in zip(at, source.shape[1:], strict=True)]
    canvas = source[:, at[0]][:, :, at[1]]
    inside = (
        slice(own.start - all_.start, own.stop - all_.start) for own, all_ in zip(real, (rows, columns), strict=True)
    )
    canvas[:, *inside] = lr[:, real[0], real[1]]
    return canvas, Place(place.top - rows.start, place.left - columns.start, place.side)


def permuted(lr: Shaped[Tensor, "3 h w"]) -> Shaped[Tensor, "3 _h _w"]:
    """Return an image's whole blocks of `BLOCK` pixels a side in random order; a smaller image stays as it is."""
    down, across = (length // BLOCK for length in lr.shape[1:])
    if not down or not across:
        return lr
    blocks = lr[:, : down * BLOCK, : across * BLOCK].unflatten(2, (across, BLOCK)).unflatten(1, (down, BLOCK))
    blocks = blocks.permute(1, 3, 0, 2, 4).flatten(0, 1)
    order = np.random.default_rng(SEED).permutation(down * across)
    return blocks[order].unflatten(0, (down, across)).permute(2, 0, 3, 1, 4).reshape(3, down * BLOCK, across * BLOCK)


def _mirrored(at: Int[Tensor, " n"], span: slice) -> Int[Tensor, " n"]:
    """Return places within a span whose reflection at its ends, repeated, stands at `at`; counted from its start."""
    length = span.stop - span.start
    folded = (at - span.start) % (2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)
