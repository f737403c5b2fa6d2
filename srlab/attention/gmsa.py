"""GMSA: ELAN's attention in windows of several sizes, each for a part of the channels; layers share its weights.

The pixels of a window are compared with each other by one embedding: queries are the keys. The layers after use the
same weights for values of their own, as :class:`~srlab.attention.coa.CoA` does without windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import linear

from srlab.attention.contract import Attention, Pattern, softmax_attention, to_map
from srlab.attention.fused import fit
from srlab.attention.window_grid import WindowGrid
from srlab.errors import InputError

Backend = Literal["sdpa", "reference"]
#: Of windows, in pixels.
Sides = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Filled = Float[Tensor, "b H W c"]
Tokens = Float[Tensor, "n p d"]


@dataclass(frozen=True)
class Windows:
    """A map cut into windows of several sizes.

    It is first filled by reflection at the bottom and right, to whole windows of every size.

    Attributes
    ----------
    size : (int, int)
        Height and width of the map in pixels.
    sides : tuple of int
        Of the windows, in pixels.
    shifted : bool
        Whether windows begin half their side further down and right; those at the bottom and right then go on at the
        opposite edge.
    """

    size: tuple[int, int]
    sides: tuple[int, ...]
    shifted: bool

    @property
    def whole(self) -> WindowGrid:
        """Fills the map, and crops it."""
        side = math.lcm(*self.sides)
        return WindowGrid(self.size, (side, side))

    @property
    def filled(self) -> tuple[int, int]:
        """Height and width of the filled map."""
        return tuple(count * side for count, side in zip(self.whole.shape, self.whole.window, strict=True))

    def cut(self, x: Filled, side: int) -> Float[Tensor, "b n p c"]:
        """The filled map's windows of one size, row by row."""
        return self._grid(side).cut(self._rolled(x, -(side // 2)))

    def join(self, windows: Float[Tensor, "b n p c"], side: int) -> Filled:
        """The inverse of :meth:`cut`."""
        return self._rolled(self._grid(side).join(windows), side // 2)

    def window_of(self, device: torch.device) -> Int[Tensor, "sizes m"]:
        """For each size, the number of the window that each pixel of the filled map is in."""
        numbers = []
        for side in self.sides:
            count = math.prod(self.filled) // side**2
            number = torch.arange(count, device=device).double()
            windows = number[None, :, None, None].expand(1, count, side**2, 1)
            numbers.append(self.join(windows, side).long().flatten())
        return torch.stack(numbers)

    def places(self, device: torch.device) -> Int[Tensor, " l"]:
        """The place of each of the map's pixels in the filled map."""
        places = torch.arange(math.prod(self.filled), device=device).double()
        return self.whole.crop(places.reshape(1, *self.filled, 1)).long().flatten()

    def pixels(self, device: torch.device) -> Int[Tensor, " m"]:
        """The pixel that each pixel of the filled map is or reflects."""
        pixels = torch.arange(math.prod(self.size), device=device).double()
        return self.whole.pad(pixels.reshape(1, *self.size, 1)).long().flatten()

    def _grid(self, side: int) -> WindowGrid:
        return WindowGrid(self.filled, (side, side))

    def _rolled(self, x: Filled, by: int) -> Filled:
        return x.roll((by, by), (1, 2)) if self.shifted else x


class MultiscalePattern(Pattern):
    """Every query sees the pixels of its window once, those that fill it included; each head has its size of windows.

    Keys go row by row of the filled map.

    Parameters
    ----------
    windows : Windows
    embedding : Float[Tensor, "b heads m d"]
        Of the filled map's pixels, queries and keys at once; a head for each size of windows.
    backend : {"sdpa", "reference"}
        "reference" holds the weights of all windows, as the paper does; "sdpa" only those of windows with no more
        pixels than an embedding has numbers, and never holds the scores of others.
    """

    def __init__(self, windows: Windows, embedding: Float[Tensor, "b heads m d"], backend: Backend = "sdpa"):
        self.windows, self.key = windows, embedding
        cut = (
            windows.cut(part.unflatten(1, windows.filled), side).flatten(0, 1)
            for part, side in zip(embedding.unbind(1), windows.sides, strict=True)
        )
        self._embeddings = [fit(tokens, tokens, tokens)[0] for tokens in cut]
        self._stored = [
            (tokens @ tokens.mT).softmax(-1) if backend == "reference" or tokens.shape[1] <= tokens.shape[2] else None
            for tokens in self._embeddings
        ]

    @property
    def query(self) -> Float[Tensor, "b heads l d"]:
        return self.key[:, :, self.windows.places(self.key.device)]

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        parts = []
        for i, side in enumerate(self.windows.sides):
            cut = self.windows.cut(value[:, i].unflatten(1, self.windows.filled), side)
            attended = self._attend(i, cut.flatten(0, 1))
            parts.append(self.windows.join(attended.unflatten(0, cut.shape[:2]), side))
        pixels = self.windows.whole.crop(torch.cat(parts, -1)).flatten(1, 2)
        return pixels.unflatten(2, (len(parts), -1)).transpose(1, 2)

    def _attend(self, head: int, values: Float[Tensor, "n p c"]) -> Float[Tensor, "n p c"]:
        if (stored := self._stored[head]) is not None:
            return stored @ values
        tokens = self._embeddings[head][:, None]
        return softmax_attention(tokens, tokens, values[:, None])[:, 0]

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 heads q m"]:
        device = self.key.device
        window, places = self.windows.window_of(device), self.windows.places(device)
        asked = window[:, places if queries is None else places[queries]]
        return (asked[:, :, None] == window[:, None]).long()[None]

    def pixels(self) -> Int[Tensor, " m"]:
        return self.windows.pixels(self.key.device)


class SharedGMSA(Attention):
    """Values, BN(conv1×1(x)), weighted as an earlier layer weighted its own; conv1×1 of what was attended.

    Each size of windows has an equal part of the channels, rounded down. The earlier layer is
    :class:`GMSA` with the same windows.

    Parameters
    ----------
    channels : int
    sides : tuple of int
        Of the windows, in pixels; even.
    residual_scale : float or None
        The output is x + residual_scale · result; None for the result alone.
    backend : {"sdpa", "reference"}
        Whether BN is folded into the convolution in evaluation mode, or computed as the paper writes it.

    References
    ----------
    Zhang et al., ELAN, ECCV 2022, arXiv 2203.06697: accelerated self-attention.
    """

    shares = True
    #: Each part's own projections: its values.
    projections = 1

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

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> Pattern:
        if shared is None:
            raise ValueError("SharedGMSA reuses an earlier layer's pattern, but `shared` is None: put GMSA before it")
        return shared

    def value(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads m d"]:
        return self._projected(x)[-1]

    def output(self, x: Float[Tensor, "b c h w"], attended: Float[Tensor, "b heads l d"]) -> Float[Tensor, "b c h w"]:
        result = self.out(to_map(attended.transpose(1, 2).flatten(2), *x.shape[2:]))
        return result if self.residual_scale is None else x + self.residual_scale * result

    def _windows(self, x: Float[Tensor, "b c h w"], shifted: bool = False) -> Windows:
        return Windows(tuple(x.shape[2:]), self.sides, shifted)

    def _projected(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b heads m d"], ...]:
        """Of the filled map's pixels: embeddings, where this layer makes some, and values."""
        filled = self._windows(x).whole.pad(x.permute(0, 2, 3, 1))
        if self.training or self.backend == "reference":
            z = self.norm(self.project(filled.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        else:
            gain = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
            bias = self.norm.bias + gain * (self.project.bias - self.norm.running_mean)
            z = linear(filled, gain[:, None] * self.project.weight.flatten(1), bias)
        parts = z.flatten(1, 2).unflatten(2, (len(self.sides), self.projections, -1))
        return parts.permute(3, 0, 2, 1, 4).unbind()


class GMSA(SharedGMSA):
    """Group-wise multi-scale self-attention: a softmax(q·qᵀ) v without scaling, in windows of several sizes.

    q and v are BN(conv1×1(x)), and so is the layer's output a conv1×1 of what was attended. The channels are divided
    among the sizes of windows. Scores have no position bias, and windows that join opposite edges no mask.

    Parameters
    ----------
    channels, sides, residual_scale
        See :class:`SharedGMSA`.
    shifted : bool
        Shift each size's windows by half their side.
    backend : {"sdpa", "reference"}
        The fused kernel, which layers that share the weights run anew for their values; or weights that are held
        for those layers, as the paper does.

    References
    ----------
    Zhang et al., ELAN, ECCV 2022, arXiv 2203.06697.
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

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> MultiscalePattern:
        return self._pattern(x, self._projected(x)[0])

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern | None]:
        embedding, value = self._projected(x)  # once for both
        pattern = self._pattern(x, embedding)
        return self.output(x, pattern.attend(value)), pattern

    def _pattern(self, x: Float[Tensor, "b c h w"], embedding: Float[Tensor, "b heads m d"]) -> MultiscalePattern:
        return MultiscalePattern(self._windows(x, self.shifted), embedding, self.backend)
