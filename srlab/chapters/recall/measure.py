"""Recall of a network on test images, one factor at a time, and the reach of its attention."""

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
from srlab.chapters.recall.images import LOST, RecallImages, RecallTask, enlarge, recall_images

#: Recall images of each setting, and the first number of their seeds, of which training has another.
IMAGES, TEST = 16, 1


class Setting(NamedTuple):
    """A value of one factor, and the images to test it on."""

    factor: str
    value: float
    task: RecallTask


def _task(**other: object) -> RecallTask:
    """Return four pairs 16 LR pixels apart among four distractors on 48×48, with changes."""
    usual = {"side": 48, "distance": (16, 16), "pairs": (4, 4), "distractors": (4, 4), "copies": (1, 1)}
    return RecallTask(**usual | {"without_copy": 2, "colours": 81, "apart": (0.1, 0.1)} | other)


#: One factor at a time. "beside": the copy is the next tile, in reach of the convolutions, and the image is empty.
SETTINGS = (
    Setting("beside", 4, _task(side=24, distance=(4, 4), pairs=(1, 1), distractors=(0, 0), without_copy=0)),
    *(Setting("distance", d, _task(side=80, distance=(d, d))) for d in (4, 8, 16, 32, 64)),
    *(Setting("distractors", n, _task(distractors=(n, n))) for n in (0, 4, 16, 64)),
    *(Setting("side", side, _task(side=side)) for side in (24, 48, 96, 144)),
    *(Setting("apart", a, _task(colours=16, apart=(a, a))) for a in (0.02, 0.05, 0.1, 0.2)),
    *(Setting("copies", n, _task(copies=(n, n))) for n in (1, 2, 4)),
)


def settings_hash(settings: tuple[Setting, ...] = SETTINGS) -> str:
    """Return ten hex digits of SHA-256 over the settings and the number of images; a run keeps them."""
    content = [(factor, value, task.model_dump(mode="json")) for factor, value, task in settings]
    return hashlib.sha256(json.dumps([IMAGES, TEST, content], sort_keys=True).encode()).hexdigest()[:10]


def recall_of(sr: Float[Tensor, "3 sh sw"], hr: Float[Tensor, "3 sh sw"], where: Bool[Tensor, "h w"]) -> float:
    """Return 1 − squared error at these LR pixels ÷ the error of leaving them unchanged; NaN without pixels.

    0 is no help and 1 a perfect copy; values below 0 are worse than no change.
    """
    error = (sr - hr).square().mean(0)
    inside = enlarge(where, hr.shape[1] // where.shape[0])
    return 1 - error[inside].mean().item() / LOST


def reach(
    layer: Attended, queries: Int[Tensor, " q"], copies: Int[Tensor, " q"]
) -> tuple[Bool[Tensor, " q"], Float[Tensor, " q"], Float[Tensor, " q"]]:
    """Measure what one layer's queries, pixels of damaged tiles, reach; `copies` are the same places in the copies.

    Returns
    -------
    found : Bool[Tensor, "q"]
        The keys of the query include its copy's pixel, in any head or round.
    weight : Float[Tensor, "q"]
        Share of the query's weights on the copy's tile, mean over heads; NaN for kernels without a softmax.
    seen : Float[Tensor, "q"]
        Number of keys, with repetitions, mean over heads.
    """
    pattern, width = layer.pattern, layer.x.shape[3]
    pixels = pattern.pixels()
    many = pattern.multiplicity(queries)[0]
    found = ((many > 0).any(0) & (pixels == copies[:, None])).any(1)
    seen = many.sum(2).float().mean(0)
    if isinstance(pattern, KernelPattern):
        return found, torch.full(queries.shape, torch.nan), seen
    # Tiles begin at odd pixels, so pixels 2k − 1 and 2k are of one.
    tile = (_tile(pixels // width) == _tile(copies // width)[:, None]) & (
        _tile(pixels % width) == _tile(copies % width)[:, None]
    )
    return found, (pattern.weights(queries)[0].mean(0) * tile).sum(1), seen


@torch.inference_mode()
def measure_recall(network: nn.Module, scale: int, settings: tuple[Setting, ...] = SETTINGS) -> pd.DataFrame:
    """Measure recall and reach of a network for each setting.

    Rows are images: factor, value, image; recall (damaged tiles with a copy), invented (the same for tiles without a
    copy: below 0 if the network writes detail that it cannot know); found (share of damaged pixels with their copy
    among the keys of any layer), weight (share of weights on the copy's tile, of the layer with most), seen (keys of a
    query, mean over layers). The last three are missing for networks without non-local layers. The network maps
    Float[Tensor, "1 3 h w"] of 0 to 1, and is put in evaluation mode.
    """
    rows = []
    network = network.eval()
    device = next(network.parameters()).device
    for number, (factor, value, task) in enumerate(tqdm(settings, desc="recall", unit="setting", leave=False)):
        images = recall_images(task, IMAGES, scale, (TEST, number))
        for image in range(IMAGES):
            rows.append({"factor": factor, "value": value, "image": image} | _one(network, images, image, device))
    return pd.DataFrame(rows)


def _one(network: nn.Module, images: RecallImages, image: int, device: torch.device) -> dict[str, float]:
    lr, hr, damaged, without, copy = (part[image].to(device) for part in images)
    sr, layers = attended(network, lr[None])
    sr = sr[0].clamp(0, 1)
    row = {"recall": recall_of(sr, hr, damaged), "invented": recall_of(sr, hr, without)}
    queries = damaged.flatten().nonzero()[:, 0]
    looked = [reach(layer, queries, copy.flatten()[queries]) for layer in layers]
    if looked:
        found, weight, seen = (torch.stack(part) for part in zip(*looked, strict=True))
        row["found"] = found.any(0).float().mean().item()
        row["weight"] = weight.mean(1).max().item()
        row["seen"] = seen.mean().item()
    return row


def _tile(pixels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Number the pairs of pixels of a row that may belong to one tile."""
    return (pixels + 1) // 2
