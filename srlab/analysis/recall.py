"""Recall images for the explorers: HR, and LR in which some tiles lost their detail."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from srlab.analysis.images import TaskImage
from srlab.data.recall import TILE, RecallImages, recall_images
from srlab.measure.recall import SETTINGS, TEST
from srlab.study.runs import RecallRun
from srlab.study.study import Study


@dataclass(frozen=True, kw_only=True)
class RecallRef(TaskImage):
    """The first test image of a setting of the recall experiment.

    Attributes
    ----------
    number : int
        Index of the setting in `srlab.measure.recall.SETTINGS`.
    """

    number: int

    def images(self, scale: int) -> RecallImages:
        """Return LR and HR, 0 to 1, and the places of damaged tiles and their copies."""
        return recall_images(SETTINGS[self.number].scene, 1, scale, (TEST, self.number))

    def pair(self, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
        """Return LR and HR."""
        images = self.images(scale)
        lr, hr = (image[0].mul(255).round().to(torch.uint8) for image in (images.lr, images.hr))
        return lr, hr

    def read(self) -> UInt8[Tensor, "3 h w"]:
        """Return HR at ×2."""
        return self.pair(2)[1]

    def lost(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (row, column) of the first pixel of a damaged tile, and of its copy, in LR pixels."""
        copy = self.images(2).copy[0]
        row, column = torch.nonzero(copy >= 0)[0].tolist()
        return (row, column), divmod(copy[row, column].item(), copy.shape[1])

    def start(self) -> tuple[int, int]:
        """Return the first pixel of a damaged tile."""
        return self.lost()[0]

    def queries(self) -> tuple[list[int], list[int]]:
        """Return rows and columns of the first pixels of the damaged tiles that have a copy."""
        places = torch.nonzero(self.images(2).copy[0] >= 0)
        rows, columns = (sorted(set(each.tolist()))[::TILE] for each in places.unbind(1))
        return rows, columns

    def run(self, study: Study, model: str) -> RecallRun:
        """Return the run that trains the network on recall images."""
        return study.recalled(model)

    def around(self, image: UInt8[Tensor, "3 sh sw"], margin: int = 8) -> UInt8[Tensor, "3 _h _w"]:
        """Crop LR, HR or SR to a damaged tile and its copy, with a margin in LR pixels."""
        factor = image.shape[1] // SETTINGS[self.number].scene.side
        places = zip(*self.lost(), strict=True)
        ends = ((max(0, min(each) - margin), max(each) + margin + 2) for each in places)
        rows, columns = (slice(factor * first, factor * last) for first, last in ends)
        return image[:, rows, columns]


def recall_refs() -> dict[str, RecallRef]:
    """Return an image for each distance, by the name that people read."""
    names = {i: f"recall: copies {each.value:g} px away" for i, each in enumerate(SETTINGS) if each.dial == "distance"}
    return {name: RecallRef(name=name, number=number) for number, name in names.items()}
