"""Recall images: tiles with detail that is lost in LR and intact once more, far away.

A tile of 2×2 LR pixels on grey has a colour (red, green), its address, and a lit side (blue): top, bottom, left or
right, its detail. A *damaged* tile has only the mean of its detail in LR, as after a strong blur; an intact tile of
the same colour holds the lit side. Each pair has a distance, a direction and a place of its own, and the grid of tiles
begins anywhere, so only content leads to a copy. This is associative recall (Arora et al., arXiv 2312.04927) as an
image.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor

from srlab.errors import InputError

#: Sides in LR pixels of a tile, and of the grid's cells, in whose middle tiles lie.
TILE, CELL = 2, 4
GREY = 0.5
#: How far detail lies above and below its mean.
CONTRAST = 0.35
#: Which LR pixels of a tile are lit (1) and which dark (−1), row by row: bottom, top, right, left.
LIT = np.array([[-1, -1, 1, 1], [1, 1, -1, -1], [-1, 1, -1, 1], [1, -1, 1, -1]], np.float32)
#: Mean squared error, over the three channels, of a damaged tile that stays as it is.
LOST = CONTRAST**2 / 3
#: What a cell holds.
EMPTY, INTACT, DAMAGED, WITHOUT_COPY = range(4)
#: Attempts to place a pair, each with a distance and direction of its own, before it is left out.
ATTEMPTS = 20

Count = Annotated[int, Field(ge=0)]
Range = tuple[Count, Count]


class RecallTask(BaseModel, extra="forbid", frozen=True):
    """The content of recall images; each image draws numbers from the ranges, log-uniformly."""

    side: PositiveInt = 32  # of the LR image in pixels, a multiple of 4
    distance: Range = (4, 24)  # from damaged tile to copy, in LR pixels, in any direction
    pairs: tuple[PositiveInt, PositiveInt] = (1, 8)  # damaged tiles with a copy, each with its own colour, if room
    distractors: Range = (0, 8)  # intact tiles of other colours
    # Intact tiles of the colour of each pair: one at its distance, the others anywhere while there is room.
    copies: tuple[PositiveInt, PositiveInt] = (1, 4)
    without_copy: Count = 0  # damaged tiles without an intact tile of their colour
    colours: PositiveInt = 16  # to choose from: a square number, with as many levels of red as of green
    # Between neighbouring levels of red, or of green.
    apart: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.1, 0.26)

    @model_validator(mode="after")
    def _fits(self) -> RecallTask:
        levels = math.isqrt(self.colours)
        most = self.pairs[1] + self.distractors[1] + self.without_copy
        for name in ("distance", "pairs", "distractors", "copies", "apart"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} {low} to {high}: from less to more is expected")
        if self.side % CELL:
            raise ValueError(f"side {self.side}: a multiple of {CELL} is expected")
        if not CELL <= self.distance[0] <= self.distance[1] <= self.side - 2 * CELL:
            raise ValueError(f"distance {self.distance}: {CELL} to {self.side - 2 * CELL} fits into side {self.side}")
        if levels**2 != self.colours or self.colours < most:
            raise ValueError(f"colours {self.colours}: a square number is expected, at least {most} for so many tiles")
        if (levels - 1) * self.apart[1] > 0.8 + 1e-9:
            raise ValueError(f"apart {self.apart[1]:g}: {levels} levels fit if at most {0.8 / max(1, levels - 1):.3g}")
        if self.cells**2 < most + self.pairs[1]:
            raise ValueError(f"side {self.side}: too small for {most + self.pairs[1]} tiles")
        return self

    @property
    def cells(self) -> int:
        """Cells along a side; one more would fit, but the grid begins anywhere in the first."""
        return self.side // CELL - 1


class RecallImages(NamedTuple):
    """A batch of recall images, 0 to 1; an LR pixel away from damage is the mean of its HR pixels."""

    lr: Float[Tensor, "n 3 h w"]
    hr: Float[Tensor, "n 3 sh sw"]
    tile: Int[Tensor, "n h w"]  # the number of the damaged tile in its image for each LR pixel of one, from 0; else −1
    copy: Int[Tensor, "n h w"]  # the copy's pixel (row by row) for each LR pixel of a damaged tile with one; else −1

    @property
    def damaged(self) -> Bool[Tensor, "n h w"]:
        """LR pixels of damaged tiles with a copy."""
        return self.copy >= 0

    @property
    def without_copy(self) -> Bool[Tensor, "n h w"]:
        """LR pixels of damaged tiles without a copy."""
        return (self.tile >= 0) & (self.copy < 0)


def enlarge(images: Shaped[Tensor, "... h w"], scale: int) -> Shaped[Tensor, "... sh sw"]:
    """Repeat each pixel `scale` times in both directions."""
    return images.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


def recall_images(task: RecallTask, number: int, scale: int, seed: int | tuple[int, ...]) -> RecallImages:
    """Make `number` recall images; the same for the same seed (not negative)."""
    rng = np.random.default_rng(seed)
    state, key, copy_of = _arrange(task, number, rng)
    cells = task.cells

    levels = math.isqrt(task.colours)
    apart = np.exp(rng.uniform(*np.log(task.apart), number))[:, None]
    lowest = 0.1 + rng.random((2, number, 1)) * (0.8 - (levels - 1) * apart)
    order = rng.random((number, task.colours))
    # The colour nearest to grey is taken last, since a damaged tile of it could not be seen.
    level = np.arange(task.colours)
    red, green = lowest[0] + level // levels * apart, lowest[1] + level % levels * apart
    order[np.arange(number), ((red - GREY) ** 2 + (green - GREY) ** 2).argmin(1)] = 1
    colour = np.take_along_axis(order.argsort(1), key, 1)
    lit = np.take_along_axis(rng.integers(len(LIT), size=(number, task.colours)), key, 1)

    tiles = np.empty((number, cells**2, 3, TILE, TILE), np.float32)
    tiles[:, :, 0] = (lowest[0] + colour // levels * apart)[..., None, None]
    tiles[:, :, 1] = (lowest[1] + colour % levels * apart)[..., None, None]
    tiles[:, :, 2] = GREY + CONTRAST * LIT[lit].reshape(number, cells**2, TILE, TILE)
    intact = np.where((state > EMPTY)[..., None, None, None], tiles, GREY)
    seen = intact.copy()
    seen[:, :, 2][state >= DAMAGED] = GREY

    begins = rng.integers(CELL, size=(number, 2))
    row, column = np.divmod(copy_of, cells)
    inside = np.arange(TILE) + (CELL - TILE) // 2
    rows = row[..., None, None] * CELL + inside[:, None] + begins[:, :1, None, None]
    columns = column[..., None, None] * CELL + inside + begins[:, 1:, None, None]
    pixel = np.where((state == DAMAGED)[..., None, None], rows * task.side + columns, -1)
    lost = state >= DAMAGED
    tile = np.where(lost, lost.cumsum(1) - 1, -1)[..., None, None] + np.zeros((TILE, TILE), int)
    lr, hr = (_image(each, GREY, task.side, begins) for each in (seen, intact))
    tile, copy = (_image(each[:, :, None], -1, task.side, begins)[:, 0] for each in (tile, pixel))
    return RecallImages(lr, enlarge(hr, scale), tile, copy)


def _arrange(task: RecallTask, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return state, key (tiles of one colour) and the copy's cell (0 unless damaged), each [number, cells²]."""

    def some(least: int, most: int) -> np.ndarray:
        return np.exp(rng.uniform(np.log(least + 1), np.log(most + 2), number)).astype(int) - 1

    pairs, copies, distractors = some(*task.pairs), some(*task.copies), some(*task.distractors)
    state = np.zeros((number, task.cells**2), np.int8)
    key, copy_of = np.zeros((2, *state.shape), np.int64)
    for image in range(number):
        placed = 0
        for _ in range(pairs[image]):
            cells = _place(state[image].reshape(task.cells, -1) == EMPTY, task.distance, rng)
            if cells is not None:
                state[image, cells] = DAMAGED, INTACT
                key[image, cells], copy_of[image, cells[0]] = placed, cells[1]
                placed += 1
        pairs[image] = placed

    # On free cells in random order: damaged tiles without a copy, distractors, then further copies while there is room.
    free = np.where(state == EMPTY, rng.random(state.shape), 2).argsort(1)
    alone = task.without_copy + distractors
    wanted = np.minimum(alone + pairs * (copies - 1), (state == EMPTY).sum(1))
    image, place = np.nonzero(np.arange(task.cells**2) < wanted[:, None])
    cell, further = free[image, place], place - alone[image]
    key[image, cell] = np.where(further < 0, pairs[image] + place, further % np.maximum(pairs[image], 1))
    state[image, cell] = np.where(place < task.without_copy, WITHOUT_COPY, INTACT)
    return state, key, copy_of


def _place(free: Bool[np.ndarray, "r c"], distance: Range, rng: np.random.Generator) -> list[int] | None:
    """Choose two free cells at a distance and in a direction that are drawn evenly; None if no attempt finds any."""
    for _ in range(ATTEMPTS):
        angle = rng.uniform(0, 2 * np.pi)
        step = np.rint(rng.uniform(*distance) / CELL * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        if not distance[0] <= CELL * np.hypot(*step) <= distance[1]:
            continue
        rows, columns = np.nonzero(free)
        down, right = rows + step[0], columns + step[1]
        inside = (down >= 0) & (down < len(free)) & (right >= 0) & (right < len(free))
        fits = np.nonzero(inside)[0][free[down[inside], right[inside]]]
        if len(fits):
            chosen = rng.choice(fits)
            cells = rows * len(free) + columns, down * len(free) + right
            return [int(each[chosen]) for each in cells]
    return None


def _image(
    tiles: np.ndarray, around: float | int, side: int, begins: Int[np.ndarray, "n 2"]
) -> Shaped[Tensor, "n c h w"]:
    """Arrange [n, cells², c, tile, tile] as [n, c, side, side], each grid from its row and column on."""
    number, cells, channels = tiles.shape[:3]
    grid = math.isqrt(cells)
    margin = (CELL - TILE) // 2
    padded = np.full((number, grid, grid, channels, CELL, CELL), around, tiles.dtype)
    padded[..., margin : margin + TILE, margin : margin + TILE] = tiles.reshape(number, grid, grid, *tiles.shape[2:])
    grids = padded.transpose(0, 3, 1, 4, 2, 5).reshape(number, channels, grid * CELL, grid * CELL)
    images = np.full((number, channels, side, side), around, tiles.dtype)
    for image, own, (top, left) in zip(images, grids, begins, strict=True):
        image[:, top : top + grid * CELL, left : left + grid * CELL] = own
    return torch.from_numpy(images)


class RecallBatches:
    """Batches of recall images to train on, a function of seed (not negative) and step alone.

    `batch` is the number of images a step, over all processes together.
    """

    def __init__(self, task: RecallTask, scale: int, batch: int, seed: int):
        if seed < 0:
            raise InputError(f"seed {seed}: at least 0 is expected")
        self.task, self.scale, self.batch, self.seed = task, scale, batch, seed

    def batch_at(
        self, step: int, rank: int = 0, world_size: int = 1
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 3 sh sw"], Float[Tensor, "b 1 sh sw"]]:
        """Return LR, HR, and a mask of damage in HR (1, else 0); each process gets its share."""
        images = recall_images(self.task, self.batch, self.scale, (0, self.seed, step))
        damaged = enlarge((images.tile >= 0)[:, None].float(), self.scale)
        return tuple(part[rank::world_size] for part in (images.lr, images.hr, damaged))


def recall_loss(
    sr: Float[Tensor, "b 3 h w"], hr: Float[Tensor, "b 3 h w"], damaged: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, ""]:
    """Return 1 − recall over damaged places, plus 0.1 × the squared error everywhere in the same unit."""
    error = (sr - hr).square()
    inside = (error * damaged).sum() / (3 * damaged.sum()).clamp(min=1)
    return (inside + 0.1 * error.mean()) / LOST
