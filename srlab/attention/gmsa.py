"""GMSA: ELAN's attention in windows of several sizes, each for a part of the channels; layers share its weights.

One embedding serves as queries and keys. Later layers use the same weights for values of their own, as
:class:`~srlab.attention.coa.CoA` does without windows. Source: Zhang et al., ELAN, ECCV 2022, arXiv 2203.06697.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.functional import conv2d

from srlab.attention.contract import Attention, Map, Pattern, inverse, softmax_attention, to_map
from srlab.attention.fused import fit, softmax
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.window_grid import WindowGrid
from srlab.errors import InputError

Backend = Literal["sdpa", "reference"]
#: Sides of windows, in pixels.
Sides = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
#: Pixels of the largest windows with stored weights; of larger ones, computing them anew is as fast.
STORED = 64
Rows = Float[Tensor, "r c"]
Order = Int[Tensor, " r"]


@dataclass(frozen=True)
class Windows:
    """A map of `size` cut into windows of several `sides`, after padding by reflection to whole windows of every size.

    `shifted` windows begin half a side further down and right; the last ones continue at the opposite edge.
    """

    size: tuple[int, int]
    sides: tuple[int, ...]
    shifted: bool

    @property
    def whole(self) -> WindowGrid:
        side = math.lcm(*self.sides)
        return WindowGrid(self.size, (side, side))

    @property
    def filled(self) -> tuple[int, int]:
        return tuple(count * side for count, side in zip(self.whole.shape, self.whole.window, strict=True))

    def pixel_of(self, device: torch.device) -> Int[Tensor, "sizes m"]:
        """Return the pixel of the padded map at each place of a sequence of windows, for each size."""
        cut = (ShiftedWindows(self.filled, side, self.shifted).pixels(device) for side in self.sides)
        return torch.stack([pixels.flatten() for pixels in cut])

    def places(self, device: torch.device) -> Int[Tensor, " l"]:
        """Return the place of each of the map's pixels in the padded map."""
        places = torch.arange(math.prod(self.filled), device=device).double()
        return self.whole.crop(places.reshape(1, *self.filled, 1)).long().flatten()

    def pixels(self, device: torch.device) -> Int[Tensor, " m"]:
        """Return the pixel that each pixel of the padded map is or reflects."""
        pixels = torch.arange(math.prod(self.size), device=device).double()
        return self.whole.pad(pixels.reshape(1, *self.size, 1)).long().flatten()


class Reordered(torch.autograd.Function):
    """The rows of a table in another order; the gradient's are in the `inverse` one, instead of sums in any order."""

    @staticmethod
    def forward(context: FunctionCtx, table: Rows, order: Order, inverse: Order) -> Rows:
        context.save_for_backward(order, inverse)
        return table.index_select(0, order)

    @staticmethod
    def backward(context: FunctionCtx, gradient: Rows) -> tuple[Rows, None, None]:
        order, inverse = context.saved_tensors
        return Reordered.apply(gradient, inverse, order), None, None


class MultiscalePattern(Pattern):
    """Every query attends to the pixels of its window once, padding included; each size of windows has a head.

    Keys, the `embedding`, go row by row of the padded map and are queries too. Backend "reference" holds the weights of
    all windows, as the paper does; "sdpa" only those of windows of at most `STORED` pixels.
    """

    def __init__(self, windows: Windows, embedding: Float[Tensor, "b heads m d"], backend: Backend = "sdpa"):
        self.windows, self.key = windows, embedding
        b, heads, m, _ = embedding.shape
        device = embedding.device
        image, head = torch.arange(b, device=device)[:, None], torch.arange(heads, device=device)[:, None, None]
        #: Rows are the pixels of all images, in them the heads, or windows of one head after those of another: the
        #: place of each row of the latter in the former, and of the former in the latter.
        self._rows = (head + heads * (windows.pixel_of(device)[:, None] + m * image)).flatten()
        self._slot_of = inverse(self._rows)
        self._embeddings = [fit(tokens, tokens, tokens)[0] for tokens in self._cut(embedding)]
        self._stored = [
            softmax(tokens @ tokens.mT) if backend == "reference" or tokens.shape[1] <= STORED else None
            for tokens in self._embeddings
        ]

    @property
    def query(self) -> Float[Tensor, "b heads l d"]:
        return self.key[:, :, self.windows.places(self.key.device)]

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        parts = [self._attend(head, tokens).flatten(0, 1) for head, tokens in enumerate(self._cut(value))]
        rows = Reordered.apply(torch.cat(parts), self._slot_of, self._rows)
        padded = rows.unflatten(0, (len(value), *self.windows.filled, len(parts))).flatten(3)
        pixels = self.windows.whole.crop(padded).flatten(1, 2)
        return pixels.unflatten(2, (len(parts), -1)).transpose(1, 2)

    def _cut(self, x: Float[Tensor, "b heads m c"]) -> list[Float[Tensor, "_ _ c"]]:
        """Return the windows of all images, for each head."""
        rows = Reordered.apply(x.transpose(1, 2).flatten(0, 2), self._rows, self._slot_of)
        parts = rows.unflatten(0, (x.shape[1], -1)).unbind()
        return [part.unflatten(0, (-1, side**2)) for part, side in zip(parts, self.windows.sides, strict=True)]

    def _attend(self, head: int, values: Float[Tensor, "n p c"]) -> Float[Tensor, "n p c"]:
        if (stored := self._stored[head]) is not None:
            return stored @ values
        tokens = self._embeddings[head][:, None]
        return softmax_attention(tokens, tokens, values[:, None])[:, 0]

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 heads q m"]:
        device = self.key.device
        pixels = torch.tensor([side**2 for side in self.windows.sides], device=device)
        window, places = inverse(self.windows.pixel_of(device)) // pixels[:, None], self.windows.places(device)
        own = window[:, places if queries is None else places[queries]]
        return (own[:, :, None] == window[:, None]).long()[None]

    def pixels(self) -> Int[Tensor, " m"]:
        return self.windows.pixels(self.key.device)


class SharedGMSA(Attention):
    """ELAN's accelerated self-attention: values BN(conv1×1(x)) by the weights of an earlier :class:`GMSA`; conv1×1.

    The windows' `sides`, in pixels, are even, and those of the earlier layer; each has an equal part of the channels,
    rounded down. Output x + residual_scale · result, or the result alone if None. Backend "sdpa" folds BN into the
    convolution in evaluation mode; "reference" does as the paper writes.
    """

    shares = True
    projections = 1  # of each part: its values

    def __init__(
        self,
        channels: int,
        sides: tuple[int, ...] = (4, 8, 16),
        residual_scale: float | None = None,
        backend: Backend = "sdpa",
    ):
        super().__init__()
        if odd := [side for side in sides if side % 2]:
            raise InputError(f"window of {odd[0]} pixels a side: it must be even, to be shifted by half of it")
        if channels < len(sides):
            raise InputError(f"channels is {channels}: it must be at least {len(sides)}, the sizes of windows")
        self.sides, self.residual_scale, self.backend = tuple(sides), residual_scale, backend
        inner = channels // len(sides) * len(sides)
        self.project = nn.Conv2d(channels, self.projections * inner, 1)
        self.norm = nn.BatchNorm2d(self.projections * inner)
        self.out = nn.Conv2d(inner, channels, 1)

    def pattern(self, x: Map, shared: Pattern | None = None) -> Pattern:
        if shared is None:
            raise ValueError("SharedGMSA reuses an earlier layer's pattern, but `shared` is None: put GMSA before it")
        return shared

    def value(self, x: Map) -> Float[Tensor, "b heads m d"]:
        return self._projected(x)[-1]

    def output(self, x: Map, attended: Float[Tensor, "b heads l d"]) -> Map:
        result = self.out(to_map(attended.transpose(1, 2).flatten(2), *x.shape[2:]))
        return result if self.residual_scale is None else x + self.residual_scale * result

    def _windows(self, x: Map, shifted: bool = False) -> Windows:
        return Windows(tuple(x.shape[2:]), self.sides, shifted)

    def _projected(self, x: Map) -> tuple[Float[Tensor, "b heads m d"], ...]:
        """Project the padded map's pixels: embeddings (GMSA only) and values."""
        padded = self._windows(x).whole.pad(x.permute(0, 2, 3, 1))
        if self.training or self.backend == "reference":
            z = self.norm(self.project(padded.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        else:
            gain = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
            bias = self.norm.bias + gain * (self.project.bias - self.norm.running_mean)
            z = conv2d(padded.permute(0, 3, 1, 2), gain[:, None, None, None] * self.project.weight, bias)
            z = z.permute(0, 2, 3, 1)
        parts = z.flatten(1, 2).unflatten(2, (len(self.sides), self.projections, -1))
        return parts.permute(3, 0, 2, 1, 4).unbind()


class GMSA(SharedGMSA):
    """Group-wise multi-scale self-attention: softmax(q·qᵀ) v, unscaled, in windows of several sizes; conv1×1.

    q and v are BN(conv1×1(x)). Scores have no position bias; `shifted` windows that join opposite edges have no mask.
    For layers that share the weights, backend "sdpa" runs the fused kernel anew, "reference" holds them.
    """

    projections = 2

    def __init__(
        self,
        channels: int,
        sides: tuple[int, ...] = (4, 8, 16),
        shifted: bool = False,
        residual_scale: float | None = None,
        backend: Backend = "sdpa",
    ):
        super().__init__(channels, sides, residual_scale, backend)
        self.shifted = shifted

    def pattern(self, x: Map, shared: Pattern | None = None) -> MultiscalePattern:
        return self._both(x)[0]

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        pattern, value = self._both(x)
        return self.output(x, pattern.attend(value)), pattern

    def _both(self, x: Map) -> tuple[MultiscalePattern, Float[Tensor, "b heads m d"]]:
        embedding, value = self._projected(x)
        return MultiscalePattern(self._windows(x, self.shifted), embedding, self.backend), value
