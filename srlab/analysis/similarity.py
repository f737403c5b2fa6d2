"""How similar the attention of a network's layers is.

If neighbouring layers attend alike, their weights can be shared: LCoAN computes them once for all layers
(arXiv 2404.04922), ESC has one attention a block and convolutions after (arXiv 2503.06671).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from srlab.analysis.layers import LayerTrace, attention_row, trace
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern
from srlab.errors import InputError


def map_similarity(
    network: nn.Module, lr: UInt8[Tensor, "3 h w"], queries: int = 64
) -> Float[np.ndarray, "layers layers"]:
    """Compare the attention weights of a network's layers by the mean cosine over queries and heads.

    Parameters
    ----------
    network : nn.Module
        As in `srlab.analysis.layers.trace`.
    lr : UInt8[Tensor, "3 h w"]
        0 to 255.
    queries : int
        At most this many: the pixels at the centres of a square grid.

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


def _matrix(layers: list[Tensor], measure: Callable[[Tensor, Tensor], float]) -> np.ndarray:
    """Measure each pair of layers."""
    matrix = np.empty((len(layers), len(layers)))
    for i, one in enumerate(layers):
        for j, other in enumerate(layers[: i + 1]):
            matrix[i, j] = matrix[j, i] = measure(one, other)
    return matrix


def weights_at(layer: LayerTrace, places: Sequence[tuple[int, int]]) -> Float[Tensor, "heads q l"]:
    """Return weights of the queries at (row, column) over all pixels of the layer's map, as `attention_row` does."""
    pattern = layer.pattern
    if isinstance(pattern, KernelPattern | CorrelationPattern):  # they have no softmax over keys
        return torch.from_numpy(np.stack([attention_row(layer, *place).ravel() for place in places]))[None]
    weights = pattern.weights(torch.cat([layer.query(*place) for place in places]))[0]
    # Several keys of one pixel, where a mechanism fills its map, add up.
    pixels = weights.new_zeros(*weights.shape[:2], layer.height * layer.width)
    return pixels.index_add_(2, pattern.pixels(), weights).cpu()


def cosine(one: Float[Tensor, "heads q l"], other: Float[Tensor, "_heads q l"]) -> float:
    """Return the mean cosine of weights, head by head for equal numbers of heads, else of the heads' means."""
    if len(one) != len(other):
        one, other = one.mean(0, keepdim=True), other.mean(0, keepdim=True)
    return torch.cosine_similarity(one.double(), other.double(), dim=-1).mean().item()
