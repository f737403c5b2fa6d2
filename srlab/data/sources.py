"""Find the images of a study: the embedded photographs, or a folder of the user's."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor
from tqdm.auto import tqdm

from srlab.data import photographs
from srlab.data.layouts import ImageRef, benchmarks_in, held_out, image_refs, subfolders
from srlab.errors import InputError
from srlab.files import checksum

#: A benchmark in pieces: piece p is every tenth image from image p on. The first pieces are evenly spaced too.
PIECES = (0, 5, 2, 7, 1, 6, 3, 8, 4, 9)


@dataclass(frozen=True)
class DataSource:
    """The images of a study: to train on, and HR images by the benchmark's name; either may be empty."""

    name: str  # "embedded", or the folder's name
    train: tuple[ImageRef, ...]
    benchmarks: dict[str, tuple[ImageRef, ...]]

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the images' names, contents and crops, equal on every machine; nothing is decoded.

        InputError if a file cannot be read.
        """
        digest = hashlib.sha256()
        for group, refs in [("", self.train), *self.benchmarks.items()]:
            for ref in refs:
                digest.update(repr((group, ref.name, checksum(ref.path), ref.crop)).encode())
        return digest.hexdigest()[:12]

    def select(
        self,
        names: Sequence[str] | None = None,
        images: int | None = None,
        side: int | None = None,
        leave_out: Sequence[str] = (),
    ) -> "DataSource":
        """Keep part of the data; the result's fingerprint covers only that part.

        Benchmarks in `names` are kept in that order; if the data has none of them, all are kept, so that a profile that
        names Set5 also runs on a folder with other benchmarks. Of each at most so many `images` are kept, evenly
        spaced, and of each image the middle, at most `side` pixels a side. Training images in `leave_out` are dropped.
        """
        found = [name for name in names or () if name in self.benchmarks] or list(self.benchmarks)
        benchmarks = {
            name: tuple(ref if side is None else ref.middle(side) for ref in evenly(self.benchmarks[name], images))
            for name in found
        }
        train = tuple(ref for ref in self.train if ref.name not in leave_out)
        return replace(self, train=train, benchmarks=benchmarks)

    def fewer(self, photographs: int | None) -> "DataSource":
        """Keep so many training images at random, but always the same: a smaller set is part of a larger one.

        InputError if there are fewer.
        """
        if photographs is None:
            return self
        if photographs > len(self.train):
            raise InputError(f"photographs is {photographs}; data '{self.name}' has {len(self.train)} training images")
        drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(self.train))[:photographs]
        return replace(self, train=tuple(self.train[number] for number in sorted(drawn)))


def evenly(refs: Sequence[ImageRef], images: int | None) -> Sequence[ImageRef]:
    """Return at most so many of the images, evenly spaced, with the first."""
    if images is None or images >= len(refs):
        return refs
    return [refs[number * len(refs) // images] for number in range(images)]


def embedded() -> DataSource:
    """Return the photographs of `srlab.data.photographs`; their benchmark is called "held-out"."""
    train = tuple(ImageRef(Path(file).stem, photographs.FOLDER / file) for file in photographs.TRAIN)
    benchmark = held_out()
    return DataSource("embedded", train, {benchmark.name: benchmark.hr})


def open_data(folder: str | Path | None = None) -> DataSource:
    """Find the images of a study; nothing is decoded.

    The folder holds `train/` with images, directly or in sub-folders, and `benchmark/<name>/HR/` with images, or
    another layout of `open_benchmark`; either may be missing. By default the environment variable SRLAB_DATA names it;
    without that, the embedded photographs are used. InputError if the folder does not exist, holds no images in these
    places, or has a benchmark without images.
    """
    folder = folder or os.environ.get("SRLAB_DATA")
    if not folder:
        return embedded()
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; data with train/ and benchmark/<name>/HR/ is expected")

    train = image_refs(folder / "train") if (folder / "train").is_dir() else ()
    for subfolder in subfolders(folder / "train"):
        train += tuple(replace(ref, name=f"{subfolder.name}/{ref.name}") for ref in image_refs(subfolder))
    benchmarks = {benchmark.name: benchmark.hr for benchmark in benchmarks_in(folder / "benchmark")}
    if not train and not benchmarks:
        raise InputError(f"{folder}: no images; train/ or benchmark/<name>/HR/ with images is expected")
    return DataSource(folder.name, train, benchmarks)


def load(refs: Sequence[ImageRef], min_size: int = 1) -> list[UInt8[Tensor, "3 _h _w"]]:
    """Decode images as RGB, 0 to 255, and report all bad files together before a run starts.

    The InputError has a line for each file that is unreadable or has fewer than `min_size` pixels a side.
    """
    images, faults = [], []
    for ref in tqdm(refs, desc="reading images", leave=False):
        try:
            images.append(ref.read())
        except InputError as error:
            faults.append(str(error))
            continue
        _, height, width = images[-1].shape
        if min(height, width) < min_size:
            faults.append(f"{ref.path}: {width}×{height} pixels; at least {min_size}×{min_size} are needed")
    if faults:
        raise InputError("\n".join([f"{len(faults)} of {len(refs)} images cannot be used:", *faults]))
    return images
