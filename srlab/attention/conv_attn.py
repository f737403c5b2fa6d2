"""ConvAttn (ESC, arXiv 2503.06671): a large kernel shared by the network plus a small one made from the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from srlab.attention.contract import Attention, Map, Pattern, narrowed
from srlab.attention.from_weights import FromWeights
from srlab.errors import InputError

Part = Float[Tensor, "b p h w"]


@dataclass
class KernelPattern(Pattern):
    """Every query attends to the pixels under the large kernel, once, by learnt weights without softmax.

    `size` is the map's height and width. The large kernel `weight` connects p channels (in = p), or works within each
    (in = 1), after `mix`.
    """

    size: tuple[int, int]
    weight: Float[Tensor, "p in k k"]
    mix: Float[Tensor, "p p 1 1"] | None = None

    def pixels(self) -> Int[Tensor, " l"]:
        return torch.arange(self.size[0] * self.size[1], device=self.weight.device)

    def convolve(self, x: Part, small: Float[Tensor, "b p 3 3"]) -> Part:
        """Convolve with the large kernel + each image's small one, with zeros around the map."""
        reach = self.weight.shape[-1] // 2
        if self.mix is None:
            return conv2d(x, self.weight, padding=reach).add_(depthwise(x, small))
        return depthwise(conv2d(x, self.mix), self.weight[:, 0] + pad(small, [reach - 1] * 4))

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 1 q l"]:
        height, width = self.size
        keys = torch.arange(height * width, device=self.weight.device)
        queries = keys if queries is None else queries
        rows = queries[:, None] // width - keys // width
        columns = queries[:, None] % width - keys % width
        reach = self.weight.shape[-1] // 2
        return ((rows.abs() <= reach) & (columns.abs() <= reach)).long()[None, None]


def depthwise(x: Part, kernels: Float[Tensor, "b p k k"]) -> Part:
    """Convolve each channel of each image with its own kernel."""
    groups, size = kernels.shape[0] * kernels.shape[1], kernels.shape[-1]
    images = x.reshape(1, groups, *x.shape[2:])
    kernels = kernels.reshape(groups, 1, size, size)
    return conv2d(images, kernels, padding=size // 2, groups=groups).reshape(x.shape)


class LargeKernel(FromWeights):
    """One kernel, of odd `size`, over p channels for the network: the average of its eight flips and rotations."""

    def __init__(self, channels: int = 16, size: int = 13):
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels, size, size)))

    def compute(self) -> Float[Tensor, "p p k k"]:
        turned = [self.weight.rot90(turns, (2, 3)) for turns in range(4)]
        return torch.stack(turned + [kernel.flip(3) for kernel in turned]).mean(0)

    def pattern(self, x: Map) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self())


class DecomposedKernel(nn.Module):
    """The large kernel of ESC-FP: mixes channels pixel by pixel, then convolves each by itself."""

    def __init__(self, channels: int = 16, size: int = 13):
        super().__init__()
        self.mix = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels, 1, 1)))
        self.spatial = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, 1, size, size)))

    def pattern(self, x: Map) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self.spatial, self.mix)


class ConvAttn(Attention):
    """Convolve the first p channels with the shared large kernel and a dynamic one; merge all channels by conv1×1.

    p is `attended`. The dynamic kernel, depthwise 3×3, follows from the means of the p channels by conv1×1 to
    p // reduction channels, GELU, conv1×1. A network's first layer has the large `kernel`; the others reuse its
    pattern. Output x + residual_scale · result, or the result alone if None.
    """

    shares = True

    def __init__(
        self,
        channels: int,
        attended: int = 16,
        reduction: int = 2,
        kernel: LargeKernel | DecomposedKernel | None = None,
        residual_scale: float | None = None,
    ):
        super().__init__()
        if attended > channels:
            raise InputError(f"attended is {attended}: it must not be above channels, {channels}")
        self.attended, self.kernel, self.residual_scale = attended, kernel, residual_scale
        narrow = narrowed(attended, reduction)
        last = nn.Conv2d(narrow, 9 * attended, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.to_small = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(attended, narrow, 1), nn.GELU(), last)
        self.merge = nn.Conv2d(channels, channels, 1)

    def pattern(self, x: Map, shared: Pattern | None = None) -> Pattern:
        if self.kernel is not None:
            return self.kernel.pattern(x)
        if shared is None:
            raise ValueError("this ConvAttn has no kernel of its own, and `shared` is None: give one to a layer before")
        return shared

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern]:
        pattern = self.pattern(x, shared)
        first, rest = x[:, : self.attended], x[:, self.attended :]
        result = self.merge(torch.cat([pattern.convolve(first, self.small_kernels(x)), rest], 1))
        return (result if self.residual_scale is None else x + self.residual_scale * result), pattern

    def small_kernels(self, x: Map) -> Float[Tensor, "b p 3 3"]:
        """Return the dynamic kernel of each image."""
        return self.to_small(x[:, : self.attended]).reshape(-1, self.attended, 3, 3)
