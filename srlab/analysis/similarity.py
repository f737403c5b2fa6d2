"""How alike the layers of a network are: their features, and whom they attend to.

If neighbouring layers attend alike, their weights can be shared: LCoAN computes them once for all layers
(arXiv 2404.04922), ESC has one attention a block and convolutions after (arXiv 2503.06671).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.analysis.images import centre, pair
from srlab.analysis.layers import LayerTrace, attention_row, trace
from srlab.attention import SCC, Attention
from srlab.attention.contract import to_tokens
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern
from srlab.data.sources import ImageRef
from srlab.errors import InputError
from srlab.models.trunk import Trunk
from srlab.study.records import Record

#: Largest side, in LR pixels, of what `layer_similarity` looks at.
SIDE = 96

#: Columns of `layer_similarity`.
SIMILARITY = ["model", "seed", "run", "image", "kind", "first", "second", "similarity"]


def cka(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> float:
    """Linear centred kernel alignment: how alike two sets of features of the same samples are.

    Parameters
    ----------
    x, y : Float[Tensor, "n p"], Float[Tensor, "n q"]
        A sample a row.

    Returns
    -------
    float
        0 (uncorrelated) to 1 (the same up to rotation and one scale for all); not a number if x or y is the
        same for all samples.

    References
    ----------
    S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of neural network representations revisited",
    ICML 2019.
    """
    x, y = (features.double() - features.double().mean(0) for features in (x, y))
    return (torch.linalg.norm(x.T @ y) ** 2 / torch.linalg.norm(x.T @ x) / torch.linalg.norm(y.T @ y)).item()


def feature_similarity(network: Trunk, lr: UInt8[Tensor, "3 h w"]) -> Float[np.ndarray, "units units"]:
    """CKA between the outputs of a trunk's feature aggregation units, with the image's tokens as samples.

    Parameters
    ----------
    network : Trunk
        It is put in evaluation mode.
    lr : UInt8[Tensor, "3 h w"]
        0 to 255.

    Returns
    -------
    Float[np.ndarray, "units units"]
        Symmetric, 0 to 1. Units are residual, x + 0.1 · f(x): much of the likeness is the x that they
        hand on.
    """
    features: list[Tensor] = []

    def hook(unit: nn.Module, inputs: tuple, outputs: tuple) -> None:
        features.append(to_tokens(outputs[0])[0])

    hooks = [unit.register_forward_hook(hook) for unit in network.groups]
    try:
        with torch.inference_mode():
            network.eval()(lr[None].to(network.mean.mean.device).float() / 255)
    finally:
        for each in hooks:
            each.remove()
    return _matrix(features, cka)


def map_similarity(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], queries: int = 64
) -> Float[np.ndarray, "layers layers"]:
    """How alike the attention weights of a network's layers are: the mean cosine over queries and heads.

    Parameters
    ----------
    network : nn.Module
        As in `srlab.analysis.layers.trace`.
    lr : UInt8[Tensor, "3 h w"]
        0 to 255.
    queries : int
        At most so many, the pixels at the centres of a grid of as many rows as columns.

    Returns
    -------
    Float[np.ndarray, "layers layers"]
        Symmetric, 0 (no key in common) to 1 (the same weights), in the order in which the layers ran. The
        weights of one query are a vector over all pixels. Layers with as many heads are compared head by
        head, others by the mean of their heads. ConvAttn's weights are those of
        `srlab.analysis.layers.attention_row`.

    Raises
    ------
    InputError
        If there is no query, the network has no attention layer, or one has no weights (SCC).
    """
    if queries < 1:
        raise InputError(f"queries is {queries}; at least 1 is expected")
    layers = trace(network, lr)
    side = isqrt(queries)
    centres = (np.arange(side) + 0.5) / side
    rows, columns = (np.unique((centres * length).astype(int)).tolist() for length in lr.shape[1:])
    places = [(row, column) for row in rows for column in columns]
    with torch.inference_mode():
        return _matrix([weights_at(layer, places) for layer in layers], cosine)


def layer_similarity(records: Sequence[Record], refs: Sequence[ImageRef], scale: int) -> pd.DataFrame:
    """How alike the layers of trained networks are, two layers on an image a row.

    Parameters
    ----------
    records : sequence of Record
        Of training runs.
    refs : sequence of ImageRef
        HR images, of which the middle is taken, at most `SIDE` LR pixels a side.
    scale : int

    Returns
    -------
    DataFrame
        model, seed, run (hash), image, kind, first, second (numbers of the layers, from 0; each with each),
        similarity (0 to 1). Kind is "features", `feature_similarity`, for networks on the trunk, and "maps",
        `map_similarity`, for networks all of whose attention layers have weights; a network can have both.
    """
    tables = []
    for record in tqdm(records, desc="similarity of layers", unit="network"):
        network = record.network()
        for ref in refs:
            lr = centre(pair(ref, scale)[0], SIDE)
            for kind, measure in _measures(network).items():
                matrix = measure(network, lr)
                first, second = np.indices(matrix.shape)
                columns = {
                    "model": record.run.network.model,
                    "seed": record.run.seed,
                    "run": record.run.hash,
                    "image": ref.name,
                    "kind": kind,
                    "first": first.ravel(),
                    "second": second.ravel(),
                    "similarity": matrix.ravel(),
                }
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SIMILARITY)


def _measures(network: nn.Module) -> dict[str, Callable[..., np.ndarray]]:
    """What can be measured of a network."""
    attention = [module for module in network.modules() if isinstance(module, Attention)]
    measures = {"features": feature_similarity} if isinstance(network, Trunk) else {}
    if attention and not any(isinstance(layer, SCC) for layer in attention):
        measures["maps"] = map_similarity
    return measures


def _matrix(of_layers: list[Tensor], measure: Callable[[Tensor, Tensor], float]) -> np.ndarray:
    """A symmetric measure of each layer with each."""
    matrix = np.empty((len(of_layers), len(of_layers)))
    for i, one in enumerate(of_layers):
        for j, other in enumerate(of_layers[: i + 1]):
            matrix[i, j] = matrix[j, i] = measure(one, other)
    return matrix


def weights_at(layer: LayerTrace, places: Sequence[tuple[int, int]]) -> Float[Tensor, "heads q l"]:
    """Weights of the queries at (row, column) over all pixels of the layer's map, row by row, as `attention_row`'s."""
    pattern = layer.pattern
    if isinstance(pattern, KernelPattern | CorrelationPattern):  # they have no softmax over keys
        return torch.from_numpy(np.stack([attention_row(layer, *place).ravel() for place in places]))[None]
    weights = pattern.weights(torch.cat([layer.query(*place) for place in places]))[0]
    # Several keys of one pixel, where a mechanism fills its map, add up.
    pixels = weights.new_zeros(*weights.shape[:2], layer.height * layer.width)
    return pixels.index_add_(2, pattern.pixels(), weights).cpu()


def cosine(one: Float[Tensor, "heads q l"], other: Float[Tensor, "_heads q l"]) -> float:
    """The mean cosine of weights, head by head where there are as many heads, else of the heads' means."""
    if len(one) != len(other):
        one, other = one.mean(0, keepdim=True), other.mean(0, keepdim=True)
    return torch.cosine_similarity(one.double(), other.double(), dim=-1).mean().item()
