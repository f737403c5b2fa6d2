"""ESC and its variants: one window attention a block, then convolutions that emulate it.

Sources: arXiv 2503.06671 (ESC, ESC-light, ESC-FP), arXiv 2603.06738 (ESC-RIB).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from srlab.attention.contract import Map, Pattern
from srlab.attention.conv_attn import ConvAttn, DecomposedKernel, LargeKernel
from srlab.attention.window import Backend, ImplicitPosition, PositionTable, WindowAttention
from srlab.models.layers import ChannelNorm, ConvFFN, Network
from srlab.models.registry import register
from srlab.models.skip import Enlarged
from srlab.models.upsampler import conv3x3

ESC_PAPER = "arXiv:2503.06671"
RIB_PAPER = "arXiv:2603.06738"


class ESCBlock(nn.Module):
    """ConvFFN and window attention once, then pairs of ConvFFN and ConvAttn, each with its skip.

    The hidden width of the first ConvFFN is first_ratio · channels, of those in pairs ratio · channels.
    """

    def __init__(
        self,
        channels: int,
        window_attention: WindowAttention,
        conv_attn: Callable[[], ConvAttn],
        pairs: int,
        first_ratio: float,
        ratio: float,
        norm_in_pairs: bool,
    ):
        super().__init__()
        norm = partial(ChannelNorm, channels, eps=1e-6)
        self.norm = norm()
        self.ffn = ConvFFN(channels, first_ratio)
        self.attention_norm = norm()
        self.attention = window_attention
        self.pair_norms = nn.ModuleList(norm() if norm_in_pairs else nn.Identity() for _ in range(pairs))
        self.pair_ffns = nn.ModuleList(ConvFFN(channels, ratio) for _ in range(pairs))
        self.conv_attns = nn.ModuleList(conv_attn() for _ in range(pairs))
        self.out_norm = norm()
        self.out = conv3x3(channels, channels)

    def forward(self, x: Map, kernel: Pattern) -> Map:
        skip = x
        x = self.ffn(self.norm(x))
        x = self.attention(self.attention_norm(x))[0].add_(x)
        for norm, ffn, conv_attn in zip(self.pair_norms, self.pair_ffns, self.conv_attns, strict=True):
            x = conv_attn(ffn(norm(x)), kernel)[0].add_(x)
        return self.out(self.out_norm(x)).add_(skip)


class ESC(Network):
    """conv3×3; blocks that share one large kernel; conv3×3, + first feature; conv3×3 and pixel shuffle."""

    def __init__(
        self,
        scale: int,
        channels: int,
        blocks: list[ESCBlock],
        kernel: LargeKernel | DecomposedKernel,
        skip: nn.Module,
        norm_after_blocks: bool,
    ):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = conv3x3(3, channels)
        self.kernel = kernel
        self.blocks = nn.ModuleList(blocks)
        self.body_norm = ChannelNorm(channels, eps=1e-6) if norm_after_blocks else nn.Identity()
        self.body_end = conv3x3(channels, channels)
        self.to_image = conv3x3(channels, 3 * scale**2)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        features = self.head(lr.contiguous(memory_format=torch.channels_last))
        x, kernel = features, self.kernel.pattern(features)
        for block in self.blocks:
            x = block(x, kernel)
        image = self.to_image(self.body_end(self.body_norm(x)) + features)
        return self.skip(lr) + nn.functional.pixel_shuffle(image, self.scale)


def family(
    position: Callable[[int, int], nn.Module] = PositionTable,
    gate: bool = False,
    kernel: type[LargeKernel | DecomposedKernel] = LargeKernel,
    reduction: int = 2,
    first_ratio: float = 2.0,
    norm_in_pairs: bool = False,
    norm_after_blocks: bool = True,
    skip: str = "nearest",
    kernel_first: bool = False,
) -> Callable[..., ESC]:
    """Return the function that builds a network; `kernel_first` draws its large kernel before its blocks."""

    def make(
        scale: int,
        channels: PositiveInt = 64,
        heads: PositiveInt = 4,
        blocks: PositiveInt = 5,
        pairs: PositiveInt = 5,
        side: PositiveInt = 32,
        attended: PositiveInt = 16,
        kernel_size: PositiveInt = 13,
        ratio: PositiveFloat = 1.25,
        backend: Backend = "sdpa",
    ) -> ESC:
        def block() -> ESCBlock:
            attention = WindowAttention(channels, heads, side, position, gate, backend=backend)
            conv_attn = partial(ConvAttn, channels, attended, reduction)
            return ESCBlock(channels, attention, conv_attn, pairs, first_ratio, ratio, norm_in_pairs)

        shared = kernel(attended, kernel_size) if kernel_first else None
        made = [block() for _ in range(blocks)]
        shared = shared or kernel(attended, kernel_size)
        return ESC(scale, channels, made, shared, Enlarged(scale, skip), norm_after_blocks)

    return make


esc = family(norm_after_blocks=False, kernel_first=True)
esc_fp = family(kernel=DecomposedKernel, reduction=4, first_ratio=1.5, norm_in_pairs=True, skip="bicubic")
esc_rib = family(ImplicitPosition, gate=True, first_ratio=4.0)

register("esc", "ESC", "convolutions emulate attention, after one window attention a block", ESC_PAPER)(esc)
register("esc_light", "ESC-light", "ESC with fewer blocks", ESC_PAPER)(partial(esc, blocks=3))
register("esc_fp", "ESC-FP", "ESC with a decomposed large kernel: few parameters and operations", ESC_PAPER)(
    partial(esc_fp, channels=48, heads=3)
)
register("esc_rib", "ESC-RIB", "ESC with larger windows and a position bias of low rank", RIB_PAPER)(
    partial(esc_rib, side=64)
)
