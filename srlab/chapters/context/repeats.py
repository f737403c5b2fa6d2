"""Repeats far away: how much of a tile another part of its image shows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import unfold

from srlab.chapters.context.fillings import Place

#: Side of a patch and steps between patches of the tile, LR pixels.
PATCH, STEP = 4, 2
#: Patches of the image stand half an LR pixel apart.
FINE = 2


def repeats(hr: Float[Tensor, "h w"], place: Place, scale: int, near: int) -> float:
    """Return the share of a tile's HR that its best patches at least `near` LR pixels away explain, 0 to 1.

    Patches of 4×4 LR pixels, less their mean, are each predicted by the nearest patch of the image less its mean, by
    squared distance. The share is 1 − Σ squared distance / Σ squared patch; NaN if no patch lies far enough away.
    """
    side, fine = PATCH * scale, max(1, scale // FINE)
    offered = unfold(hr[None, None], side, stride=fine)[0].T
    offered = offered - offered.mean(1, keepdim=True)
    rows, columns = (fine * torch.arange((length - side) // fine + 1) for length in hr.shape)
    half_energy = offered.square().sum(1) / 2
    residual = variance = 0.0
    corners = range(0, scale * place.side - side + 1, STEP * scale)
    for down in corners:
        top = scale * place.top + down
        lefts = torch.tensor([scale * place.left + across for across in corners])
        queries = torch.stack([hr[top : top + side, left : left + side].flatten() for left in lefts.tolist()])
        queries = queries - queries.mean(1, keepdim=True)
        scores = (queries @ offered.T - half_energy).unflatten(1, (len(rows), len(columns)))
        close = ((rows - top).abs() < scale * near)[None, :, None]
        close = close & ((columns[None] - lefts[:, None]).abs() < scale * near)[:, None]
        best, _ = scores.masked_fill(close, -torch.inf).flatten(1).max(1)
        energy = queries.square().sum(1)
        residual += float((energy - 2 * best).clamp(min=0).sum())
        variance += float(energy.sum())
    if residual == torch.inf:
        return float("nan")
    return max(0.0, 1 - residual / variance) if variance else 1.0
