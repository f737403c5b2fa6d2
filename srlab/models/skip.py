"""What a network adds its output to, and what its first filters see: as each paper publishes it, or as learns fast.

From the bicubic enlargement of its input a network has to learn only what interpolation lacks, which it does several
times faster; and whatever networks are compared, they then start from the same image. That image has the brightness
already. Filters that sum to zero leave it out, so that what follows (norms, nonlinearities that are nearly linear for
small signals) is given details of a useful size from the first step on, instead of small ripples on a constant.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

LR = Float[Tensor, "b 3 h w"]
SR = Float[Tensor, "b 3 sh sw"]
#: What `build` and profiles ask for.
Skip = Literal["published", "bicubic"]
First = Literal["published", "details"]

#: How many times larger first filters that see details are than drawn: details of [0, 1] images are about a tenth.
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


class Nothing(nn.Module):
    """SSCAN, whose paper names nothing."""

    def forward(self, lr: LR) -> float:
        return 0.0


class RepeatedPixels(nn.Module):
    """Each pixel s×s times: ESC."""

    def __init__(self, scale: int):
        super().__init__()
        self.scale = scale

    def forward(self, lr: LR) -> SR:
        return interpolate(lr, scale_factor=self.scale, mode="nearest")


class Bicubic(nn.Module):
    """Bicubic enlargement: with MATLAB's kernel (a = −0.5), or with torch's own (a = −0.75), as ESC-FP has it."""

    def __init__(self, scale: int, matlab: bool = True):
        super().__init__()
        self.scale, self.matlab = scale, matlab

    def forward(self, lr: LR) -> SR:
        return interpolate(lr, scale_factor=self.scale, mode="bicubic", antialias=self.matlab)


def add_to_bicubic(network: nn.Module) -> nn.Module:
    """Let a network add its output to the bicubic enlargement of its input, to which it is equal at first.

    Parameters
    ----------
    network : nn.Module
        With `scale`, `skip`, and `last`, the convolution that makes the image, which becomes zero.
    """
    network.skip = Bicubic(network.scale)
    nn.init.zeros_(network.last.weight)
    nn.init.zeros_(network.last.bias)
    return network


@torch.no_grad()
def see_details(network: nn.Module) -> nn.Module:
    """Make the first filters, as they were drawn, sum to zero over each colour, and `DETAIL_GAIN` times larger.

    Parameters
    ----------
    network : nn.Module
        With `head`, the convolution that sees the image.
    """
    weight = network.head.weight
    weight.copy_(DETAIL_GAIN * (weight - weight.mean((2, 3), keepdim=True)))
    return network
