"""Clusters and windows (or groups) of layers that sort their tokens."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped

from srlab.analysis.layers import LayerTrace
from srlab.attention import SortedGroups, SortedWindows
from srlab.errors import InputError

#: Labels of `windows`: tokens that are not visible to a query, and those of its three windows.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)


def clusters(layer: LayerTrace, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Return the code by which each token is sorted, its cluster or hash bucket; layers that sort none: InputError."""
    codes = _sorted(layer).codes[0].view(-1, layer.height * layer.width)[round]  # groups have no rounds
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def windows(layer: LayerTrace, row: int, col: int, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Label each token by the query's windows in one round: UNSEEN, PREVIOUS, OWN or NEXT.

    A token can be in several, at an end of CATA's sequence or where there are fewer than three windows; OWN takes
    precedence over PREVIOUS, PREVIOUS over NEXT.
    A layer that sorts no tokens, or a pixel outside the map, raises InputError.
    """
    adjacent = _sorted(layer).adjacent(layer.index(row, col), round)
    labels = np.full(layer.height * layer.width, UNSEEN)
    for label, step in ((NEXT, 1), (PREVIOUS, -1), (OWN, 0)):
        if step in adjacent:
            labels[adjacent[step].cpu().numpy()] = label
    return labels.reshape(layer.height, layer.width)


def gini(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Return the Gini coefficient of k sizes: 0 if all are equal, 1 − 1/k if one holds everything."""
    share = np.sort(sizes) / sizes.sum()
    k = len(share)
    return float((2 * np.arange(1, k + 1) - k - 1) @ share / k)


def _sorted(layer: LayerTrace) -> SortedWindows | SortedGroups:
    if not isinstance(layer.pattern, SortedWindows | SortedGroups):
        raise InputError(f"{layer.mechanism} sorts no tokens into clusters and windows")
    return layer.pattern
