"""The contract of every attention mechanism: one test proves all of them, one explorer draws all of them.

An :class:`Attention` makes a :class:`Pattern`, values and an output. A pattern holds queries and keys, a fast path
(`attend`), and how often each query attends to each key (`multiplicity`). The latter gives the plain formula, a dense
masked softmax: the oracle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from srlab.attention.fused import Keys, Outputs, Queries, Values, fit
from srlab.errors import InputError

Map = Float[Tensor, "b c h w"]


def to_tokens(x: Map) -> Float[Tensor, "b l c"]:
    """Return tokens in row-major order, contiguous as kernels want them; no copy if `x` is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def to_map(tokens: Float[Tensor, "b l c"], height: int, width: int) -> Map:
    """Undo :func:`to_tokens`: return a channels-last map, without a copy."""
    return tokens.unflatten(1, (height, width)).permute(0, 3, 1, 2)


class Pattern:
    """The keys that each query attends to, and their weights.

    Queries are scaled: scores are plain dot products. The number of keys m is l, or more if a mechanism pads its map.
    """

    query: Queries
    key: Keys

    def attend(self, value: Values) -> Outputs:
        """Return weighted sums of the values, by the fast path."""
        raise NotImplementedError

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        """Return how often each query attends to each key, 0 for never; heads that share their keys may be one."""
        length = self.query.shape[2] if queries is None else len(queries)
        b, heads, m, _ = self.key.shape
        return torch.ones(b, heads, length, m, dtype=torch.long, device=self.key.device)

    def pixels(self) -> Int[Tensor, " m"]:
        """Return the pixel of each key, row by row of the map; a key of the padding has the pixel it copies."""
        return torch.arange(self.key.shape[2], device=self.key.device)

    def bias(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, ...] | float:
        """Return the bias of the scores; it broadcasts to [b, heads, q, m]."""
        return 0.0

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        """Return attention weights over all keys, by the plain formula; rows sum to one."""
        query = self.query if queries is None else self.query[:, :, queries]
        scores = query @ self.key.mT + self.bias(queries)
        # With the logarithm of its multiplicity added to its score, a key counts that often.
        return (scores + self.multiplicity(queries).to(scores.dtype).log()).softmax(-1)


class Attending(nn.Module):
    """A layer whose attention can be drawn: its first input is a feature map, and `traced` returns its pattern."""

    def traced(self, inputs: tuple, outputs: tuple) -> Pattern:
        """Return the pattern of a forward pass with these inputs and outputs."""
        raise NotImplementedError


class Attention(Attending):
    """A mechanism on a feature map: `forward(x, shared=None) -> (y, shared)`.

    `shared` carries a pattern from the layer that made it to the layers that reuse it. A mechanism that hands its
    pattern on sets `shares`; the others pass `shared` through. A loss of its own it leaves, weighted, in
    `auxiliary_loss` in training mode; the training loop adds it.
    """

    shares = False
    auxiliary_loss: Float[Tensor, ""] | None = None

    def pattern(self, x: Map, shared: Pattern | None = None) -> Pattern:
        """Return the pattern of this input; the shared one, if the layer reuses one."""
        raise NotImplementedError

    def value(self, x: Map) -> Values:
        """Return the values of the keys."""
        raise NotImplementedError

    def output(self, x: Map, attended: Outputs) -> Map:
        """Return the layer's output, residual included."""
        raise NotImplementedError

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        pattern = self.pattern(x, shared)
        y = self.output(x, pattern.attend(self.value(x)))
        return y, (pattern if self.shares else shared)

    def traced(self, inputs: tuple, outputs: tuple) -> Pattern:
        return outputs[1] if self.shares else self.pattern(*inputs)


class ResidualAttention(Attention):
    """Values by a 1×1 convolution; output x + residual_scale · result."""

    def __init__(self, channels: int, residual_scale: float = 0.1):
        super().__init__()
        self.residual_scale = residual_scale
        self.assembly = nn.Conv2d(channels, channels, 1)

    def value(self, x: Map) -> Values:
        return to_tokens(self.assembly(x))[:, None]

    def output(self, x: Map, attended: Outputs) -> Map:
        return x.add(to_map(attended[:, 0], *x.shape[2:]), alpha=self.residual_scale)


def dense_attention(layer: Attention, x: Map, shared: Pattern | None = None) -> Map:
    """Return the layer's output by a dense masked softmax over all keys: the oracle, for small inputs only."""
    return layer.output(x, layer.pattern(x, shared).weights() @ layer.value(x))


class Attended(NamedTuple):
    """An attention layer in a forward pass: its name in the network, its input and its pattern."""

    name: str
    layer: Attending
    x: Map
    pattern: Pattern


def attended(network: nn.Module, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 3 sh sw"], list[Attended]]:
    """Run a network; return its output and the record of each attention layer, in the order in which they ran."""
    found: list[Attended] = []

    def hook(name: str):
        def keep(layer: Attending, inputs: tuple, outputs: tuple) -> None:
            found.append(Attended(name, layer, inputs[0], layer.traced(inputs, outputs)))

        return keep

    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, Attending)]
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    try:
        output = network(images)
    finally:
        for each in hooks:
            each.remove()
    return output, found


def narrowed(channels: int, reduction: int) -> int:
    """Return channels // reduction, of queries and keys; InputError if none are left."""
    if reduction > channels:
        raise InputError(f"reduction is {reduction}: it must not be above channels, {channels}")
    return channels // reduction


def check_heads(channels: int, heads: int, name: str = "channels") -> None:
    """Raise an InputError unless heads can share the channels equally."""
    if channels % heads:
        raise InputError(f"{name} is {channels}: it must be a multiple of heads, {heads}")


def unit(tokens: Float[Tensor, "*rest d"]) -> Float[Tensor, "*rest d"]:
    """Return tokens of length one: the keys, where queries and keys are tied to one embedding, as LSP's and NLSA's."""
    return nn.functional.normalize(tokens, dim=-1, eps=5e-5)


def softmax_attention(query: Queries, key: Keys, value: Values) -> Outputs:
    """Return softmax(query·keyᵀ)·value, unscaled, without holding the scores."""
    width = value.shape[-1]
    query, key, value = fit(query, key, value)
    return nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :width]


def inverse(order: Int[Tensor, "*b n"]) -> Int[Tensor, "*b n"]:
    """Return the place of each number 0, 1, … in a permutation of these."""
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)


def gather_rows(table: Float[Tensor, "b l c"], rows: Int[Tensor, "b s"]) -> Float[Tensor, "b s c"]:
    """Return rows of each image's table, `table[b, rows[b]]`, by one flat row copy."""
    start = torch.arange(len(table), device=table.device)[:, None] * table.shape[1]
    return table.flatten(0, 1).index_select(0, (rows + start).flatten()).unflatten(0, rows.shape)
