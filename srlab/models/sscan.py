"""SSCAN: small windows attend to their best-matching windows, in a lightweight network.

Source: arXiv 2504.06634; no code was released. The paper gives the mechanism and the outline: blocks of two FGCA blocks
with a residual each, between 3×3 convolutions, pixel shuffle at the end. These choices are ours:

- 64 channels, 8 SSCAN blocks: 0.92 M parameters at ×4, within the lightweight class (0.6 to 1.0 M);
- M = 8 and k = 8: 512 keys a query, half of a 32×32 window's, from anywhere in the image;
- four heads, which share the choice of windows; LayerNorm;
- feed-forward: conv1×1 to twice the width, GELU, depthwise conv3×3, conv1×1; positions enter by its depthwise and each
  block's last convolution only;
- padding by reflection to a multiple of M.
"""

from __future__ import annotations

from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from srlab.attention import FGCA
from srlab.attention.contract import Map
from srlab.attention.routed_windows import Backend
from srlab.models.layers import ChannelNorm, ConvFFN, Network
from srlab.models.registry import register
from srlab.models.skip import NoSkip
from srlab.models.upsampler import conv3x3


class FGCABlock(nn.Module):
    """x + FGCA(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, attention: FGCA, channels: int, ratio: float):
        super().__init__()
        self.attention_norm, self.attention = ChannelNorm(channels), attention
        self.ffn_norm, self.ffn = ChannelNorm(channels), ConvFFN(channels, ratio)

    def forward(self, x: Map) -> Map:
        x = x + self.attention(self.attention_norm(x))[0]
        return x + self.ffn(self.ffn_norm(x))


class SSCANBlock(nn.Sequential):
    """FGCA blocks, conv3×3, + input."""

    def forward(self, x: Map) -> Map:
        return x + super().forward(x)


class SSCAN(Network):
    """conv3×3; blocks; conv3×3, + first feature; conv3×3 and pixel shuffle."""

    def __init__(self, scale: int, channels: int, blocks: list[SSCANBlock]):
        super().__init__()
        self.scale, self.skip, self.head = scale, NoSkip(), conv3x3(3, channels)
        self.blocks = nn.Sequential(*blocks)
        self.body_end = conv3x3(channels, channels)
        self.to_image = conv3x3(channels, 3 * scale**2)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        features = self.head(lr)
        x = self.body_end(self.blocks(features)) + features
        return self.skip(lr) + nn.functional.pixel_shuffle(self.to_image(x), self.scale)


@register("sscan", "SSCAN", "each small window picks the windows that match it best", "arXiv:2504.06634")
def sscan(
    scale: int,
    channels: PositiveInt = 64,
    heads: PositiveInt = 4,
    blocks: PositiveInt = 8,
    depth: PositiveInt = 2,
    side: PositiveInt = 8,
    top: PositiveInt = 8,
    ratio: PositiveFloat = 2.0,
    backend: Backend = "fused",
) -> SSCAN:
    def block() -> SSCANBlock:
        layers = [FGCABlock(FGCA(channels, heads, side, top, backend=backend), channels, ratio) for _ in range(depth)]
        return SSCANBlock(*layers, conv3x3(channels, channels))

    return SSCAN(scale, channels, [block() for _ in range(blocks)])
