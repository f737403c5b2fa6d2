"""Tables of clusters: evenness, the drift of centroids in training, and other ways of k-means on the same tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped
from tqdm.auto import tqdm

from srlab.analysis.images import pair
from srlab.analysis.layers import LayerTrace, trace
from srlab.analysis.sorting import clusters, gini
from srlab.attention import SphericalKMeans
from srlab.attention.kmeans import Centroids, EmptyClusters, Points, assign, draw, draw_apart, lloyd_step
from srlab.chapters.clusters.maps import kept_centroids, over_training, traced
from srlab.data.layouts import ImageRef
from srlab.study.records import Record
from srlab.training import Snapshots

Directions = Float[np.ndarray, "*#many d"]
#: Records by the name of an arm, e.g. "k = 64".
Arms = Mapping[str, Sequence[Record]]


def _each(arms: Arms) -> list[tuple[dict[str, object], Record]]:
    found = [(arm, record) for arm, records in arms.items() for record in records]
    return [({"arm": arm, "run": record.run.hash, "seed": record.run.seed}, record) for arm, record in found]


def effective(sizes: Shaped[np.ndarray, " k"]) -> float:
    """Return the effective number of clusters: the exponential of the entropy of their shares."""
    share = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def pure_windows(layer: LayerTrace) -> float:
    """Return the share of windows, 0 to 1, with tokens of a single cluster."""
    pattern = layer.pattern
    codes = pattern.codes[0, 0][pattern.slots[0, 0]].unflatten(0, (-1, pattern.window))
    return (codes == codes[:, :1]).all(1).float().mean().item()


def _counts(sizes: Shaped[np.ndarray, " k"]) -> dict[str, float]:
    return {"gini": gini(sizes), "largest": sizes.max() / sizes.sum(), "empty": np.count_nonzero(sizes == 0)}


def evenness(arms: Arms, refs: Sequence[ImageRef]) -> pd.DataFrame:
    """Measure how evenly the first layer of trained networks divides the tokens of images, an image a row.

    Columns: arm, run, seed, clusters, window, name, `gini` (of cluster sizes, 0 to 1), `largest` (share of tokens in
    the largest cluster), `empty` (clusters without a token), `pure_windows` (share of windows with a single cluster).
    """
    rows = []
    for facts, record in tqdm(_each(arms), desc="clusters", unit="network"):
        options, network = record.run.network.options, record.network()
        facts |= {option: options[option] for option in ("clusters", "window")}
        for ref in refs:
            layer = trace(network, pair(ref, record.run.scale)[0])[0]
            sizes = np.bincount(clusters(layer).ravel(), minlength=options["clusters"])
            rows.append(facts | {"name": ref.name, **_counts(sizes), "pure_windows": pure_windows(layer)})
    return pd.DataFrame(rows)


def angle(one: Directions, other: Directions) -> Float[np.ndarray, "*many"]:
    """Return degrees between unit vectors, 0 to 180, exact where an arc cosine of nearly 1 would not be."""
    apart, together = (np.linalg.norm(side, axis=-1) for side in (one - other, one + other))
    return np.degrees(2 * np.arctan2(apart, together))


def turned(snapshots: Snapshots, layer: str) -> Float[np.ndarray, "steps k"]:
    """Return the angle (degrees) of each centroid from its place at the first kept step."""
    means = np.stack([each[layer][0].double().numpy() for each in snapshots.values()])
    return angle(means, means[:1])


def drift(arms: Arms) -> pd.DataFrame:
    """Summarise how centroids moved in training, a layer at a kept step a row.

    Columns: arm, run, seed, layer, step, q25, median, q75 (degrees from the first kept step, over centroids), still
    (share of centroids at rest since the kept step before); no rows of runs that kept no centroids.
    """
    tables = []
    for facts, record in _each(arms):
        snapshots = kept_centroids(record)
        for layer in next(iter(snapshots.values()), {}):
            low, middle, high = np.quantile(turned(snapshots, layer), [0.25, 0.5, 0.75], axis=1)
            means = np.stack([each[layer][0].numpy() for each in snapshots.values()])
            still = [np.nan, *(means[1:] == means[:-1]).all(-1).mean(-1)]
            angles = {"q25": low, "median": middle, "q75": high, "still": still}
            tables.append(pd.DataFrame(facts | {"layer": layer, "step": list(snapshots), **angles}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def evenness_over_training(arms: Arms, refs: Sequence[ImageRef]) -> pd.DataFrame:
    """Measure how evenly the centroids of each kept step divide images, by the features of the trained network.

    Columns: arm, run, seed, layer, step, name, gini, largest, empty, `elsewhere` (share of tokens that the last kept
    step has in another cluster), an image at a step a row; no rows of runs that kept no centroids.
    """
    rows = []
    kept = [(facts, record, found) for facts, record in _each(arms) if (found := kept_centroids(record))]
    for facts, record, snapshots in tqdm(kept, desc="centroids", unit="network"):
        network = record.network()
        for ref in refs:
            maps = over_training(network, pair(ref, record.run.scale)[0], snapshots)
            for layer, by_step in maps.items():
                last = by_step[max(by_step)].clusters
                for step, each in by_step.items():
                    row = facts | {"layer": layer, "step": step, "name": ref.name, **_counts(each.sizes)}
                    rows.append(row | {"elsewhere": (each.clusters != last).mean()})
    return pd.DataFrame(rows)


def ways(records: Sequence[Record], refs: Sequence[ImageRef]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare how trained centroids and other ways of k-means divide the same tokens.

    The tokens are those of the first layer that learns centroids, of all images. The ways: "as trained"; ten more Lloyd
    iterations from there, where empty clusters stay ("iterated") or are re-seeded ("iterated, re-seeding"); as many
    iterations from a start of its own ("anew from points", "anew by k-means++"). So the table separates three causes of
    empty clusters: the tokens, the start, the update. Raises InputError if a network learns no centroids.

    Return sizes: run, seed, clusters (k), way, `rank` (1: the largest), `tokens` (of all images), a cluster a row; and
    evenness: run, seed, clusters, way, name, gini, largest, empty, `effective` (number of clusters), an image a row.
    """
    sizes, evenness = [], []
    for record in tqdm(records, desc="k-means", unit="network"):
        layers = list(traced(record.network(), refs, record.run.scale))
        tokens, learnt = [layer.pattern.key[:, 0] for _, layer, _ in layers], layers[0][2][:1]
        for way, means in _ways(torch.cat(tokens, 1), learnt, record.run.seed).items():
            k = learnt.shape[1]
            own = {"run": record.run.hash, "seed": record.run.seed, "clusters": k, "way": way}
            each = [assign(points, means).flatten().bincount(minlength=k).numpy() for points in tokens]
            ranked = np.sort(np.sum(each, 0))[::-1]
            sizes += [own | {"rank": i, "tokens": held} for i, held in enumerate(ranked.tolist(), 1)]
            images = zip(refs, each, strict=True)
            evenness += [own | {"name": ref.name, **_counts(n), "effective": effective(n)} for ref, n in images]
    return pd.DataFrame(sizes), pd.DataFrame(evenness)


@torch.inference_mode()
def _ways(points: Points, learnt: Centroids, seed: int) -> dict[str, Centroids]:
    def iterated(means: Centroids, empty_clusters: EmptyClusters = "stay") -> Centroids:
        for _ in range(SphericalKMeans.iterations):
            means = lloyd_step(points, means, empty_clusters)
        return means

    def anew(start: object) -> Centroids:
        return iterated(start(points, 1, learnt.shape[1], torch.Generator().manual_seed(seed)))

    return {
        "as trained": learnt,
        "iterated": iterated(learnt),
        "iterated, re-seeding": iterated(learnt, "reseed"),
        "anew from points": anew(draw),
        "anew by k-means++": anew(draw_apart),
    }
