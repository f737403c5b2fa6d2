"""Clusters and windows of layers that sort their tokens."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped

from srlab.analysis.layers import LayerTrace
from srlab.attention import SortedWindows
from srlab.errors import InputError

#: Labels of `windows`: tokens that are not visible to a query, and those of its three windows.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)


def clusters(layer: LayerTrace, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Return the cluster, or hash bucket, of each token in one round of a layer that sorts; others raise InputError."""
    codes = _sorted(layer).codes[0, round]
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def windows(layer: LayerTrace, row: int, col: int, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Label each token by the query's windows in one round: UNSEEN, PREVIOUS, OWN or NEXT.

    With fewer than three windows a token can be in several; OWN takes precedence over PREVIOUS, PREVIOUS over NEXT.
    A layer that sorts no tokens, or a pixel outside the map, raises InputError.
    """
    pattern, index = _sorted(layer), layer.index(row, col)
    slots = pattern.slots[0, round].unflatten(0, (-1, pattern.window)).cpu().numpy()
    own = pattern.slot_of[0, round, index].item() // pattern.window
    labels = np.full(layer.height * layer.width, UNSEEN)
    for label, window in ((NEXT, own + 1), (PREVIOUS, own - 1), (OWN, own)):
        labels[slots[window % len(slots)]] = label
    return labels.reshape(layer.height, layer.width)


def gini(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Return the Gini coefficient of k sizes: 0 if all are equal, 1 − 1/k if one holds everything."""
    share = np.sort(sizes) / sizes.sum()
    k = len(share)
    return float((2 * np.arange(1, k + 1) - k - 1) @ share / k)


def _sorted(layer: LayerTrace) -> SortedWindows:
    if not isinstance(layer.pattern, SortedWindows):
        raise InputError(f"{layer.mechanism} sorts no tokens into clusters and windows")
    return layer.pattern
