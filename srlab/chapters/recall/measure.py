"""Recall of a network on test images, tile by tile, and the reach of its attention."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.attention.contract import Attended, attended
from srlab.attention.conv_attn import KernelPattern
from srlab.chapters.recall.images import LOST, TILE, RecallTask, recall_images

#: The first number of each test image's seed; seeds of training images begin with another.
TEST = 1
#: LR pixels of a tile.
PIXELS = TILE**2


class Setting(NamedTuple):
    """Test images of one kind: their name, number and task."""

    name: str
    images: int
    task: RecallTask


#: What all test images have.
ALIKE = {"copies": (1, 1), "colours": 81, "apart": (0.1, 0.1)}
#: "far": pairs at every distance among other tiles. "beside": one pair, the copy in the next tile, nothing else.
SETTINGS = (
    Setting(
        "far", 32, RecallTask(side=64, distance=(4, 40), pairs=(6, 6), distractors=(6, 6), without_copy=2, **ALIKE)
    ),
    Setting("beside", 16, RecallTask(side=24, distance=(4, 4), pairs=(1, 1), distractors=(0, 0), **ALIKE)),
)


def settings_hash(settings: tuple[Setting, ...] = SETTINGS) -> str:
    """Return ten hex digits of SHA-256 over the test images' settings; a run keeps them."""
    content = [(name, images, task.model_dump(mode="json")) for name, images, task in settings]
    return hashlib.sha256(json.dumps([TEST, content], sort_keys=True).encode()).hexdigest()[:10]


def distance(pixels: Int[Tensor, " n"], others: Int[Tensor, " n"], width: int) -> Float[Tensor, " n"]:
    """Return the distance between pixels of a map, numbered row by row, in pixels."""
    rows, columns = pixels // width - others // width, pixels % width - others % width
    return torch.hypot(rows.float(), columns.float())


def reach(
    layer: Attended, queries: Int[Tensor, " q"], copies: Int[Tensor, " q"]
) -> tuple[Bool[Tensor, " q"], Float[Tensor, " q"], Float[Tensor, " q"]]:
    """Measure what one layer's queries, the pixels of damaged tiles one after another, reach; `copies` are theirs.

    Returns
    -------
    found : Bool[Tensor, "q"]
        The keys of the query include its copy's pixel, in any head or round.
    weight : Float[Tensor, "q"]
        Share of the query's weights on the copy's tile, mean over heads; NaN for kernels without a softmax.
    seen : Float[Tensor, "q"]
        Number of keys, with repetitions, mean over heads.
    """
    pattern = layer.pattern
    pixels = pattern.pixels()
    many = pattern.multiplicity(queries)[0]
    found = ((many > 0).any(0) & (pixels == copies[:, None])).any(1)
    seen = many.sum(2).float().mean(0)
    if isinstance(pattern, KernelPattern):
        return found, torch.full(queries.shape, torch.nan), seen
    of_tile = copies.unflatten(0, (-1, PIXELS)).repeat_interleave(PIXELS, 0)
    tile = (pixels == of_tile[..., None]).any(1)
    return found, (pattern.weights(queries)[0].mean(0) * tile).sum(1), seen


@torch.inference_mode()
def measure_recall(network: nn.Module, scale: int, settings: tuple[Setting, ...] = SETTINGS) -> pd.DataFrame:
    """Measure recall and reach of a network for each damaged tile of each setting's images.

    Columns: setting, image, distance (to the copy, LR px; NaN for a tile without one), recall (1 − squared error ÷ the
    error of leaving the tile unchanged: 0 is no help, 1 a perfect copy, below 0 worse than no change, as detail is that
    cannot be known), found (share of the tile's pixels with their copy among the keys of any layer), weight (share of
    weights on the copy's tile, of the layer with most), seen (keys of a query, mean over layers). The last three are
    missing for tiles without a copy and networks without non-local layers. The network maps Float[Tensor, "1 3 h w"] of
    0 to 1, and is put in evaluation mode.
    """
    network, found = network.eval(), []
    device = next(network.parameters()).device
    for number, (name, count, task) in enumerate(settings):
        images = recall_images(task, count, scale, (TEST, number))
        for image in tqdm(range(count), desc=f"recall, {name}", unit="image", leave=False):
            rows = _tiles(network, *(part[image].to(device) for part in images))
            found.append(rows.assign(setting=name, image=image))
    table = pd.concat(found, ignore_index=True)
    return table[["setting", "image", *table.columns.difference(["setting", "image"], sort=False)]]


def _tiles(
    network: nn.Module,
    lr: Float[Tensor, "3 h w"],
    hr: Float[Tensor, "3 sh sw"],
    tile: Int[Tensor, "h w"],
    copy: Int[Tensor, "h w"],
) -> pd.DataFrame:
    sr, layers = attended(network, lr[None])
    scale = hr.shape[1] // lr.shape[1]
    error = nn.functional.avg_pool2d((sr[0].clamp(0, 1) - hr).square().mean(0)[None], scale).flatten()
    pixels = tile.flatten().argsort(stable=True)[-int((tile >= 0).sum()) :]  # tile by tile
    copies = copy.flatten()[pixels]
    by_tile = (-1, PIXELS)
    there = copies.unflatten(0, by_tile)[:, 0] >= 0
    apart = distance(pixels, copies, lr.shape[2]).unflatten(0, by_tile)[:, 0]
    recall = 1 - error[pixels].unflatten(0, by_tile).mean(1) / LOST
    rows = pd.DataFrame({"distance": apart.where(there, torch.nan).tolist(), "recall": recall.tolist()})
    if layers and there.any():
        own = copies >= 0
        looked = [reach(layer, pixels[own], copies[own]) for layer in layers]
        found, weight, seen = (torch.stack(part).float() for part in zip(*looked, strict=True))
        facts = {"found": found.amax(0), "weight": weight.unflatten(1, by_tile).mean(2).amax(0), "seen": seen.mean(0)}
        for name, values in facts.items():
            values = values if name == "weight" else values.unflatten(0, by_tile).mean(1)
            rows.loc[there.tolist(), name] = values.tolist()
    return rows
