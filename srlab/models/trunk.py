"""The trunk that takes any attention; with LSP first and CoA after, it is LCoAN (arXiv 2404.04922) as published."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from hashlib import sha256
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Attention, Map, Pattern
from srlab.models.layers import Network
from srlab.models.skip import MeanColour
from srlab.models.upsampler import Upsampler, conv3x3, enlarge

#: The residual scale of every mechanism on the trunk.
ADDED = 0.1
#: Values of the option `gates` of `build`: no gates, or gates that are closed at first.
Gates = Literal["published", "closed"]


@contextmanager
def stream(name: str) -> Iterator[None]:
    """Draw from the random stream of torch's seed and this name, leaving the generator outside as it was; streams nest.

    So the first weights of a named part of a network do not depend on the parts built before it.
    """
    digest = sha256(f"{torch.initial_seed()} {name}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7]))
        yield


class ResidualBlock(nn.Module):
    """conv3×3, ReLU, conv3×3, + input; not scaled."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(conv3x3(channels, channels), nn.ReLU(inplace=True), conv3x3(channels, channels))

    def forward(self, x: Map) -> Map:
        return x + self.body(x)


class FeatureAggregationUnit(nn.Module):
    """Residual blocks, an attention layer or None, conv3×3, times 0.1, + input; a 1×1 `gate` filters what it adds."""

    residual_scale = 0.1

    def __init__(self, channels: int, blocks: int, attention: Attention | None):
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.attention = attention
        self.gate: nn.Conv2d | None = None
        self.merge = conv3x3(channels, channels)

    def forward(self, x: Map, shared: Pattern | None) -> tuple[Map, Pattern | None]:
        y = self.blocks(x)
        if self.attention is not None:
            attended, shared = self.attention(y, shared)
            y = attended if self.gate is None else y + self.gate((attended - y) / ADDED)
        return x.add(self.merge(y), alpha=self.residual_scale), shared


class Trunk(Network):
    """Head, `groups` feature aggregation units of `blocks` residual blocks, upsampler.

    `attention` maps the index of a unit, 0 … groups − 1, to its attention layer or None. Each part draws its first
    weights from a stream of its own: networks of one seed begin with bit-equal trunks, whatever their attention.
    """

    def __init__(
        self, attention: Callable[[int], Attention | None], scale: int, channels: int, groups: int, blocks: int
    ):
        super().__init__()
        self.scale, self.channels, self.mean = scale, channels, MeanColour()
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
        # Channels-last from here on: convolutions and attention read it without a copy.
        x = features = self.head((lr - self.mean.mean).contiguous(memory_format=torch.channels_last))
        shared = None
        for group in self.groups:
            x, shared = group(x, shared)
        del shared  # before the image is made, which takes memory
        return self.skip(lr) + enlarge([*self.upsampler, self.tail], self.body_end(x) + features, self.scale)

    @property
    def sees(self) -> int:
        """Side of the receptive field of its convolutions, without attention, in LR pixels."""
        radius, pixel = Fraction(2 + sum(2 * len(unit.blocks) + 1 for unit in self.groups)), Fraction(1)
        for layer in self.upsampler:
            if isinstance(layer, nn.PixelShuffle):
                pixel /= layer.upscale_factor
            else:
                radius += pixel
        return 2 * math.ceil(radius + pixel) + 1

    @property
    def last(self) -> nn.Conv2d:
        return self.tail

    def attend(self, features: Map) -> Map:
        """Run the attention layers alone, one after another."""
        shared = None
        for layer in self.non_local_layers():
            features, shared = layer(features, shared)
        return features


def close_gates(trunk: Trunk) -> Trunk:
    """Give each attention layer a gate that is zero at first: the output is, bit for bit, that of the trunk alone.

    A gate of `ADDED` times the identity adds as much as runs from scratch do.
    """
    for unit in trunk.groups:
        if unit.attention is not None:
            unit.gate = nn.Conv2d(trunk.channels, trunk.channels, 1, bias=False)
            nn.init.zeros_(unit.gate.weight)
    return trunk


def gates_of(network: nn.Module) -> dict[str, float]:
    """Return the root mean square of each gate's singular values, over `ADDED`: 0 for closed, 1 as from scratch."""
    return {
        name: (unit.gate.weight.float().square().sum() / unit.gate.out_channels).sqrt().item() / ADDED
        for name, unit in network.named_modules()
        if isinstance(unit, FeatureAggregationUnit) and unit.gate is not None
    }
