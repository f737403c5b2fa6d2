"""Windows of a map that every second layer shifts by half a side, as in Swin Transformer (ICCV 2021): ATD, PFT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

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

    def cut(self, x: Pixels) -> Float[Tensor, "b n p c"]:
        return self.grid.cut(self._rolled(x, -(self.side // 2)))

    def join(self, windows: Float[Tensor, "b n p c"]) -> Pixels:
        return self._rolled(self.grid.join(windows), self.side // 2)

    def mask(self, like: Tensor) -> Float[Tensor, "n p p"]:
        """Return what is added to scores: −100 where query and key lie in different regions of the rolled map."""
        rows, columns = (
            (torch.arange(side) >= side - self.side).int() + (torch.arange(side) >= side - self.side // 2).int()
            for side in self.size
        )
        region = self.grid.cut((3 * rows[:, None] + columns)[None, ..., None].float())[0, ..., 0]
        return torch.where(region[:, :, None] == region[:, None], 0.0, APART).to(like)

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
        mask = self.mask(value) if self.shifted else value.new_zeros(1, 1, 1)
        for windows in self._alike():
            some = (part[:, windows].flatten(0, 1) for part in (query, key, value))
            found = BiasedAttention.apply(*some, bias + (mask[windows[0]] if self.shifted else 0))
            out[:, windows] = found.unflatten(0, (len(value), -1))
        return out

    def _alike(self) -> list[list[int]]:
        """Return the numbers of the windows of each mask: inside, on the right, at the bottom, in the corner."""
        rows, columns = self.grid.shape
        if not self.shifted:
            return [list(range(rows * columns))]
        kinds: dict[tuple[bool, bool], list[int]] = {}
        for i in range(rows * columns):
            kinds.setdefault((i // columns == rows - 1, i % columns == columns - 1), []).append(i)
        return list(kinds.values())

    def _rolled(self, x: Pixels, by: int) -> Pixels:
        return x.roll((by, by), (1, 2)) if self.shifted else x
