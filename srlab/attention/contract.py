"""What every attention mechanism promises, so that one test proves them and one explorer draws them.

A mechanism is an :class:`Attention`: it makes a :class:`Pattern` (who sees whom, with what query and key),
values, and an output. A pattern knows a fast way to attend and, for any query, the keys it sees and their
multiplicity. From the latter follows the plain formula: a dense masked softmax, which is the oracle.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from srlab.attention.fused import fit


def to_tokens(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b l c"]:
    """Tokens in row-major order, each contiguous as kernels want them; no copy when `x` is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def to_map(tokens: Float[Tensor, "b l c"], height: int, width: int) -> Float[Tensor, "b c h w"]:
    """The inverse of :func:`to_tokens`; a channels-last map, no copy."""
    return tokens.unflatten(1, (height, width)).permute(0, 3, 1, 2)


class Pattern:
    """Which keys each query sees, and how strongly.

    Attributes
    ----------
    query : Float[Tensor, "b heads l d"]
        Scaled so that scores are plain dot products.
    key : Float[Tensor, "b heads m d"]
        m is l, or more where a mechanism pads its map.
    """

    query: Float[Tensor, "b heads l d"]
    key: Float[Tensor, "b heads m d"]

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        """Weighted sums of the values, by the fast path."""
        raise NotImplementedError

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        """How many times each of the asked queries (all, if None) sees each key; 0 means unseen.

        Heads that share their keys may be given as one.
        """
        raise NotImplementedError

    def pixels(self) -> Int[Tensor, " m"]:
        """The pixel of each key, row by row of the map; a key that fills the map has the pixel it copies."""
        return torch.arange(self.key.shape[2], device=self.key.device)

    def bias(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, ...] | float:
        """What is added to the scores; broadcasts to [b, heads, q, m]."""
        return 0.0

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        """Attention weights of the asked queries over all keys, by the plain formula; rows sum to one.

        A softmax over repeated keys is a softmax in which a key's exponential counts as often as it is
        seen: that is the logarithm of the multiplicity added to its score.
        """
        query = self.query if queries is None else self.query[:, :, queries]
        scores = query @ self.key.mT + self.bias(queries)
        return (scores + self.multiplicity(queries).to(scores.dtype).log()).softmax(-1)


class Attention(nn.Module):
    """One attention mechanism on a feature map: `forward(x, shared=None) -> (y, shared)`.

    `shared` carries a pattern from the layer that made it to the layers that reuse it. A mechanism that
    gives its pattern away sets `shares`; the others pass `shared` through untouched.

    A mechanism with a loss of its own leaves it, weighted, in `auxiliary_loss` at each forward pass in
    training mode; the training loop takes it from there.
    """

    shares = False
    auxiliary_loss: Float[Tensor, ""] | None = None

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> Pattern:
        """Who sees whom for this input (and, for layers that reuse one, the shared pattern itself)."""
        raise NotImplementedError

    def value(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads m c"]:
        """What the keys carry."""
        raise NotImplementedError

    def output(self, x: Float[Tensor, "b c h w"], attended: Float[Tensor, "b heads l c"]) -> Float[Tensor, "b c h w"]:
        """The layer's output, residual included, from what was attended."""
        raise NotImplementedError

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern | None]:
        pattern = self.pattern(x, shared)
        y = self.output(x, pattern.attend(self.value(x)))
        return y, (pattern if self.shares else shared)


class ResidualAttention(Attention):
    """Values by a 1×1 convolution; output x + residual_scale · result."""

    def __init__(self, channels: int, residual_scale: float = 0.1):
        super().__init__()
        self.residual_scale = residual_scale
        self.assembly = nn.Conv2d(channels, channels, 1)

    def value(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads m c"]:
        return to_tokens(self.assembly(x))[:, None]

    def output(self, x: Float[Tensor, "b c h w"], attended: Float[Tensor, "b heads l c"]) -> Float[Tensor, "b c h w"]:
        return x.add(to_map(attended[:, 0], *x.shape[2:]), alpha=self.residual_scale)


def dense_attention(
    layer: Attention, x: Float[Tensor, "b c h w"], shared: Pattern | None = None
) -> Float[Tensor, "b c h w"]:
    """The oracle: the layer's output by a dense masked softmax over all keys. For small inputs only."""
    return layer.output(x, layer.pattern(x, shared).weights() @ layer.value(x))


class Attended(NamedTuple):
    """One attention layer in one forward pass: its name in the network, itself, its input and what it attended with."""

    name: str
    layer: Attention
    x: Float[Tensor, "b c h w"]
    pattern: Pattern


def attended(network: nn.Module, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b 3 sh sw"], list[Attended]]:
    """A network's output, and what each of its attention layers did, in the order in which they ran."""
    found: list[Attended] = []

    def hook(name: str):
        def keep(layer: Attention, inputs: tuple, outputs: tuple) -> None:
            pattern = outputs[1] if layer.shares else layer.pattern(*inputs)
            found.append(Attended(name, layer, inputs[0], pattern))

        return keep

    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, Attention)]
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    try:
        output = network(images)
    finally:
        for each in hooks:
            each.remove()
    return output, found


def softmax_attention(
    query: Float[Tensor, "b heads l d"],
    key: Float[Tensor, "b heads m d"],
    value: Float[Tensor, "b heads m c"],
) -> Float[Tensor, "b heads l c"]:
    """Softmax(query·keyᵀ)·value without scaling, never holding the scores."""
    width = value.shape[-1]
    query, key, value = fit(query, key, value)
    return nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :width]


def gather_rows(table: Float[Tensor, "b l c"], rows: Int[Tensor, "b s"]) -> Float[Tensor, "b s c"]:
    """Rows of each image's table: `table[b, rows[b]]`, as one flat row copy."""
    start = torch.arange(len(table), device=table.device)[:, None] * table.shape[1]
    return table.flatten(0, 1).index_select(0, (rows + start).flatten()).unflatten(0, rows.shape)
