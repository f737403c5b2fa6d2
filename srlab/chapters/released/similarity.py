"""Self-similarity of an image: how well its far-away patches predict its patches."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import unfold

from srlab.analysis.images import centre
from srlab.errors import InputError
from srlab.measure.metrics import luma

#: Side in pixels of the middle that is measured.
SIDE = 192
#: Side of a patch, step to the next patch, and the distance from which patches count.
PATCH, STRIDE, NEAR = 7, 6, 12


def self_similarity(hr: UInt8[Tensor, "3 h w"]) -> float:
    """Measure how well far-away patches of an image predict its patches, 0 to 1.

    In the middle `SIDE` × `SIDE` pixels of Y at most, patches of 7×7 less their mean, every 6 pixels, are each
    predicted by the nearest, by squared distance, of all patches less their mean with a corner at least 12 pixels
    away in rows or in columns. The measure is 1 − Σ squared distance / Σ squared patch: 1 for exact repeats and for a
    flat image, about 0.2 for white noise of 192×192 pixels.

    Raises InputError if the image is too small for every patch to have another far away.
    """
    least = PATCH + 2 * NEAR
    if min(hr.shape[1:]) < least:
        raise InputError(f"image of {hr.shape[2]}×{hr.shape[1]} pixels: self-similarity needs at least {least}×{least}")
    y = luma(centre(hr, SIDE).double())
    height, width = (length - PATCH + 1 for length in y.shape)
    patches = unfold(y[None, None], PATCH)[0].T
    patches = patches - patches.mean(1, keepdim=True)
    # The nearest patch b to a is the one with the largest a·b − b²/2: one product finds it.
    ones = torch.ones(len(patches), 1)
    sought = torch.cat([patches.float(), ones], 1).unflatten(0, (height, width))[::STRIDE, ::STRIDE]
    offered = torch.cat([patches.float(), -patches.square().sum(1, keepdim=True).float() / 2], 1)
    residual = variance = 0.0
    for i, queries in enumerate(sought):
        row = STRIDE * i
        scores = (queries @ offered.T).unflatten(1, (height, width))
        columns = range(0, width, STRIDE)
        for score, column in zip(scores, columns, strict=True):
            rows = slice(max(0, row - NEAR + 1), row + NEAR)
            score[rows, max(0, column - NEAR + 1) : column + NEAR] = -torch.inf
        best = patches[scores.flatten(1).argmax(1)]
        own = patches[row * width : (row + 1) * width : STRIDE]
        residual += (own - best).square().sum().item()
        variance += own.square().sum().item()
    return max(0.0, 1 - residual / variance) if variance else 1.0
