"""ConvAttn: a large kernel shared by the whole network and a small one made from the image, for attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from srlab.attention.contract import Attention, Pattern
from srlab.attention.from_weights import FromWeights
from srlab.errors import InputError

Map = Float[Tensor, "b p h w"]


@dataclass
class KernelPattern(Pattern):
    """Every query sees the pixels under the large kernel, each once; weights are no softmax but learnt.

    Attributes
    ----------
    size : (int, int)
        Height and width of the map.
    weight : Float[Tensor, "p in k k"]
        The large kernel: from each of p channels to each, or (in = 1) within each.
    mix : Float[Tensor, "p p 1 1"] or None
        Mixes channels before a large kernel that works within each.
    """

    size: tuple[int, int]
    weight: Float[Tensor, "p in k k"]
    mix: Float[Tensor, "p p 1 1"] | None = None

    def pixels(self) -> Int[Tensor, " l"]:
        return torch.arange(self.size[0] * self.size[1], device=self.weight.device)

    def convolve(self, x: Map, small: Float[Tensor, "b p 3 3"]) -> Map:
        """Large kernel + small kernel of each image, with zeros around the map."""
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


def depthwise(x: Map, kernels: Float[Tensor, "b p k k"]) -> Map:
    """Each channel of each image under its own kernel."""
    groups, size = kernels.shape[0] * kernels.shape[1], kernels.shape[-1]
    images = x.reshape(1, groups, *x.shape[2:])
    kernels = kernels.reshape(groups, 1, size, size)
    return conv2d(images, kernels, padding=size // 2, groups=groups).reshape(x.shape)


class LargeKernel(FromWeights):
    """One convolution for the whole network, applied as the average of its eight flips and rotations.

    Parameters
    ----------
    channels, size : int
        p, and the side of the kernel, odd.

    References
    ----------
    arXiv 2503.06671, ConvAttn.
    """

    def __init__(self, channels: int = 16, size: int = 13):
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels, size, size)))

    def compute(self) -> Float[Tensor, "p p k k"]:
        turned = [self.weight.rot90(turns, (2, 3)) for turns in range(4)]
        return torch.stack(turned + [kernel.flip(3) for kernel in turned]).mean(0)

    def pattern(self, x: Float[Tensor, "b c h w"]) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self())


class DecomposedKernel(nn.Module):
    """The large kernel of ESC-FP: channels are mixed pixel by pixel, then each is convolved by itself.

    Parameters
    ----------
    channels, size : int

    References
    ----------
    arXiv 2503.06671, ESC-FP.
    """

    def __init__(self, channels: int = 16, size: int = 13):
        super().__init__()
        self.mix = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels, 1, 1)))
        self.spatial = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, 1, size, size)))

    def pattern(self, x: Float[Tensor, "b c h w"]) -> KernelPattern:
        return KernelPattern(tuple(x.shape[2:]), self.spatial, self.mix)


class ConvAttn(Attention):
    """Convolve the first p channels with the shared large and an own dynamic kernel; merge by conv1×1.

    The dynamic kernel, depthwise 3×3, is made from the image: the means of the p channels, conv1×1, GELU,
    conv1×1.

    Parameters
    ----------
    channels : int
    attended : int
        p, the channels that are convolved.
    reduction : int
        The dynamic kernel is made through p // reduction channels.
    kernel : LargeKernel, DecomposedKernel or None
        The first layer of a network has it; None for those that are handed its pattern.
    residual_scale : float or None
        The output is x + residual_scale · result; None for the result alone.

    References
    ----------
    arXiv 2503.06671, ConvAttn.
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
        self.attended = attended
        self.residual_scale = residual_scale
        self.kernel = kernel
        last = nn.Conv2d(attended // reduction, 9 * attended, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.to_small = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(attended, attended // reduction, 1), nn.GELU(), last
        )
        self.merge = nn.Conv2d(channels, channels, 1)

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> Pattern:
        if self.kernel is not None:
            return self.kernel.pattern(x)
        if shared is None:
            raise ValueError("this ConvAttn has no kernel of its own, and `shared` is None: give one to a layer before")
        return shared

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern]:
        pattern = self.pattern(x, shared)
        first, rest = x[:, : self.attended], x[:, self.attended :]
        result = self.merge(torch.cat([pattern.convolve(first, self.small_kernels(x)), rest], 1))
        return (result if self.residual_scale is None else x + self.residual_scale * result), pattern

    def small_kernels(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b p 3 3"]:
        """The dynamic kernel of each image."""
        made = self.to_small(x[:, : self.attended])
        return made.unflatten(1, (self.attended, 9)).reshape(-1, self.attended, 3, 3)
