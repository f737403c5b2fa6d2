"""Windows side by side on a map: padding, cutting and joining, for every mechanism that has such windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class WindowGrid:
    """A map cut into windows that do not overlap, filled by reflection at the bottom and right.

    Where the filling is not smaller than the side the reflection goes on periodically, as mode 'reflect' of
    `numpy.pad` does; a single row or column repeats.

    Attributes
    ----------
    size, window : (int, int)
        Height and width of the map and of a window, in pixels.
    """

    size: tuple[int, int]
    window: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        return tuple((side + window - 1) // window for side, window in zip(self.size, self.window, strict=True))

    def pad(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b H W c"]:
        """The map with its last windows filled."""
        for axis, (side, window, count) in enumerate(zip(self.size, self.window, self.shape, strict=True), start=1):
            if side < count * window:
                x = x.index_select(axis, reflected(side, count * window, x.device))
        return x

    def crop(self, x: Float[Tensor, "b H W c"]) -> Float[Tensor, "b h w c"]:
        """The map without the filling."""
        return x[:, : self.size[0], : self.size[1]]

    def cut(self, x: Float[Tensor, "b H W c"]) -> Float[Tensor, "b n p c"]:
        """A filled map as windows, row by row, of p pixels each."""
        (rows, columns), (height, width) = self.shape, self.window
        windows = x.unflatten(2, (columns, width)).unflatten(1, (rows, height)).transpose(2, 3)
        return windows.flatten(3, 4).flatten(1, 2)

    def join(self, windows: Float[Tensor, "b n p c"]) -> Float[Tensor, "b H W c"]:
        """The inverse of :meth:`cut`."""
        cells = windows.unflatten(2, self.window).unflatten(1, self.shape).transpose(2, 3)
        return cells.flatten(3, 4).flatten(1, 2)

    def place(
        self, queries: Int[Tensor, " q"] | None, device: torch.device
    ) -> tuple[Int[Tensor, " q"], Int[Tensor, " q"]]:
        """The window of each pixel of the map (of all, if None), and its place among that window's pixels."""
        (height, width), columns = self.window, self.shape[1]
        if queries is None:
            queries = torch.arange(self.size[0] * self.size[1], device=device)
        row, column = queries // self.size[1], queries % self.size[1]
        return (
            row // height * columns + column // width,
            row % height * width + column % width,
        )

    def pixels(self, size: tuple[int, int], device: torch.device) -> Int[Tensor, " m"]:
        """The pixel of a map of `size` that each key, window by window, is or reflects."""
        rows, columns = (
            reflected(side, count * window, device)
            for side, count, window in zip(size, self.shape, self.window, strict=True)
        )
        filled = rows[:, None] * size[1] + columns
        return self.cut(filled[None, ..., None].double()).long().flatten()

    def multiplicity(self, queries: Int[Tensor, " q"] | None, device: torch.device) -> Int[Tensor, "1 1 q m"]:
        """Every query sees the keys of its window once, the filling too; keys go window by window."""
        window, _ = self.place(queries, device)
        pixels = self.window[0] * self.window[1]
        window_of_key = torch.arange(self.shape[0] * self.shape[1] * pixels, device=device) // pixels
        return (window[:, None] == window_of_key).long()[None, None]


def reflected(side: int, length: int, device: torch.device) -> Int[Tensor, " length"]:
    """Which of `side` pixels is mirrored at each of the first `length` places: 0 1 2 1 0 1 … for three."""
    period = max(1, 2 * (side - 1))
    place = torch.arange(length, device=device) % period
    return torch.minimum(place, period - place) if side > 1 else place
