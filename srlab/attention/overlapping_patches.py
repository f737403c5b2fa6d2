"""LRSA: attention inside patches that overlap by two pixels, of CATANet (arXiv 2503.06896)."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from srlab.attention.contract import Map, gather_rows, softmax_attention
from srlab.attention.fused import fitted_width, widen_heads
from srlab.attention.sorted_groups import Backend
from srlab.errors import InputError

Pixels = Float[Tensor, "b h w c"]


def patch_starts(side: int, patch: int) -> list[int]:
    """Return where patches start: each `patch` − 2 pixels, the last moved back inside.

    >>> patch_starts(13, 6), patch_starts(16, 6), patch_starts(4, 6)
    ([0, 4, 7], [0, 4, 8, 10], [0])
    """
    starts = [start for start in range(0, side - 2, patch - 2)] if side > patch else [0]
    return [min(start, max(side - patch, 0)) for start in starts]


def overlap_weights(side: int, patch: int) -> Float[Tensor, " side"]:
    """Return what the sum over patches is multiplied by at each pixel, along one side.

    Each start halves the overlap of its patch with the one before. Where three meet, that is a quarter of their sum.
    """
    weights = torch.ones(side)
    for before, start in pairwise(patch_starts(side, patch)):
        weights[start : before + patch] /= 2
    return weights


class OverlappingPatches(nn.Module):
    """tokens + attention(LayerNorm(tokens)) in each patch of a map; patches that meet are averaged (nearly).

    A side shorter than `patch` is one patch. Backend "fused" normalises each pixel once, then cuts; "reference"
    normalises each patch and holds all scores.
    """

    def __init__(self, channels: int, query_channels: int, heads: int, patch: int, backend: Backend = "fused"):
        super().__init__()
        if patch < 3:
            raise InputError(f"patch is {patch} pixels a side: it must be at least 3, since patches overlap by two")
        self.heads, self.patch, self.backend = heads, patch, backend
        self.norm = nn.LayerNorm(channels)
        self.to_query = nn.Linear(channels, query_channels, bias=False)
        self.to_key = nn.Linear(channels, query_channels, bias=False)
        self.to_value = nn.Linear(channels, channels, bias=False)
        self.project = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Map) -> Map:
        pixels, size = x.permute(0, 2, 3, 1), x.shape[2:]
        rows, columns = (overlap_weights(side, self.patch).to(x) for side in size)
        weights = rows[:, None, None] * columns[:, None]
        if self.backend == "reference":
            patches = self._cut(pixels)
            return (self._join(patches + self._plain(self.norm(patches)), size) * weights).permute(0, 3, 1, 2)
        attended = self._join(self._fused(self.norm(pixels)), size) * weights
        # The residual of each patch, summed by the same weights.
        share = torch.outer(*(self._times(side, x) for side in size))[..., None] * weights
        return torch.addcmul(self.project(attended), pixels, share).permute(0, 3, 1, 2)

    def _times(self, side: int, like: Tensor) -> Float[Tensor, " side"]:
        """Return how many patches cover each pixel, along one side."""
        places = self._places(side, like.device)
        return like.new_zeros(side).index_add_(0, places, like.new_ones(len(places)))

    def _places(self, side: int, device: torch.device) -> Tensor:
        starts = torch.tensor(patch_starts(side, self.patch), device=device)
        return (starts[:, None] + torch.arange(min(self.patch, side), device=device)).flatten()

    def _cut(self, pixels: Pixels) -> Float[Tensor, "b t u p q c"]:
        size = pixels.shape[1:3]
        rows, columns = (self._places(side, pixels.device).view(-1, min(self.patch, side)) for side in size)
        places = rows[:, None, :, None] * size[1] + columns[None, :, None]
        cut = gather_rows(pixels.flatten(1, 2), places.flatten().expand(len(pixels), -1))
        return cut.unflatten(1, places.shape)

    def _join(self, patches: Float[Tensor, "b t u p q c"], size: tuple[int, int]) -> Pixels:
        """Undo :meth:`_cut`, adding up where patches meet."""
        pixels = patches.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        for axis, side in ((1, size[0]), (2, size[1])):
            summed = pixels.new_zeros(*pixels.shape[:axis], side, *pixels.shape[axis + 1 :])
            pixels = summed.index_add(axis, self._places(side, pixels.device), pixels)
        return pixels

    def _plain(self, patches: Float[Tensor, "b t u p q c"]) -> Float[Tensor, "b t u p q c"]:
        query, key, value = (
            to(patches).flatten(3, 4).unflatten(-1, (self.heads, -1)).transpose(3, 4)
            for to in (self.to_query, self.to_key, self.to_value)
        )
        weights = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1)
        attended = (weights @ value).transpose(3, 4).flatten(4)
        return self.project(attended.unflatten(3, patches.shape[3:5]))

    def _fused(self, pixels: Pixels) -> Float[Tensor, "b t u p q c"]:
        depths = [to.out_features // self.heads for to in (self.to_query, self.to_value)]
        weights = (self.to_query.weight * depths[0] ** -0.5, self.to_key.weight, self.to_value.weight)
        held = torch.cat([widen_heads(weight, self.heads, fitted_width(*depths)) for weight in weights])
        patches = linear(self._cut(pixels), held)
        parts = patches.flatten(3, 4).flatten(0, 2).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = softmax_attention(*parts)[..., : depths[1]].transpose(1, 2).flatten(2)
        return attended.unflatten(0, patches.shape[:3]).unflatten(3, patches.shape[3:5])
