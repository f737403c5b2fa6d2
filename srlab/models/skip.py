"""The term that a network adds its output to, and its first filters: as published, or so that it learns fast.

On top of the bicubic enlargement of its input a network learns only the missing detail, several times faster, and all
networks start from the same image. That image has the brightness, so first filters that sum to zero remove it: norms
and nonlinearities get details of a useful size from the first step on.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

LR = Float[Tensor, "b 3 h w"]
SR = Float[Tensor, "b 3 sh sw"]
#: Values of the options `skip` and `first` of `build`.
Skip = Literal["published", "bicubic"]
First = Literal["published", "details"]

#: The gain of first filters of details, which are about a tenth of [0, 1] images.
DETAIL_GAIN = 10.0
#: Mean RGB of DIV2K on [0, 1].
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


class MeanColour(nn.Module):
    """The mean colour of DIV2K, everywhere: LCoAN, HiT-SRF."""

    mean: Float[Tensor, "3 1 1"]

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN)[:, None, None], persistent=False)

    def forward(self, lr: LR) -> Float[Tensor, "3 1 1"]:
        return self.mean


class NoSkip(nn.Module):
    """Zero, since SSCAN's paper names no skip."""

    def forward(self, lr: LR) -> float:
        return 0.0


class Enlarged(nn.Module):
    """The input enlarged: "nearest", each pixel s×s times (ESC), "bilinear" (CATANet), or "bicubic".

    Bicubic has torch's kernel (a = −0.75), as in ESC-FP, or with `antialias` MATLAB's (a = −0.5).
    """

    def __init__(self, scale: int, mode: str, antialias: bool = False):
        super().__init__()
        self.scale, self.mode, self.antialias = scale, mode, antialias

    def forward(self, lr: LR) -> SR:
        return interpolate(lr, scale_factor=self.scale, mode=self.mode, antialias=self.antialias)


def add_to_bicubic(network: nn.Module) -> nn.Module:
    """Add a network's output to the bicubic enlargement of its input; the last convolution becomes zero."""
    network.skip = Enlarged(network.scale, "bicubic", antialias=True)
    nn.init.zeros_(network.last.weight)
    nn.init.zeros_(network.last.bias)
    return network


@torch.no_grad()
def centre_filters(network: nn.Module) -> nn.Module:
    """Make the first filters sum to zero over each colour, and `DETAIL_GAIN` times larger."""
    weight = network.head.weight
    weight.copy_(DETAIL_GAIN * (weight - weight.mean((2, 3), keepdim=True)))
    return network
