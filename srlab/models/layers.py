"""The base class of networks, and the layers that more than one paper's network has."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Attention, Map
from srlab.attention.window_grid import mirrored
from srlab.models.skip import MeanColour
from srlab.models.upsampler import conv3x3


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


class WindowedNetwork(Network):
    """conv3×3; LN, body, LN, conv3×3, + first feature; conv3×3 and pixel shuffle, + mean colour: ATD, PFT.

    Images are padded at the bottom and right to multiples of `side`, by reflection with the edge repeated.
    """

    def __init__(self, scale: int, channels: int, side: int, body: nn.Module):
        super().__init__()
        self.scale, self.side, self.mean = scale, side, MeanColour()
        self.skip: nn.Module = self.mean
        self.head = conv3x3(3, channels)
        self.first_norm, self.last_norm = ChannelNorm(channels), ChannelNorm(channels)
        self.body = body
        self.body_end = conv3x3(channels, channels)
        self.to_image = conv3x3(channels, 3 * scale**2)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        height, width = lr.shape[2:]
        padded = (lr - self.mean.mean).contiguous(memory_format=torch.channels_last)
        for axis, length in ((2, height), (3, width)):
            places = torch.arange(length + -length % self.side, device=lr.device)
            padded = padded.index_select(axis, mirrored(places, length))
        features: Map = self.head(padded)
        x = self.last_norm(self.body(self.first_norm(features)))
        image = nn.functional.pixel_shuffle(self.to_image(self.body_end(x) + features), self.scale)
        return self.skip(lr) + image[..., : self.scale * height, : self.scale * width]
