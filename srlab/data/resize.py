"""Resize bicubically as MATLAB's `imresize` does, which the papers use to make LR images."""

import torch
from jaxtyping import UInt8, UInt16
from torch import Tensor
from torch.nn.functional import interpolate

from srlab.errors import InputError

Pixels = UInt8[Tensor, "_c _h _w"] | UInt16[Tensor, "_c _h _w"]  # 0 to 255, or 0 to 65535


def modcrop(image: UInt8[Tensor, "3 H W"], scale: int) -> UInt8[Tensor, "3 h w"]:
    """Return a view, cropped at the bottom and right to the largest sides that `scale` divides.

    InputError if `scale` is not a whole number of at least 1, or the image has fewer pixels a side.
    """
    _check_scale(scale)
    _, height, width = image.shape
    if min(height, width) < scale:
        raise InputError(f"image of {width}×{height} pixels: at scale {scale} at least {scale}×{scale} are needed")
    return image[:, : height - height % scale, : width - width % scale]


def downscale(image: Pixels, scale: int) -> Pixels:
    """Shrink an HR image to its LR image: bicubic, antialiased, by a whole factor.

    The result equals MATLAB's `imresize(image, 1 / scale)`, except for ±1 where a value lies half way between two
    integers. InputError if `scale` is not a whole number of at least 1, or does not divide the sides (see `modcrop`).
    """
    _check_scale(scale)
    _, height, width = image.shape
    if height % scale or width % scale:
        raise InputError(f"image of {width}×{height} pixels: scale {scale} must divide both sides")
    return _resize(image, height // scale, width // scale, margin=2 * scale)


def upscale(image: Pixels, scale: int) -> Pixels:
    """Enlarge by a whole factor, bicubic: the baseline of every SR paper, `imresize(image, scale)` as in `downscale`.

    InputError if `scale` is not a whole number of at least 1.
    """
    _check_scale(scale)
    _, height, width = image.shape
    return _resize(image, height * scale, width * scale, margin=2)


def _check_scale(scale: int) -> None:
    if not isinstance(scale, int) or scale < 1:
        raise InputError(f"scale {scale!r}: a whole number of at least 1 is expected")


def _resize(image: Pixels, height: int, width: int, margin: int) -> Pixels:
    """Resize with `margin` mirrored pixels around, as wide as the kernel reaches, which are cut off afterwards.

    Enlarging has `antialias=True` too: only that kernel of torch has MATLAB's a = −0.5 (the other has −0.75).
    """
    rows, columns = (_mirrored(side, margin, image.device) for side in image.shape[1:])
    padded = image[:, rows[:, None], columns].double()
    top, left = margin * height // image.shape[1], margin * width // image.shape[2]
    size = (height + 2 * top, width + 2 * left)
    resized = interpolate(padded[None], size, mode="bicubic", align_corners=False, antialias=True)[0]
    inside = resized[:, top : top + height, left : left + width]
    return inside.round().clamp(0, torch.iinfo(image.dtype).max).to(image.dtype)


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    """Return indices of a side with margins that mirror the image and repeat its edge (period 2 · side)."""
    index = torch.arange(-margin, side + margin, device=device) % (2 * side)
    return torch.minimum(index, 2 * side - 1 - index)
