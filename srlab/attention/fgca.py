"""FGCA: fine-grained context-aware attention, each small window attends to the windows it chooses."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from srlab.attention.routed_windows import Backend, RoutedAttention
from srlab.attention.window_grid import WindowGrid


class FGCA(RoutedAttention):
    """Attention of each M×M window to all tokens of its top-k windows; M is fixed, so they grow in number.

    Token cost is linear in the number of pixels, O(k · M² · C) for each; choosing costs O(n² · C)
    for n windows.

    The paper leaves some of it open. Ours: scores scaled by 1 / √(channels of a head); heads share the
    choice; a map that is no multiple of M is filled by reflection, and what fills it is seen like the rest.

    Parameters
    ----------
    channels, heads : int
    side : int
        M, in pixels.
    top : int
        k, in windows.
    residual_scale : float, optional
        Output x + residual_scale · result; the result alone if None, as in the paper's block.
    backend : {"fused", "reference"}
        See :class:`~srlab.attention.routed_windows.RoutedWindows`.

    References
    ----------
    arXiv 2504.06634, fine-grained context-aware attention. No code was released.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        side: int = 8,
        top: int = 16,
        residual_scale: float | None = None,
        backend: Backend = "fused",
    ):
        super().__init__(channels, heads, top, (heads / channels) ** 0.5, residual_scale, backend)
        self.side = side

    def cut(self, x: Float[Tensor, "b c h w"]) -> tuple[WindowGrid, Float[Tensor, "b n p c"]]:
        grid = WindowGrid(tuple(x.shape[2:]), (self.side, self.side))
        return grid, grid.cut(grid.pad(x.permute(0, 2, 3, 1)))
