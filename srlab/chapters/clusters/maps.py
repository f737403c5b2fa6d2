"""Clusters of an image by the centroids of any kept step of training, and the most typical places of a cluster.

For layers with spherical k-means (`srlab.attention.LSP`); of several rounds, the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from srlab.analysis.images import pair, picture
from srlab.analysis.layers import LayerTrace, trace
from srlab.attention import SortedWindows
from srlab.attention.kmeans import Centroids
from srlab.data.layouts import ImageRef
from srlab.errors import InputError
from srlab.study.records import Record
from srlab.training import Snapshots, centroids_of
from srlab.weights.checkpoints import load_tensors

#: Side of a typical patch, LR pixels.
SIDE = 15


@dataclass(frozen=True)
class ClusterMap:
    """An image divided by centroids."""

    picture: UInt8[np.ndarray, "h w 3"]  # the LR image
    clusters: Int[np.ndarray, "h w"]  # of each token, 0 to k − 1
    similarity: Float[np.ndarray, "h w"]  # cosine between each token and the centroid of its cluster
    centroids: Float[np.ndarray, "k d"]  # of unit length

    @property
    def sizes(self) -> Int[np.ndarray, " k"]:
        """Tokens in each cluster."""
        return np.bincount(self.clusters.ravel(), minlength=len(self.centroids))


@dataclass(frozen=True)
class Patch:
    """The surroundings of one token.

    The token is pixel (row, col) of an image (by its index) and pixel `at` of `picture` (LR): the middle, unless the
    image ends there. `similarity` is the cosine between the token and the centroid.
    """

    image: int
    row: int
    col: int
    picture: UInt8[np.ndarray, "_h _w 3"]
    at: tuple[int, int]
    similarity: float


def kept_centroids(record: Record) -> Snapshots:
    """Read the centroids at the kept steps of training, by step and layer; empty if the run kept none."""
    file = record.folder / "centroids.safetensors"
    if not file.is_file():
        return {}
    layers, facts = load_tensors(file)
    return {step: {name: means[i] for name, means in layers.items()} for i, step in enumerate(facts["steps"])}


def clusters_at(lr: UInt8[Tensor, "3 h w"], layer: LayerTrace, centroids: Float[Tensor, "rounds k d"]) -> ClusterMap:
    """Divide an image by centroids of any step, with the features of the traced layer.

    Centroids of an earlier step isolate the effect of their movement: that step's network had other features.

    Raises InputError if the layer's tokens cannot be compared with the centroids.
    """
    width, own = centroids.shape[-1], layer.pattern
    if not isinstance(own, SortedWindows) or own.key.shape[-1] != width:
        layer = f"{layer.mechanism}, {layer.name}"
        raise InputError(f"{layer}: tokens cannot be compared with centroids of {width} channels")
    with torch.inference_mode():
        points = own.key[0, 0]
        similarity, codes = (points @ centroids[0].to(points).mT).max(-1)
    codes, similarity = (each.unflatten(0, (layer.height, layer.width)).cpu().numpy() for each in (codes, similarity))
    return ClusterMap(picture(lr), codes, similarity, centroids[0].cpu().numpy())


def over_training(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], snapshots: Snapshots
) -> dict[str, dict[int, ClusterMap]]:
    """Divide an image by the centroids of each kept step: maps by step, by layer."""
    layers = {layer.name: layer for layer in trace(network, lr)}
    return {
        name: {step: clusters_at(lr, layers[name], each[name]) for step, each in snapshots.items()}
        for name in next(iter(snapshots.values()))
    }


def traced(
    network: nn.Module, refs: Sequence[ImageRef], scale: int
) -> Iterator[tuple[UInt8[Tensor, "3 h w"], LayerTrace, Centroids]]:
    """Yield each LR image with the trace and the centroids of the first layer that learns centroids.

    Raises InputError if the network learns no centroids.
    """
    learnt = centroids_of(network)
    if not learnt:
        raise InputError(f"{type(network).__name__}: this network learns no centroids")
    name, means = next(iter(learnt.items()))
    for ref in refs:
        lr, _ = pair(ref, scale)
        yield lr, next(layer for layer in trace(network, lr) if layer.name == name), means


def divided(network: nn.Module, refs: Sequence[ImageRef], scale: int) -> list[ClusterMap]:
    """Divide LR images by the trained centroids of the first layer that learns some."""
    return [clusters_at(lr, layer, means) for lr, layer, means in traced(network, refs, scale)]


def total_sizes(maps: Sequence[ClusterMap]) -> Int[np.ndarray, " k"]:
    """Count the tokens of all images in each cluster; the maps are by the same centroids."""
    return np.sum([each.sizes for each in maps], 0)


def largest_first(maps: Sequence[ClusterMap]) -> list[int]:
    """Order clusters by their size in all images; equal ones by number."""
    return np.argsort(-total_sizes(maps), kind="stable").tolist()


def typical_patches(maps: Sequence[ClusterMap], cluster: int, count: int, side: int = SIDE) -> list[Patch]:
    """Cut the surroundings of the tokens of a cluster that are nearest to its centroid, over all images.

    Tokens are at least `side` rows or columns apart, so that no place appears twice; there may be fewer than `count`.
    Patches have `side` LR pixels a side.

    Raises InputError if there is no such cluster.
    """
    if not 0 <= cluster < (clusters := len(maps[0].centroids)):
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
        places = zip((row, col), whole.shape, strict=False)
        top, start = (max(0, min(at - side // 2, length - side)) for at, length in places)
        part = whole[top : top + side, start : start + side]
        patches.append(Patch(image, row, col, part, (row - top, col - start), similarity))
    return patches
