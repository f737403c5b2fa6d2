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

#: What `windows` calls the tokens that a query does not see, and those of the three windows that it sees.
UNSEEN, PREVIOUS, OWN, NEXT = range(4)


def clusters(layer: LayerTrace, turn: int = 0) -> Int[np.ndarray, "h w"]:
    """The cluster, or hash bucket, of each token in one round.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    codes = _sorted(layer).codes[0, turn]
    return codes.unflatten(0, (layer.height, layer.width)).cpu().numpy()


def cluster_sizes(layer: LayerTrace, count: int) -> Int[np.ndarray, " k"]:
    """Tokens in each of the `count` clusters, empty ones included.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    return np.bincount(clusters(layer).ravel(), minlength=count)


def windows(layer: LayerTrace, row: int, col: int, turn: int = 0) -> Int[np.ndarray, "h w"]:
    """Which of the query's windows each token is in, in one round: UNSEEN, PREVIOUS, OWN or NEXT.

    With fewer than three windows a token can be in several of these; then OWN goes before PREVIOUS, and that
    before NEXT.

    Raises
    ------
    InputError
        If the layer sorts no tokens, or the pixel is not in the map.
    """
    pattern, index = _sorted(layer), layer.index(row, col)
    slots = pattern.slots[0, turn].unflatten(0, (-1, pattern.window)).cpu().numpy()
    own = pattern.slot_of[0, turn, index].item() // pattern.window
    labels = np.full(layer.height * layer.width, UNSEEN)
    for label, window in ((NEXT, own + 1), (PREVIOUS, own - 1), (OWN, own)):
        labels[slots[window % len(slots)]] = label
    return labels.reshape(layer.height, layer.width)


def gini(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Gini coefficient of sizes, of clusters or other: 0 if all are alike, 1 − 1/k if one holds all."""
    share = np.sort(sizes) / sizes.sum()
    k = len(share)
    return float((2 * np.arange(1, k + 1) - k - 1) @ share / k)


def effective(sizes: Shaped[np.ndarray, " k"]) -> float:
    """How many clusters of one size are as even as these: the exponential of the entropy of their shares."""
    share = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def pure_windows(layer: LayerTrace) -> float:
    """Share of windows, 0 to 1, whose tokens are all of one cluster.

    Raises
    ------
    InputError
        If the layer sorts no tokens.
    """
    pattern = _sorted(layer)
    codes = pattern.codes[0, 0][pattern.slots[0, 0]].unflatten(0, (-1, pattern.window))
    return (codes == codes[:, :1]).all(1).float().mean().item()


def evenness(records: Sequence[Record], refs: Sequence[ImageRef]) -> pd.DataFrame:
    """How evenly the first layer of trained networks divides the tokens of images, an image a row.

    Parameters
    ----------
    records : sequence of Record
        Of training runs whose networks begin with a layer that sorts into `clusters`.
    refs : sequence of ImageRef
        HR images.

    Returns
    -------
    DataFrame
        run, seed, clusters, window, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of tokens in
        the largest cluster), `empty` (clusters without a token), `pure_windows` (share of windows whose
        tokens are all of one cluster).

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
