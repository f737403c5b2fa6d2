"""Recall images for the explorers and for figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from srlab.analysis.images import Box, TaskImage
from srlab.chapters.recall.images import TILE, RecallImages, recall_images
from srlab.chapters.recall.measure import SETTINGS, TEST, distance
from srlab.study.runs import Run
from srlab.study.study import Study

#: Test images to show, the first of the first setting.
SHOWN = 4


@cache
def _made(scale: int) -> RecallImages:
    return recall_images(SETTINGS[0].task, SETTINGS[0].images, scale, (TEST, 0))


@dataclass(frozen=True, kw_only=True)
class RecallImage(TaskImage):
    """A test image of the first setting."""

    path: Path = Path("recall image")
    number: int
    learnt: Callable[[Study, str], Run]  # returns the run of a study's network on the task

    def run(self, study: Study, model: str) -> Run:
        return self.learnt(study, model)

    def images(self, scale: int) -> RecallImages:
        """Make it, as a batch of one image."""
        return RecallImages(*(part[self.number : self.number + 1] for part in _made(scale)))

    def pair(self, scale: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 sh sw"]]:
        images = self.images(scale)
        lr, hr = (image[0].mul(255).round().to(torch.uint8) for image in (images.lr, images.hr))
        return lr, hr

    def read(self) -> UInt8[Tensor, "3 h w"]:
        return self.pair(2)[1]

    def lost(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (row, column) of the first pixel of the tile farthest from its copy, and of the copy, in LR pixels."""
        copy = self.images(2).copy[0]
        pixels, width = torch.nonzero(copy.flatten() >= 0)[:, 0], copy.shape[1]
        copies = copy.flatten()[pixels]
        farthest = distance(pixels, copies, width).argmax()
        return divmod(pixels[farthest].item(), width), divmod(copies[farthest].item(), width)

    def start(self) -> tuple[int, int]:
        return self.lost()[0]

    def queries(self) -> tuple[list[int], list[int]]:
        places = torch.nonzero(self.images(2).copy[0] >= 0)
        rows, columns = (sorted(set(each.tolist()))[::TILE] for each in places.unbind(1))
        return rows, columns

    def target(self, row: int, col: int) -> tuple[Box, Box] | None:
        images = self.images(2)
        number, width = images.tile[0, row, col], images.tile.shape[2]
        if images.copy[0, row, col] < 0:
            return None
        first = (images.tile[0].flatten() == number).nonzero()[0].item()
        copy = images.copy[0].flatten()[first].item()
        return (*divmod(first, width), TILE, TILE), (*divmod(copy, width), TILE, TILE)


def recall_images_to_show(learnt: Callable[[Study, str], Run]) -> dict[str, RecallImage]:
    """Return the images to show, by the name that explorers use."""
    return {
        (name := f"recall: test image {number + 1}"): RecallImage(name=name, number=number, learnt=learnt)
        for number in range(SHOWN)
    }
