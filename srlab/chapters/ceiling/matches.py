"""Matches: for places of an image, the patch that shows most nearly the same at least so far away."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import unfold

#: Patches of the image stand half an LR pixel apart.
FINE = 2
#: Queries compared with all patches at once.
AT_ONCE = 100
#: The place of a match that does not exist.
NOWHERE = -1


def evenly_spaced(height: int, width: int, side: int, number: int) -> Int[Tensor, "n 2"]:
    """Return corners of patches, LR pixels, evenly spaced: as many as fit, at most `number`.

    The patches, of `side` pixels, lie whole pixels apart, as far from the image's borders at both ends as can be.
    """
    step = 1
    while ((height - side) // step + 1) * ((width - side) // step + 1) > number:
        step += 1
    rows, columns = (torch.arange((length - side) % step // 2, length - side + 1, step) for length in (height, width))
    return torch.cartesian_prod(rows, columns)


def far_matches(
    y: Float[Tensor, "h w"], corners: Int[Tensor, "n 2"], side: int, scale: int, distances: tuple[int, ...]
) -> Int[Tensor, "distances n 2"]:
    """Return the corner of each patch's best match at least so far away, HR pixels; `NOWHERE` if there is none.

    Patches of `side` HR pixels are compared less their means, by squared distance. `corners` are HR pixels, at whole LR
    pixels. `distances` rise, and are Chebyshev's of the corners, in LR pixels.
    """
    fine = max(1, scale // FINE)
    offered = unfold(y[None, None], side, stride=fine)[0]
    offered -= offered.mean(0)
    half_energy = offered.square().sum(0) / 2
    across = (y.shape[1] - side) // fine + 1
    at = corners // fine
    queries = offered[:, at[:, 0] * across + at[:, 1]].T
    found = torch.empty((len(distances), len(corners), 2), dtype=torch.long)
    for first in range(0, len(corners), AT_ONCE):
        own = slice(first, first + AT_ONCE)
        scores = torch.addmm(half_energy, queries[own], offered, beta=-1).unflatten(1, (-1, across))
        for number, distance in enumerate(distances):
            near = -(-scale * distance // fine)
            for each, (row, column) in zip(scores, at[own].tolist(), strict=True):
                each[max(0, row - near + 1) : row + near, max(0, column - near + 1) : column + near] = -torch.inf
            by_row = scores.amax(2)
            best, row = by_row.max(1)
            column = scores[torch.arange(len(row)), row].argmax(1)
            places = fine * torch.stack([row, column], 1)
            found[number, own] = torch.where(torch.isinf(best)[:, None], NOWHERE, places)
    return found


def cut(image: Float[Tensor, "h w"], corners: Int[Tensor, "n 2"], side: int) -> Float[Tensor, "n side side"]:
    """Cut squares of an image at corners."""
    within = torch.arange(side)
    return image[(corners[:, :1] + within)[:, :, None], (corners[:, 1:] + within)[:, None]]


def explained(patches: Float[Tensor, "n side side"], others: Float[Tensor, "n side side"]) -> float:
    """Return the share of patches, less their means, that others less their means explain; below 0 if they do harm."""
    patches, others = (each.flatten(1) - each.flatten(1).mean(1, keepdim=True) for each in (patches, others))
    return float(1 - (patches - others).square().sum() / patches.square().sum())
