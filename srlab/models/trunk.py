"""The trunk that takes any attention: the same network, data and budget, only the attention differs.

With LSP first and CoA after, it is LCoAN as published.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Attention, Pattern
from srlab.models.skip import MeanColour
from srlab.models.streams import stream
from srlab.models.upsampler import Upsampler, conv3x3, enlarge

#: Which part of what it attended every mechanism on the trunk adds to its input.
ADDED = 0.1
#: What `build` asks for: no gates, or gates that are closed at first.
Gates = Literal["published", "closed"]


class ResidualBlock(nn.Module):
    """conv3×3, ReLU, conv3×3, + input; not scaled."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv3x3(channels, channels), nn.ReLU(inplace=True), conv3x3(channels, channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.body(x)


class FeatureAggregationUnit(nn.Module):
    """Residual blocks, a non-local layer (or none), conv3×3, times 0.1, + input.

    What its non-local layer adds passes a `gate`, a 1×1 convolution, where it has one.
    """

    residual_scale = 0.1

    def __init__(self, channels: int, blocks: int, attention: Attention | None):
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.attention = attention
        self.gate: nn.Conv2d | None = None
        self.merge = conv3x3(channels, channels)

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern | None]:
        y = self.blocks(x)
        if self.attention is not None:
            attended, shared = self.attention(y, shared)
            y = attended if self.gate is None else y + self.gate((attended - y) / ADDED)
        return x.add(self.merge(y), alpha=self.residual_scale), shared


class Trunk(nn.Module):
    """Head, feature aggregation units with the given attention, upsampler; images on [0, 1].

    Each part draws its first weights from a stream of its own, so networks of one seed begin with bit-equal trunks,
    whatever attention stands between the parts.

    Parameters
    ----------
    attention : callable
        Maps the index of a unit, 0 … groups − 1, to its non-local layer, or to None for no such layer.
    scale : {2, 3, 4, 8}
    channels, groups, blocks : int
        Width, number of units, residual blocks in a unit (128, 10 and 4 as published).

    References
    ----------
    arXiv 2404.04922, LCoAN.
    """

    def __init__(
        self,
        attention: Callable[[int], Attention | None],
        scale: int,
        channels: int = 128,
        groups: int = 10,
        blocks: int = 4,
    ):
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.mean = MeanColour()
        self.skip: nn.Module = self.mean
        with stream("head"):
            self.head = conv3x3(3, channels)
        self.groups = nn.ModuleList()
        for i in range(groups):
            with stream(f"attention {i}"):
                layer = attention(i)
            with stream(f"unit {i}"):
                self.groups.append(FeatureAggregationUnit(channels, blocks, layer))
        with stream("end"):
            self.body_end = conv3x3(channels, channels)
            self.upsampler = Upsampler(channels, scale)
            self.tail = conv3x3(channels, 3)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        # Channels-last from here on: convolutions and attention both read it as it is.
        features = self.head((lr - self.mean.mean).contiguous(memory_format=torch.channels_last))
        x = self.body_end(self._body(features)) + features
        return self.skip(lr) + enlarge([*self.upsampler, self.tail], x, self.scale)

    def _body(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The units one after another; what they share is free when the image is made."""
        shared = None
        for group in self.groups:
            x, shared = group(x, shared)
        return x

    @property
    def sees(self) -> int:
        """Side in LR pixels of what its convolutions alone, without non-local layers, see around a pixel."""
        radius, pixel = Fraction(2 + sum(2 * len(unit.blocks) + 1 for unit in self.groups)), Fraction(1)
        for layer in self.upsampler:
            if isinstance(layer, nn.PixelShuffle):
                pixel /= layer.upscale_factor
            else:
                radius += pixel
        return 2 * math.ceil(radius + pixel) + 1

    @property
    def last(self) -> nn.Conv2d:
        """The convolution that makes the image."""
        return self.tail

    def non_local_layers(self) -> list[Attention]:
        """The attention layers, in order."""
        return [group.attention for group in self.groups if group.attention is not None]

    def attend(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The non-local layers alone, one after another, as if nothing stood between them."""
        shared = None
        for layer in self.non_local_layers():
            features, shared = layer(features, shared)
        return features


def close_gates(trunk: Trunk) -> Trunk:
    """Give each non-local layer a gate that is zero at first: what it adds reaches the trunk as far as training lets it.

    A gate mixes the channels of what was attended. With closed gates the output is, bit for bit, that of the trunk
    without such layers; a gate of `ADDED` times the identity lets through what runs from scratch add.
    """
    for unit in trunk.groups:
        if unit.attention is not None:
            unit.gate = nn.Conv2d(trunk.channels, trunk.channels, 1, bias=False)
            nn.init.zeros_(unit.gate.weight)
    return trunk


def gates_of(network: nn.Module) -> dict[str, float]:
    """How far each gate of a network is open, by unit: the root mean square of its singular values, over `ADDED`.

    0 is closed; 1 adds as much of what was attended as runs from scratch do.
    """
    return {
        name: (unit.gate.weight.float().square().sum() / unit.gate.out_channels).sqrt().item() / ADDED
        for name, unit in network.named_modules()
        if isinstance(unit, FeatureAggregationUnit) and unit.gate is not None
    }
