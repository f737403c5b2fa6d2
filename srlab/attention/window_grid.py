"""Windows side by side on a map: padding, cutting and joining."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Pair = tuple[int, int]
Pixels = Int[Tensor, " q"]


@dataclass(frozen=True)
class WindowGrid:
    """A map cut into windows that do not overlap, padded by reflection at the bottom and right.

    Padding larger than the map goes on periodically, as mode 'reflect' of `numpy.pad`; a single row or column repeats.
    `size` and `window` are height and width, in pixels.
    """

    size: Pair
    window: Pair

    @property
    def shape(self) -> Pair:
        """Rows and columns of windows."""
        return tuple((side + window - 1) // window for side, window in zip(self.size, self.window, strict=True))

    def pad(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b H W c"]:
        for axis, (side, window, count) in enumerate(zip(self.size, self.window, self.shape, strict=True), start=1):
            if side < count * window:
                x = x.index_select(axis, reflected(side, count * window, x.device))
        return x

    def crop(self, x: Float[Tensor, "b H W c"]) -> Float[Tensor, "b h w c"]:
        return x[:, : self.size[0], : self.size[1]]

    def cut(self, x: Shaped[Tensor, "b H W c"]) -> Shaped[Tensor, "b n p c"]:
        """Cut a padded map into windows, row by row, of p pixels each."""
        (rows, columns), (height, width) = self.shape, self.window
        windows = x.unflatten(2, (columns, width)).unflatten(1, (rows, height)).transpose(2, 3)
        return windows.flatten(3, 4).flatten(1, 2)

    def join(self, windows: Float[Tensor, "b n p c"]) -> Float[Tensor, "b H W c"]:
        """Undo :meth:`cut`."""
        cells = windows.unflatten(2, self.window).unflatten(1, self.shape).transpose(2, 3)
        return cells.flatten(3, 4).flatten(1, 2)

    def place(self, queries: Pixels | None, device: torch.device) -> tuple[Pixels, Pixels]:
        """Return the window of each given pixel of the map (None: all), and its place in that window."""
        (height, width), columns = self.window, self.shape[1]
        if queries is None:
            queries = torch.arange(self.size[0] * self.size[1], device=device)
        row, column = queries // self.size[1], queries % self.size[1]
        return row // height * columns + column // width, row % height * width + column % width

    def pixels(self, size: Pair, device: torch.device) -> Int[Tensor, " m"]:
        """Return the pixel of a map of `size` that each key, window by window, is or reflects."""
        rows, columns = (
            reflected(side, count * window, device)
            for side, count, window in zip(size, self.shape, self.window, strict=True)
        )
        padded = rows[:, None] * size[1] + columns
        return self.cut(padded[None, ..., None]).flatten()

    def multiplicity(self, queries: Pixels | None, device: torch.device) -> Int[Tensor, "1 1 q m"]:
        """Return 1 for the keys of each query's window, padding included; keys go window by window."""
        window, _ = self.place(queries, device)
        pixels = self.window[0] * self.window[1]
        window_of_key = torch.arange(self.shape[0] * self.shape[1] * pixels, device=device) // pixels
        return (window[:, None] == window_of_key).long()[None, None]


def reflected(side: int, length: int, device: torch.device) -> Int[Tensor, " length"]:
    """Return the pixel, of `side`, mirrored at each of the first `length` places: 0 1 2 1 0 1 … for three."""
    period = max(1, 2 * (side - 1))
    place = torch.arange(length, device=device) % period
    return torch.minimum(place, period - place) if side > 1 else place


def mirrored(places: Pixels, side: int) -> Pixels:
    """Return the pixel, of `side`, mirrored at each place with the edge repeated: 0 1 2 2 1 0 0 … for three."""
    place = places % (2 * side)
    return torch.minimum(place, 2 * side - 1 - place)
