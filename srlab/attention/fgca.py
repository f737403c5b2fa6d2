"""FGCA: fine-grained context-aware attention, arXiv 2504.06634; no code was released."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from srlab.attention.contract import Map
from srlab.attention.routed_windows import Backend, RoutedAttention
from srlab.attention.window_grid import WindowGrid


class FGCA(RoutedAttention):
    """Attention of each M×M window to all tokens of its top-k windows; `side` is M, in pixels, `top` k.

    M is fixed, so windows grow in number. A pixel costs O(k · M² · C); choosing costs O(n² · C) for n windows. Ours,
    where the paper is silent: scores are scaled by 1 / √(channels of a head), heads share the choice, and maps are
    padded by reflection; the padding counts.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        side: int = 8,
        top: int = 16,
        residual_scale: float | None = None,
        backend: Backend = "fused",
        tied: bool = False,
    ):
        super().__init__(channels, heads, top, (heads / channels) ** 0.5, residual_scale, backend, tied)
        self.side = side

    def cut(self, x: Map) -> tuple[WindowGrid, Float[Tensor, "b n p c"]]:
        grid = WindowGrid(tuple(x.shape[2:]), (self.side, self.side))
        return grid, grid.cut(grid.pad(x.permute(0, 2, 3, 1)))
