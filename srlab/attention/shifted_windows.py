"""Windows of a map that every second layer shifts by half a side, as in Swin Transformer (ICCV 2021): ATD, PFT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srlab.attention.contract import gather_rows, inverse
from srlab.attention.sorted_groups import Backend
from srlab.attention.window import BiasedAttention
from srlab.attention.window_grid import WindowGrid

Pixels = Float[Tensor, "b h w c"]
Heads = Float[Tensor, "b n heads p d"]
Values = Float[Tensor, "b n heads p c"]
#: Added to the scores of two pixels that only the roll has brought together.
APART = -100.0


@dataclass(frozen=True)
class ShiftedWindows:
    """A map of `size`, multiples of `side`, cut into windows; shifted ones begin half a side further down and right.

    The map is rolled for that, so the last windows join opposite edges: a mask keeps these apart.
    """

    size: tuple[int, int]
    side: int
    shifted: bool

    @property
    def grid(self) -> WindowGrid:
        return WindowGrid(self.size, (self.side, self.side))

    def pixels(self, device: torch.device) -> Int[Tensor, "n p"]:
        """Return the pixel, row by row of the map, at each place of each window."""
        height, width = self.size
        numbers = torch.arange(height * width, device=device).view(1, height, width, 1)
        rolled = numbers.roll((-(self.side // 2),) * 2, (1, 2)) if self.shifted else numbers
        return self.grid.cut(rolled)[0, ..., 0]

    def cut(self, x: Pixels) -> Float[Tensor, "b n p c"]:
        if not self.shifted:
            return self.grid.cut(x)
        pixels = self.pixels(x.device)  # one gather, where rolling and cutting would copy the map three times
        return gather_rows(x.flatten(1, 2), pixels.flatten().expand(len(x), -1)).unflatten(1, pixels.shape)

    def join(self, windows: Float[Tensor, "b n p c"]) -> Pixels:
        if not self.shifted:
            return self.grid.join(windows)
        places = inverse(self.pixels(windows.device).flatten())
        return gather_rows(windows.flatten(1, 2), places.expand(len(windows), -1)).unflatten(1, self.size)

    def mask(
        self, like: Tensor, windows: Int[Tensor, " n"] | slice = slice(None), queries: slice = slice(None)
    ) -> Float[Tensor, "n q p"]:
        """Return what is added to scores: −100 where query and key lie in different regions of the rolled map."""
        rows, columns = (
            (places >= side - self.side).int() + (places >= side - self.side // 2).int()
            for side, places in ((side, torch.arange(side, device=like.device)) for side in self.size)
        )
        region = self.grid.cut((3 * rows[:, None] + columns)[None, ..., None])[0, windows, :, 0]
        return torch.where(region[:, queries, None] == region[:, None], 0.0, APART).to(like.dtype)

    def attend(
        self, query: Heads, key: Heads, value: Values, bias: Float[Tensor, "heads p p"], backend: Backend
    ) -> Values:
        """Return softmax(query·keyᵀ + bias + mask)·value in each window; queries are scaled."""
        if backend == "reference":
            scores = query @ key.mT + bias
            if self.shifted:
                scores = scores + self.mask(scores)[:, None]
            return scores.softmax(-1) @ value
        out = torch.empty_like(value)
        query, key, value, found = (part.unflatten(1, self.grid.shape) for part in (query, key, value, out))
        for rows, columns in self._alike():
            first = rows.start * self.grid.shape[1] + columns.start
            own = bias + self.mask(bias, slice(first, first + 1)) if self.shifted else bias
            some = (part[:, rows, columns].flatten(0, 2) for part in (query, key, value))
            place = found[:, rows, columns]
            place.copy_(BiasedAttention.apply(*some, own).view_as(place))
        return out

    def _alike(self) -> list[tuple[slice, slice]]:
        """Return rows and columns of windows of one mask: inside, on the right, at the bottom, in the corner.

        Those inside come row by row, where a kernel reads them in place.
        """
        rows, columns = self.grid.shape
        if not self.shifted:
            return [(slice(0, rows), slice(0, columns))]
        inside, right = slice(0, columns - 1), slice(columns - 1, columns)
        lines = [slice(i, i + 1) for i in range(rows)]
        alike = [(line, inside) for line in lines] + [(slice(0, rows - 1), right), (lines[-1], right)]
        return [(down, across) for down, across in alike if down.stop > down.start and across.stop > across.start]
