"""What k-means learnt: clusters of an image by the centroids of any step, and how these moved in training.

For layers that learn spherical k-means (`srlab.attention.LSP`); of several rounds, the first. Everything is
given back as NumPy arrays and data frames, which `srlab.plots` draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from srlab.analysis.images import pair, picture
from srlab.analysis.layers import LayerTrace, trace
from srlab.analysis.sorting import effective, gini
from srlab.attention import SortedWindows, SphericalKMeans
from srlab.attention.kmeans import Centroids, EmptyClusters, Points, assign, draw, draw_apart, lloyd_step
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.study.records import Record
from srlab.training import Snapshots, centroids_of

Directions = Float[np.ndarray, "*#many d"]

#: Columns of `drift` and of `evenness_over_training`.
DRIFT = ["run", "seed", "clusters", "layer", "step", "cluster", "from_previous", "from_first", "from_last"]
EVENNESS = ["run", "seed", "clusters", "layer", "step", "name", "gini", "largest", "empty", "elsewhere"]


@dataclass(frozen=True)
class ClusterMap:
    """An image divided by centroids: `clusters_at` makes it.

    Attributes
    ----------
    picture : UInt8[np.ndarray, "h w 3"]
        The LR image.
    clusters : Int[np.ndarray, "h w"]
        The cluster of each token, 0 to count − 1.
    similarity : Float[np.ndarray, "h w"]
        Cosine between each token and the centroid of its cluster.
    centroids : Float[np.ndarray, "k d"]
        Of unit length.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    clusters: Int[np.ndarray, "h w"]
    similarity: Float[np.ndarray, "h w"]
    centroids: Float[np.ndarray, "k d"]

    @property
    def count(self) -> int:
        """k, empty clusters included."""
        return len(self.centroids)

    @property
    def sizes(self) -> Int[np.ndarray, " k"]:
        """Tokens in each cluster."""
        return np.bincount(self.clusters.ravel(), minlength=self.count)


@dataclass(frozen=True)
class Patch:
    """The surroundings of one token.

    Attributes
    ----------
    image : int
        Index of its image among those asked.
    row, col : int
        The token's pixel in that image.
    picture : UInt8[np.ndarray, "side side 3"]
        LR pixels with the token in the middle, or nearer the edge where the image ends.
    at : tuple of int
        (row, column) of the token in `picture`.
    similarity : float
        Cosine between the token and the centroid.
    """

    image: int
    row: int
    col: int
    picture: UInt8[np.ndarray, "_h _w 3"]
    at: tuple[int, int]
    similarity: float


@dataclass(frozen=True)
class ClusterView:
    """All that there is to draw of one cluster at one step: `view_cluster` makes it.

    Attributes
    ----------
    title : str
        Network and layer.
    step, cluster : int
    now, last : ClusterMap
        By the centroids of the step, and by the last ones.
    patches : tuple of Patch
        The most typical of the image by the centroids of the step; none if the cluster is empty.
    side : int
        Of a patch, in LR pixels.
    drift : DataFrame, optional
        The layer's rows of `drift`; None if the run kept no centroids.
    """

    title: str
    step: int
    cluster: int
    now: ClusterMap
    last: ClusterMap
    patches: tuple[Patch, ...]
    side: int
    drift: pd.DataFrame | None


def clusters_at(lr: UInt8[Tensor, "3 h w"], layer: LayerTrace, centroids: Float[Tensor, "rounds k d"]) -> ClusterMap:
    """Divide an image by centroids of any step, with the features that the layer was traced with.

    With centroids of an earlier step and features of the trained network this is not what the network did
    then: it shows what the centroids' moves alone change.

    Parameters
    ----------
    lr : UInt8[Tensor, "3 h w"]
    layer : LayerTrace
        Of this image, as `srlab.analysis.layers.trace` gives it.
    centroids : Float[Tensor, "rounds k d"]
        Such as `Record.centroids()[step][layer.name]`.

    Raises
    ------
    InputError
        If the layer's tokens cannot be compared with the centroids.
    """
    width, own = centroids.shape[-1], layer.pattern
    if not isinstance(own, SortedWindows) or own.key.shape[-1] != width:
        raise InputError(
            f"{layer.mechanism}, {layer.name}: its tokens cannot be compared with centroids of {width} channels"
        )
    with torch.inference_mode():
        points = own.key[0, 0]
        similarity, codes = (points @ centroids[0].to(points).mT).max(-1)
    shape = (layer.height, layer.width)
    return ClusterMap(
        picture(lr),
        codes.unflatten(0, shape).cpu().numpy(),
        similarity.unflatten(0, shape).cpu().numpy(),
        centroids[0].cpu().numpy(),
    )


def clusters_over_training(
    lr: UInt8[Tensor, "3 h w"], layer: LayerTrace, snapshots: Snapshots
) -> dict[int, ClusterMap]:
    """The same by the centroids of each kept step, by step.

    Raises
    ------
    InputError
        If the layer learns no centroids.
    """
    if any(layer.name not in centroids for centroids in snapshots.values()):
        raise InputError(f"{layer.mechanism}, {layer.name}: this layer learns no centroids")
    return {step: clusters_at(lr, layer, centroids[layer.name]) for step, centroids in snapshots.items()}


def divided(record: Record, refs: Sequence[ImageRef]) -> list[ClusterMap]:
    """LR images by the centroids of a trained network, in its first layer that learns some.

    Parameters
    ----------
    record : Record
    refs : sequence of ImageRef
        HR images.

    Raises
    ------
    InputError
        If the network learns no centroids.
    """
    return [clusters_at(lr, layer, means) for lr, layer, means in _first_layer(record, refs)]


def _first_layer(
    record: Record, refs: Sequence[ImageRef]
) -> Iterator[tuple[UInt8[Tensor, "3 h w"], LayerTrace, Centroids]]:
    """Each LR image with the trace and the centroids of the first layer that learns some."""
    network = record.network()
    learnt = centroids_of(network)
    if not learnt:
        raise InputError(f"run {record.run.name}: its network learns no centroids")
    name, means = next(iter(learnt.items()))
    for ref in refs:
        lr, _ = pair(ref, record.run.scale)
        yield lr, next(layer for layer in trace(network, lr) if layer.name == name), means


def total_sizes(maps: Sequence[ClusterMap]) -> Int[np.ndarray, " k"]:
    """Tokens of all images in each cluster; the maps are by the same centroids."""
    return np.sum([each.sizes for each in maps], 0)


def largest_first(maps: Sequence[ClusterMap]) -> list[int]:
    """The clusters by their size in all images; of equal ones the lower number goes first."""
    return np.argsort(-total_sizes(maps), kind="stable").tolist()


def typical_patches(maps: Sequence[ClusterMap], cluster: int, count: int = 8, side: int = 15) -> list[Patch]:
    """The surroundings of the tokens of a cluster that lie nearest to its centroid, over all images.

    Their tokens are at least `side` rows or columns apart, so that no place is shown twice; there may be
    fewer than `count`.

    Parameters
    ----------
    maps : sequence of ClusterMap
    cluster, count : int
    side : int
        Of a patch, in LR pixels.

    Raises
    ------
    InputError
        If there is no such cluster.
    """
    clusters = min(each.count for each in maps)
    if not 0 <= cluster < clusters:
        raise InputError(f"cluster {cluster} is unknown, allowed: 0 to {clusters - 1}")
    left = [np.where(each.clusters == cluster, each.similarity, -np.inf) for each in maps]
    patches = []
    while len(patches) < count:
        image = int(np.argmax([similarity.max() for similarity in left]))
        row, col = (int(i) for i in np.unravel_index(left[image].argmax(), left[image].shape))
        similarity = float(left[image][row, col])
        if similarity == -np.inf:
            break
        left[image][max(0, row - side + 1) : row + side, max(0, col - side + 1) : col + side] = -np.inf
        whole = maps[image].picture
        top, start = (
            max(0, min(at - side // 2, length - side)) for at, length in ((row, whole.shape[0]), (col, whole.shape[1]))
        )
        part = whole[top : top + side, start : start + side]
        patches.append(Patch(image, row, col, part, (row - top, col - start), similarity))
    return patches


def view_cluster(
    title: str,
    maps: dict[int, ClusterMap],
    step: int,
    cluster: int,
    drift: pd.DataFrame | None = None,
    count: int = 15,
    side: int = 15,
) -> ClusterView:
    """All that there is to draw of one cluster at one step.

    Parameters
    ----------
    title : str
        Network and layer.
    maps : dict of int to ClusterMap
        As of `clusters_over_training`.
    step, cluster : int
    drift : DataFrame, optional
        The layer's rows of `drift`; None if the run kept no centroids.
    count, side : int
        Typical patches at most, and their side in LR pixels.

    Raises
    ------
    InputError
        If there is no such step or cluster.
    """
    if step not in maps:
        raise InputError(f"step {step} was not kept, allowed: {', '.join(map(str, maps))}")
    patches = tuple(typical_patches([maps[step]], cluster, count, side))
    return ClusterView(title, step, cluster, maps[step], maps[max(maps)], patches, side, drift)


def angle(one: Directions, other: Directions) -> Float[np.ndarray, "*many"]:
    """Degrees between unit vectors: 0 to 180, exact where an arc cosine of nearly 1 would not be."""
    apart, together = (np.linalg.norm(side, axis=-1) for side in (one - other, one + other))
    return np.degrees(2 * np.arctan2(apart, together))


def drift(records: Sequence[Record]) -> pd.DataFrame:
    """How the centroids of training runs moved, a centroid at a kept step a row.

    Returns
    -------
    DataFrame
        run, seed, clusters (k), layer, step, cluster, and in degrees the angles `from_previous` (the kept
        step before; no number at the first), `from_first` and `from_last`. No row of runs that kept none.
    """
    frames = []
    for record in records:
        if not record.kept_centroids:
            continue
        snapshots = record.centroids()
        for layer in next(iter(snapshots.values())):
            means = np.stack([each[layer][0].double().numpy() for each in snapshots.values()])
            previous = np.concatenate([np.full_like(means[:1], np.nan), means[:-1]])
            kept, k, _ = means.shape
            columns = {
                "run": record.run.hash,
                "seed": record.run.seed,
                "clusters": k,
                "layer": layer,
                "step": np.repeat(list(snapshots), k),
                "cluster": np.tile(np.arange(k), kept),
                "from_previous": angle(means, previous).ravel(),
                "from_first": angle(means, means[:1]).ravel(),
                "from_last": angle(means, means[-1:]).ravel(),
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=DRIFT)


def evenness_over_training(records: Sequence[Record], refs: Sequence[ImageRef]) -> pd.DataFrame:
    """How evenly the centroids of each kept step divide images, an image at a step a row.

    The features are those of the trained network, as `clusters_at` says.

    Parameters
    ----------
    records : sequence of Record
    refs : sequence of ImageRef
        HR images.

    Returns
    -------
    DataFrame
        run, seed, clusters (k), layer, step, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of
        tokens in the largest cluster), `empty` (clusters without a token), `elsewhere` (share of tokens that
        the last kept step has in another cluster). No row of runs that kept none.
    """
    rows = []
    for record in tqdm([r for r in records if r.kept_centroids], desc="clusters", unit="network"):
        snapshots, network = record.centroids(), record.network()
        for ref in refs:
            lr, _ = pair(ref, record.run.scale)
            layers = {layer.name: layer for layer in trace(network, lr)}
            for name in next(iter(snapshots.values())):
                maps = clusters_over_training(lr, layers[name], snapshots)
                last = maps[max(maps)]
                for step, each in maps.items():
                    row = {
                        "run": record.run.hash,
                        "seed": record.run.seed,
                        "clusters": each.count,
                        "layer": name,
                        "step": step,
                        "name": ref.name,
                        "gini": gini(each.sizes),
                        "largest": each.sizes.max() / each.sizes.sum(),
                        "empty": np.count_nonzero(each.sizes == 0),
                        "elsewhere": (each.clusters != last.clusters).mean(),
                    }
                    rows.append(row)
    return pd.DataFrame(rows, columns=EVENNESS)


def ways(records: Sequence[Record], refs: Sequence[ImageRef]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How trained centroids divide the tokens of images, and how k-means divides the same tokens otherwise.

    The tokens are those of the first layer that learns centroids. The ways are "as trained"; ten more Lloyd
    iterations from there on the tokens of all these images, where empty clusters stay ("iterated") or are
    re-seeded ("iterated, re-seeding"); and as many from a start of its own, "anew from points" or "anew by
    k-means++". So it shows whether the tokens, the start or the update leaves clusters empty.

    Parameters
    ----------
    records : sequence of Record
    refs : sequence of ImageRef
        HR images.

    Returns
    -------
    sizes : DataFrame
        run, seed, clusters (k), way, `rank` (1: the largest), `tokens` (of all images), a cluster a row.
    evenness : DataFrame
        run, seed, clusters, way, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of tokens in the
        largest cluster), `empty` (clusters without a token), `effective` (how many clusters of one size were
        as even), an image a row.

    Raises
    ------
    InputError
        If a network learns no centroids.
    """
    sizes, evenness = [], []
    for record in tqdm(records, desc="k-means", unit="network"):
        traced = list(_first_layer(record, refs))
        tokens = [layer.pattern.key[:, 0] for _, layer, _ in traced]
        learnt = traced[0][2][:1]
        for way, means in _ways(torch.cat(tokens, 1), learnt, record.run.seed).items():
            own = {
                "run": record.run.hash,
                "seed": record.run.seed,
                "clusters": learnt.shape[1],
                "way": way,
            }
            each = [assign(points, means).flatten().bincount(minlength=learnt.shape[1]) for points in tokens]
            ranked = torch.stack(each).sum(0).sort(descending=True).values
            sizes += [own | {"rank": i, "tokens": held} for i, held in enumerate(ranked.tolist(), 1)]
            for ref, found in zip(refs, (one.numpy() for one in each), strict=True):
                row = {
                    "name": ref.name,
                    "gini": gini(found),
                    "largest": found.max() / found.sum(),
                    "empty": np.count_nonzero(found == 0),
                    "effective": effective(found),
                }
                evenness.append(own | row)
    return pd.DataFrame(sizes), pd.DataFrame(evenness)


@torch.inference_mode()
def _ways(points: Points, learnt: Centroids, seed: int) -> dict[str, Centroids]:
    """The centroids of each way, by its name."""

    def iterated(means: Centroids, empty_clusters: EmptyClusters = "stay") -> Centroids:
        for _ in range(SphericalKMeans.iterations):
            means = lloyd_step(points, means, empty_clusters)
        return means

    fresh = {
        way: iterated(start(points, 1, learnt.shape[1], torch.Generator().manual_seed(seed)))
        for way, start in (("anew from points", draw), ("anew by k-means++", draw_apart))
    }
    return {
        "as trained": learnt,
        "iterated": iterated(learnt),
        "iterated, re-seeding": iterated(learnt, "reseed"),
        **fresh,
    }
