"""Layers that more than one paper's network is made of."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

Map = Float[Tensor, "b c h w"]


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over channels; its output is channels-last in memory, which all that follows then keeps."""

    def forward(self, x: Map) -> Map:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvFFN(nn.Module):
    """conv1×1 to ratio · channels, GELU; + GELU(depthwise convolution) of itself; conv1×1 back.

    Parameters
    ----------
    channels : int
    ratio : float
        The hidden width is ratio · channels, rounded down.
    size : int
        Side of the depthwise kernel: 3 in ESC, 5 in HiT-SRF.
    """

    def __init__(self, channels: int, ratio: float, size: int = 3):
        super().__init__()
        hidden = int(channels * ratio)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, size, padding=size // 2, groups=hidden)
        self.narrow = nn.Conv2d(hidden, channels, 1)
        self.gelu = nn.GELU()

    def forward(self, x: Map) -> Map:
        x = self.gelu(self.widen(x))
        # In place: fresh memory for each sum costs the CPU as much as the sum.
        return self.narrow(self.gelu(self.depthwise(x)).add_(x))
