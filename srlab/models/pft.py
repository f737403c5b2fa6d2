"""PFT-light (arXiv 2503.20337, CVPR 2025): attention in windows, handed from layer to layer and focused."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt
from torch import nn

from srlab.attention.contract import Attending, Map, check_heads
from srlab.attention.gmsa import Sides
from srlab.attention.pfa import Chain, FocusedWindows, focus
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.sorted_groups import Backend
from srlab.attention.window import PositionTable
from srlab.errors import InputError
from srlab.models.layers import ChannelNorm, ChannelsLastGELU, ConvFFN, WindowedNetwork
from srlab.models.registry import register
from srlab.models.upsampler import conv3x3

#: What the two chains of a network hand on: those of the unshifted and of the shifted layers.
Chains = tuple[Chain | None, Chain | None]


class PFTLayer(Attending):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); attention keeps the `top` keys of each query.

    A depthwise convolution of the values, with GELU, is added before the attention's projection.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        side: int,
        top: int,
        shifted: bool,
        kernel_size: int,
        ratio: float,
        backend: Backend,
    ):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.side, self.top, self.shifted, self.backend = heads, side, top, shifted, backend
        self.norm = ChannelNorm(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.local = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.gelu = ChannelsLastGELU()
        self.position = PositionTable(1, side)
        self.out = nn.Conv2d(channels, channels, 1)
        self.ffn_norm, self.ffn = ChannelNorm(channels), ConvFFN(channels, ratio, kernel_size)

    def forward(self, x: Map, chains: Chains) -> tuple[Map, Chains]:
        size = (x.shape[2], x.shape[3])
        windows = ShiftedWindows(size, self.side, self.shifted)
        qkv = self.to_qkv(self.norm(x))
        local = self.gelu(self.local(qkv.chunk(3, 1)[2]))
        parts = windows.cut(qkv.permute(0, 2, 3, 1)).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.unbind()
        bias = self.position.plain() if self.backend == "reference" else self.position()
        scaled = query * query.shape[-1] ** -0.5
        attended, chain = focus(scaled, key, value, bias, windows, self.top, chains[self.shifted], self.backend)
        joined = windows.join(attended.transpose(2, 3).flatten(3)).permute(0, 3, 1, 2)
        x = x + self.out(joined + local)
        chains = (chains[0], chain) if self.shifted else (chain, chains[1])
        return x + self.ffn(self.ffn_norm(x)), chains

    def traced(self, inputs: tuple, outputs: tuple) -> FocusedWindows:
        windows = ShiftedWindows(tuple(inputs[0].shape[2:]), self.side, self.shifted)
        return FocusedWindows(windows, self.heads, outputs[1][self.shifted], self.backend)


class PFTBlock(nn.Module):
    """Layers, conv3×3, + input."""

    def __init__(self, channels: int, layers: list[PFTLayer]):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.out = conv3x3(channels, channels)

    def forward(self, x: Map, chains: Chains) -> tuple[Map, Chains]:
        y = x
        for layer in self.layers:
            y, chains = layer(y, chains)
        return x + self.out(y), chains


class PFTBody(nn.ModuleList):
    """Blocks; chains run through all of them."""

    def forward(self, x: Map) -> Map:
        chains: Chains = (None, None)
        for block in self:
            x, chains = block(x, chains)
        return x


@register("pft_light", "PFT-light", "attention in windows, handed on and focused", "arXiv:2503.20337")
def pft_light(
    scale: int,
    channels: PositiveInt = 52,
    depths: Sides = (2, 4, 6, 6, 6),
    heads: PositiveInt = 4,
    kept: Sides = (1024,) * 2 + (256,) * 4 + (128,) * 6 + (64,) * 6 + (32,) * 6,
    side: PositiveInt = 32,
    kernel_size: PositiveInt = 7,
    ratio: PositiveFloat = 1.0,
    backend: Backend = "fused",
) -> WindowedNetwork:
    """Build blocks of so many layers each; `kept` has the number of keys of each layer, which must not grow."""
    if len(kept) != sum(depths):
        raise InputError(f"kept has {len(kept)} numbers of keys: one for each of {sum(depths)} layers is expected")
    if list(kept) != sorted(kept, reverse=True):
        raise InputError(f"kept is {kept}: numbers of keys must not grow from layer to layer")
    tops = iter(kept)
    blocks = [
        [PFTLayer(channels, heads, side, next(tops), i % 2 == 1, kernel_size, ratio, backend) for i in range(depth)]
        for depth in depths
    ]
    body = PFTBody([PFTBlock(channels, layers) for layers in blocks])
    return WindowedNetwork(scale, channels, side, body)
