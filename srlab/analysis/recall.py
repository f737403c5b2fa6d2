"""Recall images to look at, as the explorers open them: HR, and LR in which some detail is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from srlab.data.layouts import ImageRef
from srlab.data.recall import TILE, RecallImages, recall_images
from srlab.measure.recall import SETTINGS, TEST


@dataclass(frozen=True, kw_only=True)
class RecallRef(ImageRef):
    """The first test image of a setting of the recall experiment.

    Attributes
    ----------
    number : int
        Of the setting, in `srlab.measure.recall.SETTINGS`.
    """

    path: Path = Path("recall image")
    number: int

    def images(self, scale: int) -> RecallImages:
        """It alone: LR and HR from 0 to 1, and where its damaged tiles and their copies are."""
        return recall_images(SETTINGS[self.number].scene, 1, scale, (TEST, self.number))

    def pair(self, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
        """LR and HR."""
        images = self.images(scale)
        lr, hr = (image[0].mul(255).round().to(torch.uint8) for image in (images.lr, images.hr))
        return lr, hr

    def read(self) -> UInt8[Tensor, "3 h w"]:
        """HR at ×2."""
        return self.pair(2)[1]

    def lost(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(row, column) of the first pixel of a damaged tile, and of its copy, in LR pixels."""
        copy = self.images(2).copy[0]
        row, column = torch.nonzero(copy >= 0)[0].tolist()
        return (row, column), divmod(copy[row, column].item(), copy.shape[1])

    def damaged(self) -> tuple[list[int], list[int]]:
        """Rows and columns, in LR pixels, of the first pixels of the damaged tiles that have a copy."""
        places = torch.nonzero(self.images(2).copy[0] >= 0)
        rows, columns = (sorted(set(each.tolist()))[::TILE] for each in places.unbind(1))
        return rows, columns

    def around(self, image: UInt8[Tensor, "3 sh sw"], margin: int = 8) -> UInt8[Tensor, "3 _h _w"]:
        """The part of LR, HR or SR that holds a damaged tile and its copy, with so many LR pixels around."""
        factor = image.shape[1] // SETTINGS[self.number].scene.side
        places = zip(*self.lost(), strict=True)
        ends = ((max(0, min(each) - margin), max(each) + margin + 2) for each in places)
        rows, columns = (slice(factor * first, factor * last) for first, last in ends)
        return image[:, rows, columns]


def recall_refs() -> dict[str, RecallRef]:
    """An image for each distance, by the name that explorers show."""
    names = {i: f"recall: copies {each.value:g} px away" for i, each in enumerate(SETTINGS) if each.dial == "distance"}
    return {name: RecallRef(name=name, number=number) for number, name in names.items()}
