"""Clusters and windows of layers that sort their tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped
from tqdm.auto import tqdm

from srlab.analysis.images import pair
from srlab.analysis.layers import LayerTrace, trace
from srlab.attention import SortedWindows
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.study.records import Record

#: Labels of `windows`: tokens that are not visible to a query, and those of its three windows.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)


def clusters(layer: LayerTrace, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Return the cluster, or hash bucket, of each token in one round.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    codes = _sorted(layer).codes[0, round]
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def cluster_sizes(layer: LayerTrace, count: int) -> Int[np.ndarray, " k"]:
    """Count the tokens in each of `count` clusters, empty ones included.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    return np.bincount(clusters(layer).ravel(), minlength=count)


def windows(layer: LayerTrace, row: int, col: int, round: int = 0) -> Int[np.ndarray, "h w"]:
    """Label each token by the query's windows in one round: UNSEEN, PREVIOUS, OWN or NEXT.

    With fewer than three windows a token can be in several; OWN takes precedence over PREVIOUS, PREVIOUS over NEXT.

    Raises
    ------
    InputError
        If the layer sorts no tokens, or the pixel is outside the map.
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


def effective(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Return the effective number of clusters: the exponential of the entropy of their shares."""
    share = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def pure_windows(layer: LayerTrace) -> float:
    """Return the share of windows, 0 to 1, with tokens of a single cluster.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    pattern = _sorted(layer)
    codes = pattern.codes[0, 0][pattern.slots[0, 0]].unflatten(0, (-1, pattern.window))
    return (codes == codes[:, :1]).all(1).float().mean().item()


def evenness(records: Sequence[Record], refs: Sequence[ImageRef]) -> pd.DataFrame:
    """Measure how evenly the first layer of trained networks divides the tokens of images, an image a row.

    Parameters
    ----------
    records : sequence of Record
        Training runs of networks that begin with a layer that sorts into `clusters`.
    refs : sequence of ImageRef
        HR images.

    Returns
    -------
    DataFrame
        run, seed, clusters, window, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of tokens in the
        largest cluster), `empty` (clusters without a token), `pure_windows` (share of windows with a single cluster).

    Raises
    ------
    InputError
        If the first layer sorts no tokens.
    """
    rows = []
    for record in tqdm(records, desc="clusters", unit="network"):
        options, network = record.run.network.options, record.network()
        for ref in refs:
            layer = trace(network, pair(ref, record.run.scale)[0])[0]
            sizes = cluster_sizes(layer, options["clusters"])
            rows.append(
                {
                    "run": record.run.hash,
                    "seed": record.run.seed,
                    "clusters": options["clusters"],
                    "window": options["window"],
                    "name": ref.name,
                    "gini": gini(sizes),
                    "largest": sizes.max() / sizes.sum(),
                    "empty": np.count_nonzero(sizes == 0),
                    "pure_windows": pure_windows(layer),
                }
            )
    return pd.DataFrame(rows)


def _sorted(layer: LayerTrace) -> SortedWindows:
    if not isinstance(layer.pattern, SortedWindows):
        raise InputError(f"{layer.mechanism} sorts no tokens into clusters and windows")
    return layer.pattern
