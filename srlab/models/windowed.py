"""The network around the layers of ATD and PFT: padding to whole windows, a body between norms, an upsampler."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Map
from srlab.attention.window_grid import mirrored
from srlab.models.layers import ChannelNorm, Network
from srlab.models.skip import MeanColour
from srlab.models.upsampler import conv3x3


class WindowedNetwork(Network):
    """conv3×3; LN, body, LN, conv3×3, + first feature; conv3×3 and pixel shuffle, + mean colour.

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
