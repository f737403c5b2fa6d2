"""ATD-light (arXiv 2401.08209, CVPR 2024): a learnt dictionary that each image adapts sorts its tokens."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from srlab.attention.atd import ATDAttention, Dictionary, Refinement
from srlab.attention.contract import Attending, Map, to_map, to_tokens
from srlab.attention.gmsa import Sides
from srlab.attention.sorted_groups import Backend, SortedGroups
from srlab.models.layers import ChannelNorm, ConvFFN, WindowedNetwork
from srlab.models.registry import register
from srlab.models.upsampler import conv3x3


class ATDLayer(Attending):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); all but a block's last layer refine the dictionary."""

    def __init__(self, channels: int, attention: ATDAttention, ratio: float, kernel_size: int, refines: bool):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(channels), attention
        self.ffn_norm, self.ffn = ChannelNorm(channels), ConvFFN(channels, ratio, kernel_size)
        self.refinement = Refinement(len(attention.dictionary.scale)) if refines else None

    def forward(self, x: Map, dictionary: Dictionary) -> tuple[Map, Dictionary]:
        size = (x.shape[2], x.shape[3])
        tokens = to_tokens(x)
        attended, similarity = self.attention(self.norm(tokens), dictionary, size)
        x = to_map(tokens + attended, *size)
        x = x + self.ffn(self.ffn_norm(x))
        if self.refinement is not None:
            dictionary = self.refinement(dictionary, similarity, to_tokens(x))
        return x, dictionary

    def traced(self, inputs: tuple, outputs: tuple) -> SortedGroups:
        """Return who attends to whom within categories, without the windows and the dictionary."""
        tokens, attention = self.norm(to_tokens(inputs[0])), self.attention
        return attention.pattern(attention.project(tokens), attention.dictionary(tokens, inputs[1])[0])


class ATDBlock(nn.Module):
    """Layers that hand a dictionary on, conv3×3, + input; the dictionary begins as learnt, the same for all images."""

    def __init__(self, channels: int, entries: int, layers: list[ATDLayer]):
        super().__init__()
        self.dictionary = nn.Parameter(torch.randn(entries, channels))
        self.layers = nn.ModuleList(layers)
        self.out = conv3x3(channels, channels)

    def forward(self, x: Map) -> Map:
        y, dictionary = x, self.dictionary.repeat(len(x), 1, 1)  # FLOP counters refuse views of parameters
        for layer in self.layers:
            y, dictionary = layer(y, dictionary)
        return x + self.out(y)


def atd_layer(channels: int, ratio: float, kernel_size: int, refines: bool = True, **options: int | str) -> ATDLayer:
    return ATDLayer(channels, ATDAttention(channels, **options), ratio, kernel_size, refines)


@register("atd_light", "ATD-light", "categories by a learnt dictionary that the image adapts", "arXiv:2401.08209")
def atd_light(
    scale: int,
    channels: PositiveInt = 48,
    depths: Sides = (6, 6, 6, 6),
    heads: PositiveInt | Sides = 4,
    side: PositiveInt = 16,
    group: PositiveInt = 128,
    entries: PositiveInt = 64,
    rank: PositiveInt = 8,
    kernel_size: PositiveInt = 7,
    ratio: PositiveFloat = 1.0,
    backend: Backend = "fused",
) -> WindowedNetwork:
    """Build blocks of so many layers each; `heads` is a number for all blocks or one for each."""
    each = (heads,) * len(depths) if isinstance(heads, int) else heads
    sizes = {"side": side, "group": group, "entries": entries, "rank": rank, "backend": backend}

    def block(depth: int, heads: int) -> ATDBlock:
        layers = [
            atd_layer(channels, ratio, kernel_size, i < depth - 1, heads=heads, shifted=i % 2 == 1, **sizes)
            for i in range(depth)
        ]
        return ATDBlock(channels, entries, layers)

    blocks = [block(depth, heads) for depth, heads in zip(depths, each, strict=True)]
    return WindowedNetwork(scale, channels, side, nn.Sequential(*blocks))
