"""Attention with altered weights at test time, through the contract of :mod:`srlab.attention.contract`.

- "uniform weights": a query's weights become equal over the keys in its view, each as often as it occurs.
- "shuffled keys": the values of all keys are permuted, so that a weight meets the content of another place.
- "own 7×7 only": keys outside the query's 7×7 neighbourhood are dropped, and the rest is scaled to sum to one. A query
  without a neighbour in view, as windows that choose others may have, attends to nothing.

Two mechanisms have no softmax. *A kernel* (ConvAttn, a local convolution): the weights are its taps, large and dynamic
kernel added up. For each pair of channels they become their mean, or are permuted alike for all pairs, or are zero
outside 7×7. *Correlations* (SCC): both halves are sums over the pixels j of a window with signed weights,
(q_i·r_g/d + bias) for j's share of the token r_g of its group, and v_i·v_j/p for q_j. The weights become their mean
over the window; the other two changes are as above, without scaling.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from functools import singledispatch

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from srlab.analysis.layers import hooked
from srlab.attention import SCC, Attention, ConvAttn, LocalConvolution, Pattern
from srlab.attention.contract import inverse, to_map
from srlab.attention.conv_attn import KernelPattern, depthwise
from srlab.attention.gmsa import MultiscalePattern
from srlab.attention.routed_windows import by_head
from srlab.attention.scc import CorrelationPattern
from srlab.errors import InputError

UNIFORM, SHUFFLED, OWN = CHANGES = ("uniform weights", "shuffled keys", "own 7×7 only")
#: Weights as they are, by the plain formula in place of the fast path: what tests compare with.
NOTHING = "nothing"
#: The neighbourhood's reach in pixels: 7×7.
REACH = 3
#: Queries with weights in memory at a time.
QUERIES = 256

Map = Float[Tensor, "b c h w"]
Tokens = Float[Tensor, "b heads _tokens d"]


class Altered(Pattern):
    """A pattern with altered weights, on a map of this width; by the plain formula, unless only values move."""

    def __init__(self, pattern: Pattern, change: str, width: int):
        self.pattern, self.change, self.width = pattern, change, width
        self.query, self.key, self.pixels = pattern.query, pattern.key, pattern.pixels

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        if self.change == SHUFFLED:
            return self.pattern.attend(value[:, :, shuffled(value.shape[2])])
        fast = {Correlations: in_part, MultiscalePattern: in_sizes}.get(type(self.pattern), plain)
        return fast(self, value)

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        seen = self.pattern.multiplicity(queries)
        return seen * self._near(queries) if self.change == OWN else seen

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        signed = isinstance(self.pattern, Correlations)
        if self.change == UNIFORM:
            seen = self.multiplicity(queries).to(self.key.dtype)
            even = seen / seen.sum(-1, keepdim=True)
            return self.pattern.weights(queries).sum(-1, keepdim=True) * even if signed else even
        weights = self.pattern.weights(queries)
        if self.change == OWN:
            weights = weights * self._near(queries)
            return weights if signed else (weights / weights.sum(-1, keepdim=True)).nan_to_num(0)
        return weights

    def _near(self, queries: Int[Tensor, " q"] | None) -> Bool[Tensor, "q m"]:
        keys = self.pixels()
        queries = torch.arange(self.query.shape[2], device=keys.device) if queries is None else queries
        return near(queries[:, None], keys, self.width)


class Correlations(Pattern):
    """The pixels of a query's window with signed weights, query·key + position [heads p groups] of each group [p]."""

    def __init__(self, pattern: CorrelationPattern, query: Tokens, key: Tokens, position: Tensor | None, group: Tensor):
        self.query, self.key, self.position = query, key, position
        self.grid, self.device = pattern.grid, pattern.device
        self.multiplicity, self.pixels = pattern.multiplicity, pattern.pixels
        self.group = group.repeat(math.prod(self.grid.shape))

    def windows(self, tokens: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads n p c"]:
        return tokens.unflatten(2, (-1, math.prod(self.grid.window)))

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        """Sum over keys first, as SCC does: no correlations of pairs are held."""
        window, place = self.grid.place(None, self.device)
        sums = self.windows(self.key).mT @ self.windows(value)
        found = (self.query[..., None, :] @ sums[:, :, window])[..., 0, :]
        if self.position is None:
            return found
        one = one_hot(self.group[: math.prod(self.grid.window)]).to(value.dtype)
        of_group = one.mT @ self.windows(value)
        return found + (self.position[:, place, None] @ of_group[:, :, window])[..., 0, :]

    def narrowed(self, keys: Int[Tensor, " k"]) -> Correlations:
        """Return the same with some of the keys."""
        part, pixels, window = copy(self), self.pixels()[keys], keys // math.prod(self.grid.window)
        part.key, part.pixels = self.key[:, :, keys], lambda: pixels
        part.multiplicity = lambda queries: (self.grid.place(queries, self.device)[0][:, None] == window)[None, None]
        part.group = self.group[keys]
        return part

    def bias(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "heads q m"] | float:
        place = self.grid.place(queries, self.device)[1]
        return 0.0 if self.position is None else self.position[:, place][:, :, self.group]

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        query = self.query if queries is None else self.query[:, :, queries]
        return (query @ self.key.mT + self.bias(queries)) * self.multiplicity(queries)


def near(query: Int[Tensor, "*q"], key: Int[Tensor, "*k"], width: int) -> Bool[Tensor, "*pairs"]:
    """Check that keys lie in the neighbourhoods of queries; both are pixels of a map of this width."""
    rows, columns = query // width - key // width, query % width - key % width
    return (rows.abs() <= REACH) & (columns.abs() <= REACH)


def plain(pattern: Pattern, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
    """Attend by the plain formula, with the weights of `QUERIES` queries in memory at a time."""
    queries = torch.arange(pattern.query.shape[2], device=value.device)
    return torch.cat([pattern.weights(some) @ value for some in queries.split(QUERIES)], 2)


def in_part(altered: Altered, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
    """Attend as `plain` does, by correlations: their sums need no weights, and an own 7×7 only the keys nearby."""
    pattern, width, found = altered.pattern, altered.width, []
    if altered.change == UNIFORM:
        mean = pattern.windows(value).mean(3)[:, :, pattern.grid.place(None, value.device)[0]]
        return pattern.attend(torch.ones_like(value)) * mean
    if altered.change == NOTHING:
        return pattern.attend(value)
    rows = pattern.pixels() // width
    for some in torch.arange(pattern.query.shape[2], device=value.device).split(QUERIES):
        first, last = some[0] // width - REACH, some[-1] // width + REACH
        keys = ((rows >= first) & (rows <= last)).nonzero()[:, 0]
        part = Altered(pattern.narrowed(keys), OWN, width)
        found.append(part.weights(some) @ value[:, :, keys])
    return torch.cat(found, 2)


def in_sizes(altered: Altered, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
    """Attend as `plain` does, by ELAN's windows of each size."""
    windows, pixels, parts = altered.pattern.windows, altered.pixels(), []
    order = windows.pixel_of(value.device)
    back = inverse(order)
    for i, side in enumerate(windows.sides):
        of_windows = (altered.key[:, i, order[i]], value[:, i, order[i]])
        tokens, values = (each.unflatten(1, (-1, side**2)) for each in of_windows)
        weights, own = (tokens @ tokens.mT).softmax(-1), pixels[order[i]].unflatten(0, (-1, side**2))
        if altered.change == UNIFORM:
            weights = torch.full_like(weights, 1 / side**2)
        elif altered.change == OWN:
            weights = weights * near(own[:, :, None], own[:, None], altered.width)
            weights = (weights / weights.sum(-1, keepdim=True)).nan_to_num(0)
        parts.append((weights @ values).flatten(1, 2)[:, back[i]])
    return torch.stack(parts, 1)[:, :, windows.places(value.device)]


@singledispatch
def output(pattern: Pattern, layer: Attention, x: Map, change: str) -> Map:
    """Return a layer's output with altered weights of its pattern."""
    return layer.output(x, Altered(pattern, change, x.shape[3]).attend(layer.value(x)))


@output.register
def _(pattern: KernelPattern, layer: ConvAttn | LocalConvolution, x: Map, change: str) -> Map:
    """Run the layer with another kernel; ConvAttn takes one image, since each image has a dynamic kernel."""
    kernel = pattern.weight
    if isinstance(layer, LocalConvolution):
        taps = _with_taps(kernel, change)[:, 0]
        return x + layer.residual_scale * layer.merge(depthwise(x, taps.expand(len(x), *taps.shape)))
    [dynamic] = layer.small_kernels(x)
    placed = pad(dynamic, [kernel.shape[-1] // 2 - 1] * 4)
    across = torch.diag_embed(placed.permute(1, 2, 0)).permute(2, 3, 0, 1)
    altered = replace(pattern, weight=_with_taps(kernel + (across if pattern.mix is None else placed[:, None]), change))
    twin = copy(layer)
    twin.pattern = lambda x, shared=None: altered
    twin.small_kernels = lambda x: torch.zeros_like(dynamic)[None]
    return twin.forward(x)[0]


def _with_taps(kernel: Float[Tensor, "p in k k"], change: str) -> Float[Tensor, "p in k k"]:
    if change == UNIFORM:
        return kernel.mean((2, 3), keepdim=True).expand_as(kernel)
    if change == SHUFFLED:
        taps = kernel.flatten(2)
        return taps[:, :, shuffled(taps.shape[2])].reshape(kernel.shape)
    offsets = torch.arange(kernel.shape[-1], device=kernel.device) - kernel.shape[-1] // 2
    near = (offsets.abs() <= REACH) | (change == NOTHING)
    return kernel * (near[:, None] & near)


@output.register
def _(pattern: CorrelationPattern, layer: SCC, x: Map, change: str) -> Map:
    grid, height, width = pattern.grid, *x.shape[2:]
    filled = grid.pad(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    q, v = grid.cut((layer.bottleneck(filled) * layer.straight(filled)).permute(0, 2, 3, 1)).chunk(2, -1)
    (_, down), (tall, wide) = layer.groups, layer.position.members
    place = torch.arange(q.shape[2], device=x.device)
    row, column = place // grid.window[1], place % grid.window[1]
    group = row // tall * down + column // wide
    # A pixel's share of its group's token, and that token for each pixel.
    share = layer.reduce.weight[0, row % tall * wide + column % wide][:, None] * v
    share = share + layer.reduce.bias / (tall * wide)
    token = (one_hot(group).to(v.dtype).mT @ share)[:, :, group]

    def of_map(windows: Float[Tensor, "b n p c"]) -> Float[Tensor, "b h w c"]:
        return grid.crop(grid.join(windows))

    heads, depth = layer.heads, q.shape[3] // layer.heads
    spatial = Correlations(pattern, by_head(of_map(q) / depth, heads), by_head(token, heads), layer.position(), group)
    channel = Correlations(pattern, by_head(of_map(v) / len(place), 1), by_head(v, 1), None, group)
    halves = (
        Altered(weights, change, width).attend(by_head(value, count))
        for weights, value, count in ((spatial, share, heads), (channel, q, 1))
    )
    return to_map(layer.out(torch.cat([half.transpose(1, 2).flatten(2) for half in halves], -1)), height, width)


def shuffled(count: int) -> Int[Tensor, " count"]:
    """Return the order of that many shuffled keys, always the same."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def attention_layers(network: nn.Module) -> list[Attention]:
    return [module for module in network.modules() if isinstance(module, Attention)]


def altered(network: nn.Module, change: str) -> AbstractContextManager[None]:
    """Alter every attention layer within the block, by one of `CHANGES` or `NOTHING`; ConvAttn takes one image then.

    Raises InputError if the change is unknown, or the network has no attention layer.
    """
    if change not in (*CHANGES, NOTHING):
        raise InputError(f"change is '{change}'; allowed are {', '.join((*CHANGES, NOTHING))}")
    if not (layers := attention_layers(network)):
        raise InputError("network has no attention layer: no weights to alter")

    def hook(layer: Attention, inputs: tuple, outputs: tuple) -> tuple[Map, Pattern | None]:
        pattern = outputs[1] if layer.shares else layer.pattern(*inputs)
        return output(pattern, layer, inputs[0], change), outputs[1]

    return hooked(layers, hook)
