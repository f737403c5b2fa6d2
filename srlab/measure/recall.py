"""Who finds the other tile? Recall of a network on recall images, dial by dial, and its attention's reach."""

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
from srlab.data.recall import LOST, RecallImages, Scene, enlarge, recall_images

#: Recall images of each setting, and the first number of their seeds, of which training has another.
IMAGES, TEST = 16, 1


class Setting(NamedTuple):
    """One setting of one dial: its value, and what images are like there."""

    dial: str
    value: float
    scene: Scene


def _scene(**other: object) -> Scene:
    """Four pairs 16 LR pixels apart among four distractors on 48×48, if nothing else is said."""
    usual = {"side": 48, "distance": (16, 16), "pairs": (4, 4), "distractors": (4, 4), "copies": (1, 1)}
    return Scene(**usual | {"without_copy": 2, "colours": 81, "apart": (0.1, 0.1)} | other)


#: One dial at a time. "beside": the copy is the next tile, within the convolutions' reach, and nothing else is there.
SETTINGS = (
    Setting("beside", 4, _scene(side=24, distance=(4, 4), pairs=(1, 1), distractors=(0, 0), without_copy=0)),
    *(Setting("distance", d, _scene(side=80, distance=(d, d))) for d in (4, 8, 16, 32, 64)),
    *(Setting("distractors", n, _scene(distractors=(n, n))) for n in (0, 4, 16, 64)),
    *(Setting("side", side, _scene(side=side)) for side in (24, 48, 96, 144)),
    *(Setting("apart", a, _scene(colours=16, apart=(a, a))) for a in (0.02, 0.05, 0.1, 0.2)),
    *(Setting("copies", n, _scene(copies=(n, n))) for n in (1, 2, 4)),
)


def settings_hash(settings: tuple[Setting, ...] = SETTINGS) -> str:
    """Ten hex digits of SHA-256 over the settings and the number of images, for a run to name what it was measured on."""
    content = [(dial, value, scene.model_dump(mode="json")) for dial, value, scene in settings]
    return hashlib.sha256(json.dumps([IMAGES, TEST, content], sort_keys=True).encode()).hexdigest()[:10]


def recall_of(sr: Float[Tensor, "3 sh sw"], hr: Float[Tensor, "3 sh sw"], where: Bool[Tensor, "h w"]) -> float:
    """1 − squared error over these LR pixels' places, as a share of that of leaving them as they are; NaN of none.

    0 is no help, 1 a perfect copy; below 0, what was put there is worse than nothing.
    """
    error = (sr - hr).square().mean(0)
    inside = enlarge(where, hr.shape[1] // where.shape[0])
    return 1 - error[inside].mean().item() / LOST


def reach(
    layer: Attended, queries: Int[Tensor, " q"], copies: Int[Tensor, " q"]
) -> tuple[Bool[Tensor, " q"], Float[Tensor, " q"], Float[Tensor, " q"]]:
    """What one layer's queries in damaged tiles see, of one image.

    Parameters
    ----------
    layer : Attended
    queries, copies : Int[Tensor, "q"]
        Pixels of a damaged tile, and for each the same place in its copy.

    Returns
    -------
    found : Bool[Tensor, "q"]
        Whether a query sees its copy's pixel, by any head or round.
    weight : Float[Tensor, "q"]
        Which part of its weights falls on the copy's whole tile, the mean over heads; NaN where a layer has kernels and
        no weights of a softmax.
    seen : Float[Tensor, "q"]
        How many keys a query sees, each as often as it is seen, the mean over heads.
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
    """Recall and reach of a network for each setting.

    Parameters
    ----------
    network : nn.Module
        Maps Float[Tensor, "1 3 h w"] of 0 to 1; put in evaluation mode.
    scale : int
    settings : tuple of Setting

    Returns
    -------
    DataFrame
        An image a row: dial, value, image; recall (of damaged tiles with a copy), invented (the same of those without:
        below 0 if the network puts in what it cannot know); found (share of damaged pixels that see their copy in any
        layer), weight (largest of its layers' mean share of weights on the copy's tile), seen (keys that a query sees in
        a layer, the mean over layers). The last three are NaN for networks without non-local layers.
    """
    rows = []
    network = network.eval()
    device = next(network.parameters()).device
    for number, (dial, value, scene) in enumerate(tqdm(settings, desc="recall", unit="setting", leave=False)):
        images = recall_images(scene, IMAGES, scale, (TEST, number))
        for image in range(IMAGES):
            rows.append({"dial": dial, "value": value, "image": image} | _one(network, images, image, device))
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
    """A number for each two pixels of a row that may belong to one tile."""
    return (pixels + 1) // 2
