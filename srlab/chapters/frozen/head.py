"""The trained head: a layer in attention's place and two convolutions, on features that stay as they are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, pixel_shuffle

from srlab.models.trunk import ADDED, stream
from srlab.models.upsampler import conv3x3
from srlab.study.runs import Network

#: Features, then the base's SR image with scale² pixels of each colour as channels.
Finished = Float[Tensor, "b c h w"]


class Head(nn.Module):
    """Features + what the layer adds, conv3×3, GELU, conv3×3, pixel shuffle; added to the base's SR image.

    The last convolution is zero at first, so that the output is the base's, bit for bit. With ReLU in GELU's place
    training silenced heads for good, since what their first steps add is noise.
    """

    def __init__(self, layer: nn.Module, channels: int, scale: int):
        super().__init__()
        self.layer, self.channels, self.scale = layer, channels, scale
        with stream("merge"):
            self.merge = conv3x3(channels, channels)
        self.to_image = conv3x3(channels, 3 * scale**2)
        nn.init.zeros_(self.to_image.weight)
        nn.init.zeros_(self.to_image.bias)

    def forward(self, finished: Finished) -> Float[Tensor, "b 3 sh sw"]:
        features, image = finished[:, : self.channels], finished[:, self.channels :]
        added = (self.layer(features, None)[0] - features) / ADDED  # layers add a tenth
        return pixel_shuffle(image + self.to_image(gelu(self.merge(features + added))), self.scale)

    def base_image(self, finished: Finished) -> Float[Tensor, "b 3 sh sw"]:
        """Return the base's own SR image."""
        return pixel_shuffle(finished[:, self.channels :], self.scale)

    @property
    def last(self) -> nn.Conv2d:
        return self.to_image


def build_head(arm: Network, scale: int, seed: int) -> Head:
    """Build the head of an arm: a network on the trunk, of one unit, lends its attention, or the unit if it has none.

    The parts draw their first weights from streams of their own: heads of one seed differ in their layers alone.
    """
    [unit] = arm.build(scale, seed).groups
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Head(unit if unit.attention is None else unit.attention, arm.options["channels"], scale)
