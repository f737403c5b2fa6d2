"""A local convolution in attention's place: the control that looks no further than its kernel."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Attention, Pattern
from srlab.attention.conv_attn import KernelPattern


class LocalConvolution(Attention):
    """Each channel under its own k×k kernel, then channels mixed: x + residual_scale · conv1×1(depthwise(x)).

    It adds to the trunk what a mechanism adds, parameters and a layer, but nothing far away and no choice by
    content. What attention gains beyond it is attention's.

    Parameters
    ----------
    channels : int
    size : int
        k, odd.
    residual_scale : float
    """

    def __init__(self, channels: int, size: int = 7, residual_scale: float = 0.1):
        super().__init__()
        self.residual_scale = residual_scale
        self.kernel = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=False)
        self.merge = nn.Conv2d(channels, channels, 1)

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self.kernel.weight)

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern | None]:
        return x + self.residual_scale * self.merge(self.kernel(x)), shared
