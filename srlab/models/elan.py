"""ELAN-light (Zhang et al., ECCV 2022, arXiv 2203.06697): shifts and 1×1 convolutions, windows with shared weights."""

from __future__ import annotations

import math

from jaxtyping import Float
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d

from srlab.attention.contract import Map
from srlab.attention.gmsa import GMSA, Backend, SharedGMSA, Sides
from srlab.attention.window_grid import WindowGrid
from srlab.models.layers import Network
from srlab.models.registry import register
from srlab.models.skip import MeanColour
from srlab.models.upsampler import conv3x3

#: Rows and columns by which four fifths of the channels shift; the last fifth stays.
SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def shift(x: Map) -> Map:
    """Move four fifths of the channels by a pixel, zeros from outside: a depthwise 3×3 convolution with single ones."""
    fifth = x.shape[1] // 5
    kernel = x.new_zeros(x.shape[1], 1, 3, 3)
    kernel[4 * fifth :, 0, 1, 1] = 1
    for i, (down, right) in enumerate(SHIFTS):
        kernel[i * fifth : (i + 1) * fifth, 0, 1 + down, 1 + right] = 1
    return conv2d(x, kernel, padding=1, groups=x.shape[1])


class LocalFeatures(nn.Module):
    """LFE: shift and conv1×1 to expansion · channels, ReLU, shift and conv1×1 back."""

    def __init__(self, channels: int, expansion: int):
        super().__init__()
        self.widen = nn.Conv2d(channels, expansion * channels, 1)
        self.narrow = nn.Conv2d(expansion * channels, channels, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Map) -> Map:
        return self.narrow(shift(self.relu(self.widen(shift(x)))))


class ELAB(nn.Module):
    """Local features and attention interleaved, each added to its input; the first attention makes the weights."""

    def __init__(self, local: list[LocalFeatures], attentions: list[SharedGMSA]):
        super().__init__()
        self.local, self.attentions = nn.ModuleList(local), nn.ModuleList(attentions)

    def forward(self, x: Map) -> Map:
        shared = None
        for local, attention in zip(self.local, self.attentions, strict=True):
            x = local(x).add_(x)
            y, shared = attention(x, shared)
            x = y.add_(x)
        return x


class ELAN(Network):
    """Padding to whole windows, × `colours`; conv3×3; ELABs, + first feature; conv3×3, pixel shuffle, / `colours`."""

    def __init__(self, scale: int, channels: int, blocks: list[ELAB], sides: tuple[int, ...], colours: float):
        super().__init__()
        self.scale, self.colours = scale, colours
        self.whole = math.lcm(*sides)
        self.mean = MeanColour()
        self.skip: nn.Module = self.mean
        self.head = conv3x3(3, channels)
        self.blocks = nn.Sequential(*blocks)
        self.to_image = conv3x3(channels, 3 * scale**2)

    def forward(self, lr: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 sh sw"]:
        height, width = lr.shape[2:]
        padded = WindowGrid((height, width), (self.whole, self.whole)).pad(lr.permute(0, 2, 3, 1))
        padded = padded.contiguous().permute(0, 3, 1, 2)  # channels-last
        features = self.head(self.colours * (padded - self.mean.mean))
        image = self.to_image(self.blocks(features).add_(features))
        image = nn.functional.pixel_shuffle(image, self.scale) / self.colours
        return self.skip(lr) + image[..., : self.scale * height, : self.scale * width]


@register("elan_light", "ELAN-light", "windows of several sizes, layers share weights", "arXiv:2203.06697")
def elan_light(
    scale: int,
    channels: PositiveInt = 60,
    layers: PositiveInt = 24,
    reuses: NonNegativeInt = 1,
    expansion: PositiveInt = 2,
    sides: Sides = (4, 8, 16),
    colours: PositiveFloat = 255.0,
    backend: Backend = "sdpa",
) -> ELAN:
    """Build `layers` pairs of local features and attention; `reuses` of them follow each that computes weights."""

    def block(i: int) -> ELAB:
        first = GMSA(channels, sides, shifted=i % 2 == 1, backend=backend)
        return ELAB(
            [LocalFeatures(channels, expansion) for _ in range(1 + reuses)],
            [first, *(SharedGMSA(channels, sides, backend=backend) for _ in range(reuses))],
        )

    return ELAN(scale, channels, [block(i) for i in range(layers // (1 + reuses))], sides, colours)
