"""Window attention: dense attention inside windows that do not overlap, with or without a position bias.

Large windows pay only if the scores are not held. Sources: arXiv 2503.06671 (ESC: 32×32 windows, position table as in
Swin Transformer, ICCV 2021); arXiv 2603.06738 (RIB: rank-factorised implicit neural bias, gate).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from srlab.attention.contract import Attention, Map, Pattern, check_heads, softmax_attention, to_map, unit
from srlab.attention.from_weights import FromWeights
from srlab.attention.fused import fit
from srlab.attention.window_grid import WindowGrid
from srlab.errors import InputError

Backend = Literal["sdpa", "reference", "flex"]
Tokens = Float[Tensor, "n heads p d"]
Values = Float[Tensor, "n heads p c"]


class PositionTable(FromWeights):
    """A learnt number for each head and offset, the key's minus the query's place; `window` is a side in pixels."""

    def __init__(self, heads: int, window: int):
        super().__init__()
        self.window = window
        self.table = nn.Parameter(0.001 * torch.randn(heads, (2 * window - 1) ** 2))

    def compute(self) -> Float[Tensor, "heads p p"]:
        offsets = self.table.unflatten(1, (2 * self.window - 1, 2 * self.window - 1))
        # Each query's biases are a patch of the table: the first's in the lower right, the last's at 0.
        of_query = offsets.unfold(1, self.window, 1).unfold(2, self.window, 1).flip(1, 2)
        return of_query.flatten(3, 4).flatten(1, 2)

    def plain(self) -> Float[Tensor, "heads p p"]:
        """Compute the same as papers write it: read the table at every pair's row and column offset."""
        pixels = torch.arange(self.window**2, device=self.table.device)
        return self.table[:, self.index(pixels[:, None], pixels)]

    def index(self, query: Int[Tensor, "*q"], key: Int[Tensor, "*k"]) -> Int[Tensor, "*pairs"]:
        """Return the place in the table of the bias of two pixels of a window."""
        rows = key // self.window - query // self.window + self.window - 1
        columns = key % self.window - query % self.window + self.window - 1
        return rows * (2 * self.window - 1) + columns

    def score_mod(self) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Return the function by which FlexAttention adds the table's bias to single scores."""
        table, index = self.table, self.index

        def add_bias(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return score + table[head, index(query, key)]

        return add_bias


class ImplicitPosition(FromWeights):
    """RIB: a position bias as a product of two small matrices, which plain fused attention can carry.

    A network of width `hidden` makes position queries and keys of width `rank`, which are appended to the others, from
    `frequencies` sine-cosine pairs of each pixel's place.
    """

    def __init__(self, heads: int, window: int, rank: int = 16, hidden: int = 32, frequencies: int = 10):
        super().__init__()
        self.window, self.frequencies = window, frequencies
        self.to_hidden = nn.Parameter(0.05 * torch.randn(2 + 4 * frequencies, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(1, hidden))
        self.to_query = nn.Parameter(0.05 * torch.randn(heads, hidden, rank))
        self.to_key = nn.Parameter(0.05 * torch.randn(heads, hidden, rank))

    def compute(self) -> tuple[Float[Tensor, "heads p rank"], Float[Tensor, "heads p rank"]]:
        """Return position queries, scaled so that the bias is a plain dot product, and position keys."""
        hidden = (self.features() @ self.to_hidden + self.hidden_bias).relu()
        return hidden @ self.to_query * self.to_query.shape[-1] ** -0.5, hidden @ self.to_key

    def features(self) -> Float[Tensor, "p features"]:
        """Return x, y on (−1, 1), and their sines and cosines at each frequency 2⁰, 2¹, …"""
        steps = torch.arange(self.window, device=self.to_hidden.device, dtype=self.to_hidden.dtype)
        centre = 2 * (steps + 0.5) / self.window - 1
        xy = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), -1).flatten(0, 1)
        waves = xy[:, None] * 2.0 ** torch.arange(self.frequencies, device=xy.device)[:, None]
        return torch.cat([xy, torch.cat([waves.sin(), waves.cos()], -1).flatten(1)], 1)


class BiasedAttention(torch.autograd.Function):
    """Softmax(query·keyᵀ + bias)·value by the fused kernel, one bias for all windows.

    For gradients of the bias, PyTorch would leave the fused kernel and keep every layer's scores until the backward
    pass. Here a layer's scores exist only during its own backward pass.
    """

    @staticmethod
    def forward(
        context: FunctionCtx, queries: Tokens, keys: Tokens, values: Values, bias: Float[Tensor, "heads p p"]
    ) -> Values:
        # Heads go first: a head's windows run while its bias is in the cache. For a mask of three dimensions, or one
        # that requires gradients, the CPU would take a kernel that holds all scores.
        by_head = (tokens.transpose(0, 1) for tokens in fit(queries, keys, values))
        mask = bias.detach()[:, None]
        out = scaled_dot_product_attention(*by_head, attn_mask=mask, scale=1.0).transpose(0, 1)
        out = out[..., : values.shape[-1]]
        context.save_for_backward(queries, keys, values, bias, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(context: FunctionCtx, gradient: Values) -> tuple[Tensor, ...]:
        queries, keys, values, bias, out = context.saved_tensors
        weights = (queries @ keys.mT).add_(bias).softmax(-1)
        of_scores = gradient @ values.mT
        of_scores.sub_((gradient * out).sum(-1, keepdim=True)).mul_(weights)
        # Transposed: products of few rows and many columns are several times faster.
        of_queries, of_keys = keys.mT @ of_scores.mT, queries.mT @ of_scores
        return of_queries.mT, of_keys.mT, (gradient.mT @ weights).mT, of_scores.sum(0)


@dataclass
class WindowPattern(Pattern):
    """Every query attends to the keys of its window once, padding included; `queries` and `keys` are by window."""

    grid: WindowGrid
    queries: Tokens
    keys: Tokens
    position: PositionTable | None = None
    backend: Backend = "sdpa"

    @property
    def query(self) -> Float[Tensor, "b heads l d"]:
        return self._to_pixels(self.queries)

    @property
    def key(self) -> Float[Tensor, "b heads m d"]:
        """Keys window by window."""
        return self.keys.unflatten(0, (-1, self._windows)).transpose(1, 2).flatten(2, 3)

    @property
    def _windows(self) -> int:
        rows, columns = self.grid.shape
        return rows * columns

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        values = value.transpose(1, 2).unflatten(1, (self._windows, -1)).flatten(0, 1).transpose(1, 2)
        attend = {"sdpa": self._fused, "reference": self._plain, "flex": self._flex}[self.backend]
        return self._to_pixels(attend(values))

    def _plain(self, values: Values) -> Values:
        scores = self.queries @ self.keys.mT
        if self.position is not None:
            scores = scores + self.position.plain()
        return scores.softmax(-1) @ values

    def _fused(self, values: Values) -> Values:
        if self.position is None:
            return softmax_attention(self.queries, self.keys, values)
        bias = self.position().to(values.dtype)
        return BiasedAttention.apply(self.queries, self.keys, values, bias)

    def _flex(self, values: Values) -> Values:
        score_mod = None if self.position is None else self.position.score_mod()
        try:
            return compiled_flex_attention()(self.queries, self.keys, values, score_mod=score_mod, scale=1.0)
        except Exception as error:
            if "InvalidCxxCompiler" not in str(error):
                raise
            raise InputError("backend 'flex': FlexAttention on a CPU needs a C++ compiler, and none is found") from None

    def _to_pixels(self, tokens: Float[Tensor, "n heads p c"]) -> Float[Tensor, "b heads l c"]:
        heads = tokens.shape[1]
        windows = tokens.transpose(1, 2).flatten(2).unflatten(0, (-1, self._windows))
        pixels = self.grid.crop(self.grid.join(windows)).flatten(1, 2)
        return pixels.unflatten(2, (heads, -1)).transpose(1, 2)

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 1 q m"]:
        return self.grid.multiplicity(queries, self.queries.device)

    def pixels(self) -> Int[Tensor, " m"]:
        return self.grid.pixels(self.grid.size, self.queries.device)

    def bias(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "heads q m"] | float:
        if self.position is None:
            return 0.0
        _, place = self.grid.place(queries, self.queries.device)
        return self.position()[:, place].repeat(1, 1, self._windows)


class WindowAttention(Attention):
    """Attention inside windows; q, k, v and the output are 1×1 convolutions, scores are scaled by 1/√d.

    Maps of any size are padded at the bottom and right by reflection to whole windows; `window` is a side in pixels.
    `position` makes the bias from (heads, window). Output x + residual_scale · result, or the result alone if None.

    Parameters
    ----------
    gate : bool
        Multiply the attended values by sigmoid(conv1×1(depthwise 3×3(x))), as RIB's paper does.
    backend : {"sdpa", "reference", "flex"}
        The fused kernel; the formula as written, with all scores; compiled FlexAttention, which does not hold the
        window⁴ numbers of the bias either (on the CPU it cannot train).
    tied : bool
        Queries are one 3×3 convolution, not scaled, and keys the same at length one, as LSP and NLSA compare a token
        with itself.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        window: int = 32,
        position: Callable[[int, int], PositionTable | ImplicitPosition] | None = PositionTable,
        gate: bool = False,
        residual_scale: float | None = None,
        backend: Backend = "sdpa",
        tied: bool = False,
    ):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.window, self.residual_scale, self.backend = heads, window, residual_scale, backend
        self.to_qkv = nn.Conv2d(channels, (1 if tied else 3) * channels, 1)
        self.to_out = nn.Conv2d(channels, channels, 1)
        self.position = position(heads, window) if position is not None else None
        self.match = nn.Conv2d(channels, channels, 3, padding=1) if tied else None
        self.gate = None
        if gate:
            depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
            self.gate = nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def pattern(self, x: Map, shared: Pattern | None = None) -> WindowPattern:
        return self._pattern(*self._project(x))

    def value(self, x: Map) -> Float[Tensor, "b heads m d"]:
        return self._value(self._project(x)[1])

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        grid, projected = self._project(x)  # once for both
        return self.output(x, self._pattern(grid, projected).attend(self._value(projected))), shared

    def _project(self, x: Map) -> tuple[WindowGrid, Float[Tensor, "b n p 3 heads d"]]:
        """Return q, k and v of each window, where a kernel reads them in place."""
        grid = WindowGrid(tuple(x.shape[2:]), (self.window, self.window))
        windows = grid.cut(grid.pad(x.permute(0, 2, 3, 1)))
        depth = x.shape[1] // self.heads
        if self.match is not None:
            query = grid.cut(grid.pad(self.match(x).permute(0, 2, 3, 1))).unflatten(3, (self.heads, depth))
            value = nn.functional.linear(windows, self.to_qkv.weight.flatten(1), self.to_qkv.bias)
            return grid, torch.stack([query, unit(query), value.unflatten(3, (self.heads, depth))], 3)
        scale = torch.ones_like(self.to_qkv.bias)
        scale[: x.shape[1]] = depth**-0.5  # queries only
        weight, bias = self.to_qkv.weight.flatten(1) * scale[:, None], self.to_qkv.bias * scale
        return grid, nn.functional.linear(windows, weight, bias).unflatten(3, (3, self.heads, depth))

    def _pattern(self, grid: WindowGrid, projected: Float[Tensor, "b n p 3 heads d"]) -> WindowPattern:
        queries, keys = (part.flatten(0, 1).transpose(1, 2) for part in projected.unbind(3)[:2])
        if not isinstance(self.position, ImplicitPosition):
            return WindowPattern(grid, queries, keys, self.position, self.backend)
        position_queries, position_keys = self.position()
        queries = torch.cat([queries, position_queries.expand(queries.shape[0], -1, -1, -1)], -1)
        keys = torch.cat([keys, position_keys.expand(keys.shape[0], -1, -1, -1)], -1)
        return WindowPattern(grid, queries, keys, None, self.backend)

    def _value(self, projected: Float[Tensor, "b n p 3 heads d"]) -> Float[Tensor, "b heads m d"]:
        return projected[:, :, :, 2].flatten(1, 2).transpose(1, 2)

    def output(self, x: Map, attended: Float[Tensor, "b heads l d"]) -> Map:
        result = to_map(attended.transpose(1, 2).flatten(2), *x.shape[2:])
        if self.gate is not None:
            result = result * self.gate(x)
        result = self.to_out(result)
        return result if self.residual_scale is None else x + self.residual_scale * result


@cache
def compiled_flex_attention() -> Callable[..., Tensor]:
    return torch.compile(flex_attention)
