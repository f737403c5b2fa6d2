"""Where trained networks look on recall images, and what they write there, in one small file for the study's page."""

from __future__ import annotations

import base64
import json
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import pad

from srlab.analysis.layers import attention_row, seen, trace
from srlab.attention import Attending
from srlab.chapters.recall.images import LOST, TILE, RecallImages
from srlab.chapters.recall.scenes import RecallImage
from srlab.files import write_text
from srlab.study.study import Study

#: Recall images in the file.
IMAGES = 2
#: LR pixels around a damaged tile in its cut.
MARGIN = 3
#: Levels of a weight's logarithm, from 1 (a hundredth of an even spread over the image) to LEVELS (all of it).
LEVELS = 16


def write_looks(study: Study, images: dict[str, RecallImage]) -> Path | None:
    """Write `looks.json` of the networks with weights, first seed; None, and no file, if there are none.

    Content: `images`, each with `name`, `side`, `lr` and `tiles`, which have `at` and `copy` (row, column of their
    first pixels; no copy: null), `distance` (LR pixels), `damaged` and `truth` (cuts); `networks`, each with `arm`,
    `seed`, `run` (its hash) and `looks` by image and tile: `recall`, `weight` on the copy (of the layer with most; null
    without weights), `keys`; and `maps`, for every look its deflated levels (0: not a key), a byte a pixel, then its
    cut (RGB, ×scale).
    """
    chapter = study.chapter("recall")
    first = [run for run in chapter.runs if run.seed == study.profile.seeds[0]]
    kept = [(run, weights) for run in first if (weights := study.weights(run)) is not None]
    if not kept:
        return None
    shown, maps, networks = list(images.values())[:IMAGES], bytearray(), []
    made = [image.images(study.profile.scale) for image in shown]
    for run, weights in kept:
        network, looks = weights.network(), []
        for content in made:
            own, parts = _looks(network, content)
            looks.append(own)
            maps += b"".join(parts)
        networks.append({"arm": study.label(run), "seed": run.seed, "run": run.hash, "looks": looks})
    facts = {"scale": study.profile.scale, "margin": MARGIN, "levels": LEVELS, "networks": networks}
    facts["images"] = [_image(image.name, content) for image, content in zip(shown, made, strict=True)]
    facts["maps"] = _text(bytes(maps))
    path = study.folder / "looks.json"
    write_text(path, json.dumps(facts, separators=(",", ":")) + "\n")
    return path


def read_looks(path: Path) -> dict:
    """Read `looks.json` with arrays in place of texts.

    Images have `lr`, their tiles `damaged` and `truth` (uint8 RGB); each look has `weights` (Float[np.ndarray, "h w"],
    rounded to a level; 0: not a key) and `cut` (uint8 RGB).
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    wide = TILE + 2 * found["margin"]
    large, maps = found["scale"] * wide, BytesIO(_bytes(found["maps"]))
    for image in found["images"]:
        image["lr"] = _rgb(_bytes(image["lr"]), image["side"])
        for tile in image["tiles"]:
            tile.update(damaged=_rgb(_bytes(tile["damaged"]), wide), truth=_rgb(_bytes(tile["truth"]), large))
    for network in found["networks"]:
        for image, looks in zip(found["images"], network["looks"], strict=True):
            size = image["side"] ** 2
            for look in looks:
                level = np.frombuffer(maps.read(size), np.uint8).reshape(image["side"], -1)
                rest = 1 - (level - 1.0) / (found["levels"] - 1)
                look["weights"] = np.where(level > 0, (0.01 / size) ** rest, 0.0)
                look["cut"] = _rgb(maps.read(3 * large**2), large)
    return found


def _rgb(content: bytes, side: int) -> UInt8[np.ndarray, "_side _side 3"]:
    return np.frombuffer(content, np.uint8).reshape(side, side, 3)


def _bytes(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _tiles(images: RecallImages) -> list[tuple[int, int, int]]:
    """Return row, column and copy's pixel (−1: none) of the first pixel of each damaged tile of one image."""
    numbers, copies = images.tile[0], images.copy[0]
    firsts = [torch.nonzero(numbers == number)[0].tolist() for number in range(int(numbers.max()) + 1)]
    return [(row, col, int(copies[row, col])) for row, col in firsts]


@torch.inference_mode()
def _looks(network: nn.Module, images: RecallImages) -> tuple[list[dict], list[bytes]]:
    """Return a network's looks at the tiles of one image, and the bytes of each."""
    side, scale = images.lr.shape[-1], images.hr.shape[-1] // images.lr.shape[-1]
    sr = network.eval()(images.lr)[0].clamp(0, 1)
    attends = any(isinstance(module, Attending) for module in network.modules())
    layers = trace(network, images.lr[0].mul(255).round().to(torch.uint8)) if attends else []
    looks, parts = [], []
    for row, col, copy in _tiles(images):
        tile = (slice(scale * row, scale * (row + TILE)), slice(scale * col, scale * (col + TILE)))
        recall = 1 - float((sr[:, *tile] - images.hr[0][:, *tile]).square().mean()) / LOST
        there = (slice(copy // side, copy // side + TILE), slice(copy % side, copy % side + TILE))
        of_layers = [attention_row(layer, row, col) for layer in layers]
        strengths = [float(each[there].sum() if copy >= 0 else each.max()) for each in of_layers]
        weights = keys = np.zeros((side, side))
        if layers:
            best = int(np.argmax(strengths))
            weights, keys = of_layers[best], seen(layers[best], row, col)
        weight = round(float(weights[there].sum()), 4) if layers and copy >= 0 else None
        looks.append({"recall": round(recall, 4), "weight": weight, "keys": int((keys > 0).sum())})
        parts += [_levels(weights, keys).tobytes(), _cut(sr, row, col, scale).tobytes()]
    return looks, parts


def _levels(weights: Float[np.ndarray, "h w"], keys: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """Return weights as levels of their logarithm; 0 is no key."""
    least = 0.01 / weights.size
    share = np.log(np.maximum(weights, least) / least) / np.log(1 / least)
    return np.where(keys > 0, 1 + np.round((LEVELS - 1) * share), 0).astype(np.uint8)


def _cut(image: Float[Tensor, "3 h w"], row: int, col: int, scale: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """Cut a tile with its margin, of an LR image (scale 1) or one `scale` times as large; grey beyond the border."""
    wide = pad(image, [scale * MARGIN] * 4, value=0.5)
    length = scale * (TILE + 2 * MARGIN)
    part = wide[:, scale * row : scale * row + length, scale * col : scale * col + length]
    return part.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _image(name: str, images: RecallImages) -> dict:
    """Return an image's facts: its LR pixels, tiles, and their cuts from LR and HR."""
    side, scale = images.lr.shape[-1], images.hr.shape[-1] // images.lr.shape[-1]
    tiles = []
    for row, col, copy in _tiles(images):
        place = None if copy < 0 else [copy // side, copy % side]
        apart = None if place is None else round(float(np.hypot(place[0] - row, place[1] - col)), 1)
        cuts = {"damaged": _cut(images.lr[0], row, col, 1), "truth": _cut(images.hr[0], row, col, scale)}
        known = {"at": [row, col], "copy": place, "distance": apart}
        tiles.append(known | {key: _text(cut.tobytes()) for key, cut in cuts.items()})
    pixels = images.lr[0].mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return {"name": name, "side": side, "lr": _text(pixels.tobytes()), "tiles": tiles}


def _text(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()
