"""Where images come from: the embedded photographs, or a folder of the user's."""

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


@dataclass(frozen=True)
class DataSource:
    """The images of a study.

    Attributes
    ----------
    name : str
        "embedded", or the folder's name.
    train : tuple of ImageRef
        May be empty: a folder with benchmarks only is enough to evaluate.
    benchmarks : dict of str to tuple of ImageRef
        HR images of each benchmark, by its name. May be empty.
    """

    name: str
    train: tuple[ImageRef, ...]
    benchmarks: dict[str, tuple[ImageRef, ...]]

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change when an image is added, removed, renamed or changes in size (bytes).

        Names are relative, so the same data has the same fingerprint on every machine; contents are not read.
        """
        digest = hashlib.sha256()
        for group, refs in [("", self.train), *self.benchmarks.items()]:
            for ref in refs:
                entry = (group, ref.name, ref.path.suffix, ref.path.stat().st_size, ref.crop)
                digest.update(repr(entry).encode())
        return digest.hexdigest()[:12]

    def select(
        self,
        names: Sequence[str] | None = None,
        images: int | None = None,
        side: int | None = None,
        leave_out: Sequence[str] = (),
    ) -> "DataSource":
        """Keep part of the data. The fingerprint of what is returned covers only what is left.

        Parameters
        ----------
        names : sequence of str, optional
            Benchmarks to keep, in this order, where the data has any of them; otherwise all that it has. So a
            profile may name Set5 and Urban100 and still run on a folder that holds other benchmarks.
        images : int, optional
            Of each benchmark at most so many images, evenly spaced.
        side : int, optional
            Of each image of a benchmark the middle, at most so many pixels a side.
        leave_out : sequence of str
            Names of training images not to keep; those that are not there are left out already.
        """
        found = [name for name in names or () if name in self.benchmarks] or list(self.benchmarks)
        benchmarks = {
            name: tuple(ref if side is None else ref.middle(side) for ref in evenly(self.benchmarks[name], images))
            for name in found
        }
        train = tuple(ref for ref in self.train if ref.name not in leave_out)
        return replace(self, train=train, benchmarks=benchmarks)

    def fewer(self, photographs: int | None) -> "DataSource":
        """Keep so many training images, drawn once and for all: a smaller set is part of a larger one.

        Raises
        ------
        InputError
            If there are fewer.
        """
        if photographs is None:
            return self
        if photographs > len(self.train):
            raise InputError(f"photographs is {photographs}; data '{self.name}' has {len(self.train)} training images")
        drawn = np.random.Generator(np.random.PCG64(0)).permutation(len(self.train))[:photographs]
        return replace(self, train=tuple(self.train[number] for number in sorted(drawn)))


def evenly(refs: Sequence[ImageRef], images: int | None) -> Sequence[ImageRef]:
    """At most so many of the images, evenly spaced, the first among them."""
    if images is None or images >= len(refs):
        return refs
    return [refs[number * len(refs) // images] for number in range(images)]


def embedded() -> DataSource:
    """The photographs of `srlab.data.photographs`; their benchmark is called "held-out"."""
    train = tuple(ImageRef(Path(file).stem, photographs.FOLDER / file) for file in photographs.TRAIN)
    benchmark = held_out()
    return DataSource("embedded", train, {benchmark.name: benchmark.hr})


def open_data(folder: str | Path | None = None) -> DataSource:
    """Find the images of a study, without decoding any.

    Parameters
    ----------
    folder : str or Path, optional
        Holds `train/` with images, directly or in sub-folders, and `benchmark/<name>/HR/` with images (or
        in another layout that `open_benchmark` knows); either may be missing. If None, the environment
        variable SRLAB_DATA names it; without that, the photographs embedded in scikit-image are used.

    Returns
    -------
    DataSource

    Raises
    ------
    InputError
        If the folder does not exist, holds no images in these places, or a benchmark of it has none.
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
    """Decode images, and tell of every bad file at once, before a run starts.

    Parameters
    ----------
    refs : sequence of ImageRef
    min_size : int
        Fewest pixels a side.

    Returns
    -------
    list of UInt8[Tensor, "3 h w"]
        RGB, 0 to 255, in the order of `refs`.

    Raises
    ------
    InputError
        With one line for each file that is unreadable or too small.
    """
    images, faults = [], []
    for ref in tqdm(refs, desc="reading images", leave=False):
        try:
            image = ref.read()
        except InputError as error:
            faults.append(str(error))
            continue
        _, height, width = image.shape
        if min(height, width) < min_size:
            faults.append(f"{ref.path}: {width}×{height} pixels; at least {min_size}×{min_size} are needed")
        images.append(image)
    if faults:
        raise InputError("\n".join([f"{len(faults)} of {len(refs)} images cannot be used:", *faults]))
    return images
