"""The base class of networks, and the layers that more than one paper's network has."""

from __future__ import annotations

from torch import nn

from srlab.attention.contract import Attention, Map


class Network(nn.Module):
    """The common part of all networks, for images on [0, 1]: `skip` maps the LR image to the term to add the output to.

    The convolution `head` reads the image, `last` makes it.
    """

    scale: int
    skip: nn.Module
    head: nn.Conv2d

    @property
    def last(self) -> nn.Conv2d:
        return self.to_image

    def non_local_layers(self) -> list[Attention]:
        """Return the attention layers, in order."""
        return [module for module in self.modules() if isinstance(module, Attention)]


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over channels; its output is channels-last in memory, and so are those of the layers after it."""

    def forward(self, x: Map) -> Map:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ChannelsLastGELU(nn.GELU):
    """GELU by the kernel for contiguous tensors: on a CPU, PyTorch's own for channels-last maps takes twice as long."""

    def forward(self, x: Map) -> Map:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvFFN(nn.Module):
    """conv1×1 to ratio · channels, GELU; + GELU(depthwise convolution) of itself; conv1×1 back.

    The hidden width is rounded down; the depthwise kernel has `size` = 3 in ESC, 5 in HiT-SRF.
    """

    def __init__(self, channels: int, ratio: float, size: int = 3):
        super().__init__()
        hidden = int(channels * ratio)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, size, padding=size // 2, groups=hidden)
        self.narrow = nn.Conv2d(hidden, channels, 1)
        self.gelu = ChannelsLastGELU()

    def forward(self, x: Map) -> Map:
        x = self.gelu(self.widen(x))
        # In place: fresh memory for each sum costs the CPU as much as the sum.
        return self.narrow(self.gelu(self.depthwise(x)).add_(x))
