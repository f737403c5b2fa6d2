"""Ways to make LR images: the papers', and others that are mistaken for it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import UInt8, UInt16
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from srlab.data.resize import downscale

HR = UInt8[Tensor, "3 H W"]
LR = UInt8[Tensor, "3 h w"] | UInt16[Tensor, "3 h w"]


def in_16_bits(image: HR, scale: int) -> LR:
    """Shrink as `downscale` does, to 16 bits, which is nearly unrounded."""
    return downscale((257 * image.int()).to(torch.uint16), scale)


def by_pillow(image: HR, scale: int) -> LR:
    """Shrink by Pillow's bicubic: the same kernel, but no pixels beyond the edge, and rounding after each axis."""
    _, height, width = image.shape
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    shrunk = picture.resize((width // scale, height // scale), Image.Resampling.BICUBIC)
    pixels = torch.frombuffer(bytearray(shrunk.tobytes()), dtype=torch.uint8)
    return pixels.view(shrunk.height, shrunk.width, 3).permute(2, 0, 1).contiguous()


def without_antialiasing(image: HR, scale: int) -> LR:
    """Shrink from 4×4 pixels at any factor with a = −0.75, as OpenCV's INTER_CUBIC does."""
    _, height, width = image.shape
    size = (height // scale, width // scale)
    shrunk = interpolate(image[None].double(), size, mode="bicubic", align_corners=False)[0]
    return shrunk.round().clamp(0, 255).to(torch.uint8)


class Shrinking(NamedTuple):
    """A function that shrinks an 8-bit HR image with sides that the scale divides, and its description in records."""

    shrink: Callable[[HR, int], LR]
    kernel: str
    bits: int = 8

    def description(self, scale: int) -> str:
        return f"{self.kernel} ×1/{scale} of HR (cropped to a multiple of {scale}), rounded to {self.bits} bits"


SHRINKING = {
    "matlab": Shrinking(downscale, "MATLAB-style bicubic"),
    "unrounded": Shrinking(in_16_bits, "MATLAB-style bicubic", 16),
    "pillow": Shrinking(by_pillow, "Pillow's bicubic"),
    "opencv": Shrinking(without_antialiasing, "bicubic without antialiasing, by OpenCV's formula,"),
}
