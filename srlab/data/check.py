"""Check a folder of images before its numbers are believed: counts, sizes, pairs, train/test overlap."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
from jaxtyping import Bool
from PIL import Image
from tqdm.auto import tqdm

from srlab.data.catalogue import known_data_set
from srlab.data.layouts import Benchmark, ImageRef, image_refs, open_benchmark, subfolders
from srlab.errors import InputError

SCALES = (2, 3, 4, 8)
DIVISORS = (2, 3, 4)
HASH_SIZE = 16
# Of the 256 bits of two unrelated photographs at least 90 differ (BSDS400, benchmarks); of an image's and its
# copy's at most 12 after JPEG of quality 10 or resizing, 44 after brightening or cropping to multiples of 12.
SAME_IMAGE = 64
LISTED = 5


@dataclass(frozen=True)
class Measured:
    """An image that could be read: width and height in pixels, and its perceptual hash of 256 bits."""

    name: str
    width: int
    height: int
    bits: Bool[np.ndarray, "256"]


@dataclass(frozen=True)
class Group:
    """The images of one folder.

    Attributes
    ----------
    name : str
        Relative to the folder that is checked.
    expected : int or None
        Number of images by the catalogue; None if it does not know the folder's name.
    count : int
        Image files, unreadable ones included.
    images : tuple of Measured
        Those that could be read.
    """

    name: str
    expected: int | None
    count: int
    images: tuple[Measured, ...]


@dataclass
class Report:
    """What `check` found.

    Attributes
    ----------
    groups : list of Group
    errors : list of str
        What makes numbers wrong: unreadable files, wrong counts, broken pairs, test images in training data.
    notes : list of str
        What is good to know.
    """

    groups: list[Group] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(folder: str | Path) -> Report:
    """Read every image of a folder and judge whether it is what it seems to be.

    Parameters
    ----------
    folder : str or Path
        Holds `train/` and `benchmark/` (either may be missing), or is one set of images, as `open_benchmark`
        understands it; to train on, if it lies in a folder `train/`.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If the folder does not exist or holds no images at all.

    Notes
    -----
    Images count as the same if at most 64 of the 256 bits of their perceptual hashes differ: copies that are
    recompressed, resized, brightened or cropped by some pixels are found, mirrored ones and details are not.
    """
    folder = Path(folder).expanduser()
    report = Report()
    train, benchmarks = [], []
    if any((folder / part).is_dir() for part in ("train", "benchmark")):
        for images in [folder / "train", *subfolders(folder / "train")]:
            refs = image_refs(images) if images.is_dir() else ()
            if refs:
                train.append(_measure(refs, "train", images.relative_to(folder), report))
            elif images.name != "train":
                report.errors.append(f"{images}: no images; they are expected directly in it")
        for place in subfolders(folder / "benchmark"):
            try:
                benchmark = open_benchmark(place)
            except InputError as error:
                report.errors.append(str(error))
                continue
            benchmarks.append(_check_benchmark(benchmark, place.relative_to(folder), report))
        if not train and not benchmarks and not report.errors:
            raise InputError(f"{folder}: no images; train/ or benchmark/<name>/HR/ with images is expected")
    else:
        benchmark = open_benchmark(folder)
        if benchmark.folder.parent.name == "train":
            train.append(_measure(benchmark.hr, "train", Path(benchmark.name), report))
        else:
            benchmarks.append(_check_benchmark(benchmark, Path(benchmark.name), report))
    for group in train:
        for benchmark in benchmarks:
            report.errors += [f"{pair}, which is to be tested on" for pair in _overlap(group, benchmark)]
    for one, other in combinations(benchmarks, 2):
        report.notes += _overlap(one, other)
    report.groups = train + benchmarks
    return report


def _check_benchmark(benchmark: Benchmark, place: Path, report: Report) -> Group:
    group = _measure(benchmark.hr, "benchmark", place, report)
    for divisor in DIVISORS:
        odd = [image.name for image in group.images if image.width % divisor or image.height % divisor]
        if odd:
            some = ", ".join(odd[:LISTED]) + (", …" if len(odd) > LISTED else "")
            report.notes.append(
                f"{group.name}: {len(odd)} of {group.count} sizes are no multiple of {divisor}; they are "
                f"cropped at that scale ({some})"
            )
    for scale in SCALES:
        if benchmark.lr_folder(scale):
            _check_pairs(benchmark, group, scale, report)
    return group


def _check_pairs(benchmark: Benchmark, group: Group, scale: int, report: Report) -> None:
    """LR files must be HR / scale in size; a remainder is cropped from HR, as everyone does who ships LR."""
    try:
        pairs = benchmark.lr(scale)
    except InputError as error:
        report.errors.append(str(error))
        return
    high = {image.name: image for image in group.images}
    for ref in pairs:
        try:
            _, height, width = ref.read().shape
        except InputError as error:
            report.errors.append(str(error))
            continue
        hr = high.get(ref.name)  # None if it is unreadable, which is told already
        if hr and (width, height) != (hr.width // scale, hr.height // scale):
            report.errors.append(
                f"{ref.path}: {width}×{height} pixels; HR of {hr.width}×{hr.height} makes "
                f"{hr.width // scale}×{hr.height // scale} at scale {scale}"
            )


def _measure(refs: Sequence[ImageRef], split: str, place: Path, report: Report) -> Group:
    data_set = known_data_set(place.name)
    expected = data_set.images.get(split) if data_set else None
    if expected not in (None, len(refs)):
        report.errors.append(f"{place.as_posix()}: {len(refs)} images; {data_set.name} has {expected}")
    images = []
    for ref in tqdm(refs, desc=f"checking {place.as_posix()}", leave=False):
        try:
            image = Image.fromarray(ref.read().permute(1, 2, 0).numpy())
        except InputError as error:
            report.errors.append(str(error))
            continue
        bits = imagehash.phash(image, hash_size=HASH_SIZE).hash.ravel()
        images.append(Measured(ref.name, image.width, image.height, bits))
    return Group(place.as_posix(), expected, len(refs), tuple(images))


def _overlap(one: Group, other: Group) -> list[str]:
    """A sentence for each image of one group that is the same as one of the other."""
    if not one.images or not other.images:
        return []
    # With bits as ±1 a product counts those that agree minus those that differ.
    rows, columns = (np.array([image.bits for image in group.images]) * 2.0 - 1 for group in (one, other))
    differing = (HASH_SIZE**2 - rows @ columns.T) / 2
    return [
        f"{one.name}: '{one.images[row].name}' looks the same as '{other.images[column].name}' of "
        f"{other.name} ({differing[row, column]:.0f} of {HASH_SIZE**2} bits differ)"
        for row, column in np.argwhere(differing <= SAME_IMAGE)
    ]
