"""CATANet (arXiv 2503.06896, CVPR 2025): attention in groups of tokens sorted by shared centres, and in patches."""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from srlab.attention.cata import CATA
from srlab.attention.contract import Map
from srlab.attention.gmsa import Sides
from srlab.attention.overlapping_patches import OverlappingPatches
from srlab.attention.sorted_groups import Backend
from srlab.models.layers import ChannelNorm, ConvFFN, Network
from srlab.models.registry import register
from srlab.models.skip import Enlarged
from srlab.models.upsampler import Upsampler, conv3x3


class AttentionBlock(nn.Module):
    """An attention layer that adds its input itself, then x + feed-forward(norm(x)), of `hidden` channels."""

    def __init__(self, attention: CATA | OverlappingPatches, channels: int, hidden: int):
        super().__init__()
        self.attention = attention
        self.ffn_norm, self.ffn = ChannelNorm(channels), ConvFFN(channels, (hidden + 0.5) / channels, size=5)

    def forward(self, x: Map) -> Map:
        x = self.attention(x)[0] if isinstance(self.attention, CATA) else self.attention(x)
        return self.ffn(self.ffn_norm(x)).add_(x)


class CATANetBlock(nn.Module):
    """x + conv3×3(attention in patches(attention in groups(x)))."""

    def __init__(self, grouped: AttentionBlock, local: AttentionBlock, channels: int):
        super().__init__()
        self.grouped, self.local, self.out = grouped, local, conv3x3(channels, channels)

    def forward(self, x: Map) -> Map:
        return x + self.out(self.local(self.grouped(x)))


class CATANet(Network):
    """conv3×3; blocks, + first feature; conv3×3, pixel shuffle and LeakyReLU for each factor; conv3×3."""

    def __init__(self, scale: int, channels: int, blocks: list[CATANetBlock]):
        super().__init__()
        self.scale = scale
        self.skip: nn.Module = Enlarged(scale, "bilinear")
        self.head = conv3x3(3, channels)
        self.blocks = nn.Sequential(*blocks)
        self.upsampler = Upsampler(channels, scale)
        self.activation = nn.LeakyReLU(0.1, inplace=True)
        self.to_image = conv3x3(channels, 3)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        features = self.head(lr.contiguous(memory_format=torch.channels_last))
        x = self.blocks(features) + features
        for layer in self.upsampler:
            x = layer(x)
            if isinstance(layer, nn.PixelShuffle):
                x = self.activation(x)
        return self.skip(lr) + self.to_image(x)


def cata_block(channels: int, hidden: int, **options: int | float | str) -> AttentionBlock:
    return AttentionBlock(CATA(channels, **options), channels, hidden)


@register("catanet", "CATANet", "groups of tokens sorted by shared centres", "arXiv:2503.06896")
def catanet(
    scale: int,
    channels: PositiveInt = 40,
    blocks: PositiveInt = 8,
    heads: PositiveInt = 4,
    query_channels: PositiveInt = 36,
    hidden: PositiveInt = 96,
    patches: Sides = (16, 20, 24, 28),
    centres: Sides = (16, 32, 64, 128),
    group_sizes: Sides = (256, 128, 64, 32),
    iterations: Sides = (5,),
    backend: Backend = "fused",
) -> CATANet:
    """Build `blocks` blocks; block i takes number i of each tuple, which begins anew at its end."""

    def block(i: int) -> CATANetBlock:
        count, group, steps, patch = (t[i % len(t)] for t in (centres, group_sizes, iterations, patches))
        sizes = {"query_channels": query_channels, "heads": heads, "backend": backend}
        grouped = cata_block(channels, hidden, centres=count, group=group, iterations=steps, **sizes)
        local = AttentionBlock(OverlappingPatches(channels, patch=patch, **sizes), channels, hidden)
        return CATANetBlock(grouped, local, channels)

    return CATANet(scale, channels, [block(i) for i in range(blocks)])
