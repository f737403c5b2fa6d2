"""Cut training patches; seed and step alone determine those of a step."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm.auto import tqdm

from srlab.data.resize import downscale, modcrop
from srlab.errors import InputError


class Patches:
    """Aligned LR and HR patches, cut at random from whole images and randomly flipped and turned.

    The LR image of each whole image is made once, so patches away from the border have no border effect. The choices
    for item i of a batch depend only on (seed, step, i): a resumed run needs no state, and the batches of N processes
    together are the batch of one process.

    All HR `images` (0 to 255) are drawn with equal probability, whatever their size. LR patches have side `patch`, HR
    patches `scale * patch` pixels; `batch` counts the patches of a step over all processes together. `lr` are the LR
    images, if they exist already; the sides of `images` are then multiples of the scale. `after` steps, those of the
    run that this one continues, are skipped. InputError if there are no images, one is smaller than an HR patch, or a
    number is out of range.
    """

    def __init__(
        self,
        images: Sequence[UInt8[Tensor, "3 _h _w"]],
        scale: int,
        patch: int,
        batch: int,
        seed: int,
        lr: Sequence[UInt8[Tensor, "3 _h _w"]] | None = None,
        after: int = 0,
    ):
        if not images:
            raise InputError("images: none given; training needs at least one")
        for name, value, least in (("patch", patch, 1), ("batch", batch, 1), ("seed", seed, 0)):
            if value < least:
                raise InputError(f"{name} {value}: at least {least} is expected")
        for number, (_, height, width) in enumerate(image.shape for image in images):
            if min(height, width) < scale * patch:
                needed = f"patch {patch} at scale {scale} needs at least {scale * patch}×{scale * patch}"
                raise InputError(f"training image {number} of {width}×{height} pixels: {needed}")
        self.scale, self.patch, self.batch, self.seed, self.after = scale, patch, batch, seed, after
        self._hr = [modcrop(image, scale) for image in images]
        self._lr = lr or [downscale(image, scale) for image in tqdm(self._hr, desc="making LR images", leave=False)]

    def batch_at(
        self, step: int, rank: int = 0, world_size: int = 1
    ) -> tuple[Float[Tensor, "b 3 p p"], Float[Tensor, "b 3 sp sp"]]:
        """Cut the LR and HR patches of a step: 0 to 1, on the CPU, b = batch / world_size, sp = scale * p.

        Process `rank` takes items rank, rank + world_size, ... of the batch. InputError if `world_size` does not divide
        it.
        """
        if self.batch % world_size:
            raise InputError(f"batch {self.batch}: a multiple of the number of processes, {world_size}, is expected")
        # Row i of these draws is the same for every batch size.
        draws = np.random.Generator(np.random.PCG64([self.seed, self.after + step])).random((self.batch, 4))
        pairs = [self._pair(*row) for row in draws[rank::world_size]]
        lr, hr = (torch.stack(patches).float().div_(255) for patches in zip(*pairs, strict=True))
        return lr, hr

    def _pair(
        self, image: float, row: float, column: float, turn: float
    ) -> tuple[UInt8[Tensor, "3 p p"], UInt8[Tensor, "3 sp sp"]]:
        """Cut one pair; all arguments are uniform in [0, 1)."""
        number, turn = int(image * len(self._lr)), int(turn * 8)
        lr, hr = self._lr[number], self._hr[number]
        top = int(row * (lr.shape[1] - self.patch + 1))
        left = int(column * (lr.shape[2] - self.patch + 1))
        s = self.scale
        return _cut(lr, top, left, self.patch, turn), _cut(hr, s * top, s * left, s * self.patch, turn)


def _cut(image: UInt8[Tensor, "3 h w"], top: int, left: int, side: int, turn: int) -> UInt8[Tensor, "3 p p"]:
    """Cut a square, turn it by 90° `turn % 4` times, and flip it if `turn` is 4 or more."""
    turned = image[:, top : top + side, left : left + side].rot90(turn % 4, (1, 2))
    return turned.flip(2) if turn >= 4 else turned
