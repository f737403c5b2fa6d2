"""Finished features: what a trained network makes of patches and test images, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle
from tqdm.auto import tqdm

from srlab.analysis.layers import hooked
from srlab.chapters.frozen.head import Finished
from srlab.data.cache import folder, load_pairs
from srlab.data.patches import Patches
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import DataSource
from srlab.errors import InputError
from srlab.models.trunk import Trunk
from srlab.stats.rules import hash_of
from srlab.training import Batch
from srlab.weights.checkpoints import load_tensors, save_tensors

#: Seed of the patches, which all arms and seeds share.
SEED = 0
#: Patches that a network enlarges at once.
AT_ONCE = 4


class Seen(NamedTuple):
    """A test image as a network has finished it, and its HR image."""

    benchmark: str
    name: str
    finished: Finished
    hr: UInt8[Tensor, "3 sh sw"]


class Features(NamedTuple):
    """Training patches and test images as a network has finished them; features have mean 0 and deviation 1."""

    finished: Finished
    hr: UInt8[Tensor, "n 3 sp sp"]
    tests: list[Seen]

    def middles(self) -> Batch:
        """Cut the middle of each test image, as large as a patch, for the curve of training."""
        side = self.finished.shape[-1]
        scale = self.hr.shape[-1] // side
        cut = []
        for seen in self.tests:
            top, left = ((length - side) // 2 for length in seen.finished.shape[2:])
            hr = seen.hr[:, scale * top : scale * (top + side), scale * left : scale * (left + side)]
            cut.append((seen.finished[0, :, top : top + side, left : left + side], hr / 255))
        finished, hr = zip(*cut, strict=True)
        return torch.stack(finished), torch.stack(hr)


class Drawn:
    """Batches of finished patches; those of a step depend on (seed, step) alone."""

    def __init__(self, features: Features, batch: int, seed: int):
        self.features, self.batch, self.seed = features, batch, seed

    def batch_at(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Draw a process's share: finished patches, and HR from 0 to 1."""
        random = np.random.Generator(np.random.PCG64([self.seed, step]))
        drawn = random.integers(len(self.features.hr), size=self.batch)[rank::world_size]
        return self.features.finished[drawn], self.features.hr[drawn] / 255


@torch.no_grad()
def finish(
    network: nn.Module, lr: Float[Tensor, "b 3 h w"]
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b d h w"]]:
    """Run a network; return the features that become its image, and that image, scale² pixels of a colour as channels.

    They are the sum before the upsampler of a trunk, and what `to_image` reads in other networks, without padding.
    """
    kept: list[Tensor] = []
    if isinstance(network, Trunk):
        layers, keep = (network.head, network.body_end), lambda _, __, made: kept.append(made)
    else:
        layers, keep = (network.to_image,), lambda _, read, __: kept.append(read[0])
    with hooked(layers, keep):
        image = network(lr)
    return sum(kept)[..., : lr.shape[2], : lr.shape[3]], pixel_unshuffle(image, network.scale)


def features(base: str, network: Callable[[], nn.Module], data: DataSource, patches: int, patch: int) -> Features:
    """Return the features of a network, from the cache of images where possible.

    `base` names network and weights; `network` opens them, in evaluation mode. Features are standardised by their mean
    and deviation over the training patches, channel by channel. InputError if there is no place for the cache.
    """
    facts = {"base": base, "data": data.fingerprint, "patches": patches, "patch": patch, "seed": SEED, "format": 1}
    kept = folder()
    if kept is None:
        raise InputError("SRLAB_CACHE is not set and the user has no home: a folder for features is expected")
    file = kept / f"features-{hash_of(facts)}.safetensors"
    if not file.is_file():
        _make(file, network(), data, patches, patch)
    return _read(file)


@lru_cache(maxsize=1)
def _read(file: Path) -> Features:
    tensors, metadata = load_tensors(file)
    tests = [
        Seen(*name.split("/", 1), tensors[f"finished.{i}"], tensors[f"hr.{i}"])
        for i, name in enumerate(metadata["tests"])
    ]
    return Features(tensors["finished"], tensors["hr"], tests)


def _make(file: Path, network: nn.Module, data: DataSource, patches: int, patch: int) -> None:
    scale = network.scale
    hr, lr = load_pairs(data.train, scale, scale * patch)
    cut = Patches(hr, scale, patch, AT_ONCE, SEED, lr)
    pairs = [cut.batch_at(step) for step in range(patches // AT_ONCE)]
    made = [finish(network, lr) for lr, _ in tqdm(pairs, desc="features of patches", unit="batch", leave=False)]
    deep = torch.cat([features for features, _ in made])
    mean, deviation = (getattr(deep, name)((0, 2, 3), keepdim=True) for name in ("mean", "std"))

    def joined(features: Tensor, image: Tensor) -> Finished:
        return torch.cat([(features - mean) / deviation, image], 1)

    tensors = {"finished": torch.cat([joined(*each) for each in made])}
    tensors["hr"] = torch.cat([(255 * hr).round().to(torch.uint8) for _, hr in pairs])
    names = []
    refs = [(name, ref) for name, own in data.benchmarks.items() for ref in own]
    for i, (benchmark, ref) in enumerate(tqdm(refs, desc="features of images", unit="image", leave=False)):
        image = modcrop(ref.read(), scale)
        tensors |= {f"finished.{i}": joined(*finish(network, downscale(image, scale)[None] / 255)), f"hr.{i}": image}
        names.append(f"{benchmark}/{ref.name}")
    save_tensors(file, tensors, {"tests": names})
