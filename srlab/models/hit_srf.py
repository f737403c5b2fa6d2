"""HiT-SRF (HiT-SR's variant of SRFormer, ECCV 2024): correlation without softmax, in windows that grow by block."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from srlab.attention.contract import Map
from srlab.attention.scc import SCC
from srlab.models.layers import ChannelNorm, ConvFFN, Network
from srlab.models.registry import register
from srlab.models.skip import MeanColour
from srlab.models.upsampler import conv3x3


class HiTBlock(nn.Module):
    """x + LN(attention(x)), then x + LN(ConvFFN(x))."""

    def __init__(self, channels: int, attention: SCC, expansion: float):
        super().__init__()
        self.attention = attention
        self.attention_norm = ChannelNorm(channels)
        self.ffn = ConvFFN(channels, expansion, size=5)
        self.ffn_norm = ChannelNorm(channels)

    def forward(self, x: Map) -> Map:
        x = self.attention_norm(self.attention(x)[0]).add_(x)
        return self.ffn_norm(self.ffn(x)).add_(x)


class HiTStage(nn.Module):
    """Blocks, conv3×3, + input."""

    def __init__(self, channels: int, blocks: list[HiTBlock]):
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.out = conv3x3(channels, channels)

    def forward(self, x: Map) -> Map:
        return x + self.out(self.blocks(x))


class HiTSRF(Network):
    """conv3×3; LN, stages, LN, conv3×3, + first feature; conv3×3 and pixel shuffle."""

    def __init__(self, scale: int, channels: int, stages: list[HiTStage]):
        super().__init__()
        self.scale, self.mean = scale, MeanColour()
        self.skip: nn.Module = self.mean
        self.head = conv3x3(3, channels)
        self.first_norm = ChannelNorm(channels)
        self.stages = nn.Sequential(*stages)
        self.last_norm = ChannelNorm(channels)
        self.body_end = conv3x3(channels, channels)
        self.to_image = conv3x3(channels, 3 * scale**2)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        features = self.head((lr - self.mean.mean).contiguous(memory_format=torch.channels_last))
        x = self.last_norm(self.stages(self.first_norm(features)))
        image = self.to_image(self.body_end(x) + features)
        return self.skip(lr) + nn.functional.pixel_shuffle(image, self.scale)


@register("hit_srf", "HiT-SRF", "windows grow from layer to layer", "HiT-SR, ECCV 2024")
def hit_srf(
    scale: int,
    channels: PositiveInt = 60,
    heads: PositiveInt = 6,
    stages: PositiveInt = 4,
    base: tuple[PositiveInt, PositiveInt] = (8, 8),
    ratios: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0),
    expansion: PositiveFloat = 2.0,
    backend: Literal["reassociated", "reference"] = "reassociated",
) -> HiTSRF:
    def block(ratio: float) -> HiTBlock:
        window = (int(base[0] * ratio), int(base[1] * ratio))
        return HiTBlock(channels, SCC(channels, heads, window, base, backend), expansion)

    made = [HiTStage(channels, [block(ratio) for ratio in ratios]) for _ in range(stages)]
    return HiTSRF(scale, channels, made)
