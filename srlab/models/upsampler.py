"""From features to an image: convolutions and pixel shuffles, in one step where that is less work.

Without a nonlinearity between them they are one convolution, from 5×5 LR pixels to the image within one LR pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle, pixel_unshuffle

from srlab.attention.precision import without_autocast

Features = Float[Tensor, "b c h w"]
SR = Float[Tensor, "b 3 sh sw"]

#: LR pixels on each side of an LR pixel that its pixels of the image depend on.
REACH = 2
#: Least height and width of a map for one step; the edges of smaller maps are too large a part.
FROM = 48


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Upsampler(nn.Sequential):
    """conv3×3 and pixel shuffle: by two for each factor of two, or once by three."""

    def __init__(self, channels: int, scale: int):
        super().__init__()
        for factor in {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]:
            self.extend([conv3x3(channels, factor**2 * channels), nn.PixelShuffle(factor)])


def enlarge(layers: Sequence[nn.Module], features: Features, scale: int) -> SR:
    """Return the image that conv3×3 and pixel shuffles make of features; in one step for larger maps.

    At the edges each layer pads the output of the one before, not the features. The outermost LR pixels therefore go
    layer by layer.
    """
    if min(features.shape[2:]) < FROM:
        return one_by_one(layers, features)
    with without_autocast(features.device):
        weight, bias = folded(layers, scale)
    sr = pixel_shuffle(conv2d(features, weight, bias, padding=REACH), scale)
    for axis in (2, 3):
        length = features.shape[axis]
        edges = [features.narrow(axis, start, 1 + REACH) for start in (0, length - 1 - REACH)]
        made = one_by_one(layers, torch.cat(edges))
        for start, edge, kept in zip((0, scale * (length - 1)), made.chunk(2), (0, scale * REACH), strict=True):
            sr.narrow(axis, start, scale).copy_(edge.narrow(axis, kept, scale))
    return sr


def one_by_one(layers: Sequence[nn.Module], features: Features) -> SR:
    for layer in layers:
        features = layer(features)
    return features


def folded(layers: Sequence[nn.Module], scale: int) -> tuple[Float[Tensor, "n c 5 5"], Float[Tensor, " n"]]:
    """Return weight and bias of the convolution that, followed by a pixel shuffle, equals the layers.

    Running the layers backwards from an image that is 1 at one output and 0 elsewhere gives that output's weights.
    """
    last = layers[-1]
    outputs = last.out_channels * scale**2
    hot = torch.eye(outputs, dtype=last.weight.dtype, device=last.weight.device)
    hot, bias, reach = pixel_shuffle(hot[..., None, None], scale), last.bias.new_zeros(outputs), 0
    for layer in reversed(layers):
        if isinstance(layer, nn.PixelShuffle):
            beside = -reach % layer.upscale_factor  # to whole pixels of the smaller map
            hot = pixel_unshuffle(pad(hot, 4 * [beside]), layer.upscale_factor)
            reach = (reach + beside) // layer.upscale_factor
        else:
            bias = bias + hot.sum((2, 3)) @ layer.bias
            hot, reach = conv_transpose2d(hot, layer.weight), reach + 1
    return hot, bias
