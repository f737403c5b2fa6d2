"""Each window attends to the few windows with the mean key that matches its mean query best.

FGCA and BRA share this machinery; they differ in how they cut a map into windows.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from srlab.attention.contract import Attention, Map, Pattern, check_heads, to_map, unit
from srlab.attention.fused import attend, attend_backward, fit
from srlab.attention.precision import without_autocast
from srlab.attention.window_grid import Pair, WindowGrid

Backend = Literal["fused", "reference"]
Windows = Float[Tensor, "b n p c"]
WindowsByHead = Float[Tensor, "_ p heads d"]
Routes = Int[Tensor, "asking k"]

#: Bytes of keys and values gathered at a time: few enough for a CPU's last-level cache, enough to occupy a GPU.
GATHERED = {"cpu": 2**25, "other": 2**28}


class RoutedWindows(Pattern):
    """The tokens of a window attend to all tokens of its `top` windows (all windows, if there are fewer).

    Keys and values come window by window, padding included; only pixels within `size`, the map before padding, are
    queries. Scores are plain dot products by head; heads share the choice. Backend "fused" gathers keys and values for
    some windows at a time; "reference" for all windows, `top` times as much, and holds the scores.
    """

    def __init__(
        self, query: Windows, key: Windows, grid: WindowGrid, size: Pair, heads: int, top: int, backend: Backend
    ):
        self.grid, self.size, self.heads, self.backend = grid, size, heads, backend
        self._queries, self._keys = query, key
        #: The windows that each window attends to, best first.
        self.routes: Int[Tensor, "b n k"] = choose_routes(query, key, top)

    @property
    def query(self) -> Float[Tensor, "b heads l d"]:
        return self._join(self._queries)

    @property
    def key(self) -> Float[Tensor, "b heads m d"]:
        return by_head(self._keys, self.heads)

    def _join(self, windows: Windows) -> Float[Tensor, "b heads l d"]:
        height, width = self.size
        return by_head(self.grid.join(windows)[:, :height, :width], self.heads)

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        b, n, _ = self.routes.shape
        queries, keys = (t.flatten(0, 1).unflatten(2, (self.heads, -1)) for t in (self._queries, self._keys))
        values = value.transpose(1, 2).flatten(0, 1).unflatten(0, (b * n, -1))
        routes = (self.routes + n * torch.arange(b, device=value.device)[:, None, None]).flatten(0, 1)
        if self.backend == "reference":
            weights = (queries.transpose(1, 2) @ gather(keys, routes).mT).softmax(-1)
            out = (weights @ gather(values, routes)).transpose(1, 2)
        else:
            out = AttendInGroups.apply(*fit(queries, keys, values), routes)[..., : value.shape[-1]]
        return self._join(out.flatten(2).unflatten(0, (b, n)))

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b 1 q m"]:
        (height, width), device = self.size, self.routes.device
        if queries is None:
            queries = torch.arange(height * width, device=device)
        padded = queries // width * self.grid.size[1] + queries % width
        window, _ = self.grid.place(padded, device)
        b, n, _ = self.routes.shape
        chosen = torch.zeros(b, n, n, dtype=torch.long, device=device).scatter_(2, self.routes, 1)
        return chosen[:, window].repeat_interleave(self._keys.shape[2], dim=2)[:, None]

    def pixels(self) -> Int[Tensor, " m"]:
        """Return the pixel of each key; padding by zeros has the pixel that reflection would put there."""
        return self.grid.pixels(self.size, self.routes.device)


@torch.no_grad()
def choose_routes(query: Windows, key: Windows, top: int) -> Int[Tensor, "b n k"]:
    """Return the windows with the mean key that matches a window's mean query best, in float32 at least."""
    with without_autocast(query.device):
        precise = torch.promote_types(query.dtype, torch.float32)
        matches = query.mean(2, dtype=precise) @ key.mean(2, dtype=precise).mT
        return matches.topk(min(top, matches.shape[-1])).indices


def by_head(tokens: Float[Tensor, "b h w c"], heads: int) -> Float[Tensor, "b heads m d"]:
    """Return tokens in the order of the two middle dimensions, with channels divided among heads."""
    return tokens.flatten(1, 2).unflatten(2, (heads, -1)).transpose(1, 2)


def gather(windows: WindowsByHead, routes: Routes) -> Float[Tensor, "asking heads m d"]:
    """Copy all tokens of the windows on each route."""
    tokens = windows.index_select(0, routes.flatten()).unflatten(0, routes.shape)
    return tokens.flatten(1, 2).transpose(1, 2)


class AttendInGroups(torch.autograd.Function):
    """Softmax attention of windows to those on their routes, some megabytes at a time; backward gathers them again."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, query: WindowsByHead, key: WindowsByHead, value: WindowsByHead, routes: Routes
    ) -> WindowsByHead:
        bytes_each = routes.shape[1] * (key[0].numel() + value[0].numel()) * value.element_size()
        ctx.group = max(1, GATHERED["cpu" if value.is_cpu else "other"] // bytes_each)
        out = value.new_empty(*query.shape[:3], value.shape[3])
        masses = []
        for q, route, o in _groups(ctx.group, query, routes, out):
            attended = attend(q.transpose(1, 2), gather(key, route), gather(value, route))
            o[:], mass = (t.transpose(1, 2) for t in attended)
            masses.append(mass)
        ctx.save_for_backward(query, key, value, routes, out, torch.cat(masses))
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: WindowsByHead) -> tuple[WindowsByHead, WindowsByHead, WindowsByHead, None]:
        query, key, value, routes, out, mass = ctx.saved_tensors
        of_query, of_key, of_value = (torch.zeros_like(t) for t in (query, key, value))
        for route, *rows, of_q in _groups(ctx.group, routes, gradient, query, out, mass, of_query):
            arriving, q, o, m = (t.transpose(1, 2) for t in rows)
            gradients = attend_backward(arriving, q, gather(key, route), gather(value, route), o, m)
            of_q[:], of_keys, of_values = (t.transpose(1, 2) for t in gradients)
            for so_far, more in ((of_key, of_keys), (of_value, of_values)):
                so_far.index_add_(0, route.flatten(), more.unflatten(1, (route.shape[1], -1)).flatten(0, 1))
        return of_query, of_key, of_value, None


def _groups(size: int, *tensors: Tensor) -> zip:
    return zip(*(t.split(size) for t in tensors), strict=True)


class RoutedAttention(Attention):
    """Attention by :class:`RoutedWindows`: one linear map for queries, keys and values, one for the result.

    `scale` multiplies the scores. Output x + residual_scale · result, or the result alone if None. `tied`:
    queries are one 3×3 convolution, without `scale`, and keys the same at length one in each head, as LSP and NLSA
    compare a token with itself.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        top: int,
        scale: float,
        residual_scale: float | None,
        backend: Backend,
        tied: bool = False,
    ):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.top, self.scale, self.residual_scale, self.backend = heads, top, scale, residual_scale, backend
        self.qkv = nn.Linear(channels, (1 if tied else 3) * channels)
        self.merge = nn.Linear(channels, channels)
        self.match = nn.Conv2d(channels, channels, 3, padding=1) if tied else None

    def cut(self, x: Map) -> tuple[WindowGrid, Float[Tensor, "b n p c"]]:
        """Return the padded map's windows."""
        raise NotImplementedError

    def _project(self, windows: Windows, part: int) -> Windows:
        """Return queries (0), keys (1) or values (−1); only values if tied."""
        parts = len(self.qkv.bias) // self.qkv.in_features
        weight, bias = (parameter.chunk(parts)[part] for parameter in (self.qkv.weight, self.qkv.bias))
        return nn.functional.linear(windows, weight, bias)

    def pattern(self, x: Map, shared: Pattern | None = None) -> RoutedWindows:
        grid, windows = self.cut(x)
        if self.match is None:
            query, key = self.scale * self._project(windows, 0), self._project(windows, 1)
        else:
            query = self.cut(self.match(x))[1].contiguous()  # kernels want channels side by side
            key = unit(query.unflatten(3, (self.heads, -1))).flatten(3)
        return RoutedWindows(query, key, grid, tuple(x.shape[2:]), self.heads, self.top, self.backend)

    def value(self, x: Map) -> Float[Tensor, "b heads m d"]:
        return by_head(self._project(self.cut(x)[1], -1), self.heads)

    def output(self, x: Map, attended: Float[Tensor, "b heads l d"]) -> Map:
        result = to_map(self.merge(attended.transpose(1, 2).flatten(2)), *x.shape[2:])
        return result if self.residual_scale is None else x + self.residual_scale * result
