"""BRA: bi-level routing attention (BiFormer, CVPR 2023, arXiv 2303.08810), with a fixed number of windows."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Map
from srlab.attention.routed_windows import Backend, RoutedAttention, by_head
from srlab.attention.window_grid import WindowGrid


@dataclass(frozen=True)
class FixedNumber(WindowGrid):
    """A map cut into `count` windows a side, which is known for a map of any size without a division."""

    count: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.count, self.count


class BRA(RoutedAttention):
    """Attention of each of S×S windows to its top-k windows, plus a depthwise convolution of the values.

    The map is padded with zeros to a multiple of S before projection: the padding carries the bias and counts. Scores
    are scaled by 1 / √channels, whatever the number of heads. `windows` is S, `top` k.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        windows: int = 8,
        top: int = 16,
        residual_scale: float | None = None,
        backend: Backend = "fused",
    ):
        super().__init__(channels, heads, top, channels**-0.5, residual_scale, backend)
        self.windows = windows
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)

    def _pad(self, x: Map) -> Float[Tensor, "b c H W"]:
        height, width = x.shape[2:]
        tall, wide = (self.windows * ((side + self.windows - 1) // self.windows) for side in (height, width))
        return nn.functional.pad(x, (0, wide - width, 0, tall - height))

    def cut(self, x: Map) -> tuple[WindowGrid, Float[Tensor, "b n p c"]]:
        padded = self._pad(x)
        height, width = padded.shape[2:]
        grid = FixedNumber((height, width), (height // self.windows, width // self.windows), self.windows)
        return grid, grid.cut(padded.permute(0, 2, 3, 1))

    def output(self, x: Map, attended: Float[Tensor, "b heads l d"]) -> Map:
        height, width = x.shape[2:]
        # The convolution reads the bias of the padding, so values are made once more, now in the map's order.
        values = self._project(self._pad(x).permute(0, 2, 3, 1), -1).permute(0, 3, 1, 2)
        local = self.local(values)[:, :, :height, :width].permute(0, 2, 3, 1)
        return super().output(x, attended + by_head(local, self.heads))
