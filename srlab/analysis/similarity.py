"""Similarity of attention weights: a query's weights in two layers, as vectors over all pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from srlab.analysis.layers import LayerTrace, attention_row
from srlab.attention.conv_attn import KernelPattern
from srlab.attention.scc import CorrelationPattern


def weights_at(layer: LayerTrace, places: Sequence[tuple[int, int]]) -> Float[Tensor, "heads q l"]:
    """Return the weights of the queries at (row, column) over all pixels of the layer's map; see `attention_row`."""
    pattern = layer.pattern
    if isinstance(pattern, KernelPattern | CorrelationPattern):  # they have no softmax over keys
        return torch.from_numpy(np.stack([attention_row(layer, *place).ravel() for place in places]))[None]
    weights = pattern.weights(torch.cat([layer.query(*place) for place in places]))[0]
    # Several keys of one pixel, where a mechanism fills its map, add up.
    pixels = weights.new_zeros(*weights.shape[:2], layer.height * layer.width)
    return pixels.index_add_(2, pattern.pixels(), weights).cpu()


def cosine(one: Float[Tensor, "heads q l"], other: Float[Tensor, "_heads q l"]) -> float:
    """Average the cosine of weights over queries and heads; unequal numbers of heads are averaged first."""
    if len(one) != len(other):
        one, other = one.mean(0, keepdim=True), other.mean(0, keepdim=True)
    return torch.cosine_similarity(one.double(), other.double(), dim=-1).mean().item()
