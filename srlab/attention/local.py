"""A local convolution in attention's place: the control that reaches no further than its kernel."""

from __future__ import annotations

from torch import nn

from srlab.attention.contract import Attention, Map, Pattern
from srlab.attention.conv_attn import KernelPattern
from srlab.errors import InputError


class LocalConvolution(Attention):
    """x + residual_scale · conv1×1(depthwise k×k(x)), k = `size`, odd.

    It adds parameters and a layer to the trunk, as a mechanism does, but no distant pixels and no choice by content.
    """

    def __init__(self, channels: int, size: int = 7, residual_scale: float = 0.1):
        super().__init__()
        if size % 2 == 0:
            raise InputError(f"the kernel is {size}×{size}: an odd side is expected")
        self.residual_scale = residual_scale
        self.kernel = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=False)
        self.merge = nn.Conv2d(channels, channels, 1)

    def pattern(self, x: Map, shared: Pattern | None = None) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self.kernel.weight)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        return x + self.residual_scale * self.merge(self.kernel(x)), shared
