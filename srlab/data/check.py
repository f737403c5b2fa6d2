"""Check a folder of images before its numbers are believed: counts, sizes, pairs, train/test overlap."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import scipy.fft
from jaxtyping import Bool
from PIL import Image
from tqdm.auto import tqdm

from srlab.data.layouts import Benchmark, ImageRef, image_refs, open_benchmark, subfolders
from srlab.errors import InputError

#: Numbers of HR images of published data sets; docs/data.md lists their pages.
EXPECTED = {
    "train": {"DIV2K": 800, "DIV8K": 1500, "General100": 100},
    "benchmark": {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "DIV2K": 100, "RealSR": 100, "Manga109": 109},
}
SCALES = (2, 3, 4, 8)
DIVISORS = (2, 3, 4)
HASH_SIZE = 16
# Hashes of two unrelated photographs differ in at least 90 of 256 bits (BSDS400, benchmarks). Those of an image and
# its copy differ in at most 12 after JPEG of quality 10 or resizing, 44 after brightening or cropping.
SAME_IMAGE = 64


@dataclass(frozen=True)
class Measured:
    """A readable image: width and height in pixels, and its perceptual hash."""

    name: str
    width: int
    height: int
    bits: Bool[np.ndarray, "256"]


@dataclass(frozen=True)
class Group:
    """The images of one folder, by its name relative to the folder that is checked."""

    name: str
    expected: int | None  # number of images of the published data set with this name, if there is one
    count: int  # image files, unreadable ones included
    images: tuple[Measured, ...]  # the readable ones


@dataclass
class Report:
    """The result of `check`: errors make numbers wrong, notes report odd sizes and images that benchmarks share."""

    groups: list[Group] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(folder: str | Path) -> Report:
    """Read and judge every image of a folder that holds `train/` and `benchmark/`, or of one set of images.

    One set has a layout of `open_benchmark`; it counts as training data if it lies in a folder `train/`. Images count
    as the same if at most 64 of the 256 bits of their perceptual hashes differ. This finds copies that are
    recompressed, resized, brightened or cropped by some pixels, but no mirrored ones and no details. InputError if the
    folder does not exist or holds no images at all.
    """
    folder = Path(folder).expanduser()
    report = Report()
    train, benchmarks = [], []
    if any((folder / part).is_dir() for part in ("train", "benchmark")):
        for images in [folder / "train", *subfolders(folder / "train")]:
            if refs := image_refs(images) if images.is_dir() else ():
                train.append(_measure(refs, "train", images.relative_to(folder), report))
            elif images.name != "train":
                report.errors.append(f"{images}: no images; they are expected directly in it")
        for place in subfolders(folder / "benchmark"):
            with _reported(report):
                benchmarks.append(_check_benchmark(open_benchmark(place), place.relative_to(folder), report))
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
            report.errors += [f"{pair}: a test image in the training data" for pair in _overlap(group, benchmark)]
    for one, other in combinations(benchmarks, 2):
        report.notes += _overlap(one, other)
    report.groups = train + benchmarks
    return report


@contextmanager
def _reported(report: Report) -> Iterator[None]:
    """List an InputError of the block in the report."""
    try:
        yield
    except InputError as error:
        report.errors.append(str(error))


def _check_benchmark(benchmark: Benchmark, place: Path, report: Report) -> Group:
    group = _measure(benchmark.hr, "benchmark", place, report)
    for divisor in DIVISORS:
        if odd := [image.name for image in group.images if image.width % divisor or image.height % divisor]:
            some = ", ".join(odd[:5]) + (", …" if len(odd) > 5 else "")
            report.notes.append(f"{group.name}: {len(odd)} of {group.count} sizes not divisible by {divisor} ({some})")
    for scale in SCALES:
        if benchmark.lr_folder(scale):
            _check_pairs(benchmark, group, scale, report)
    return group


def _check_pairs(benchmark: Benchmark, group: Group, scale: int, report: Report) -> None:
    """Compare LR sizes with HR // scale: published LR files are made of HR cropped to a multiple of the scale."""
    high = {image.name: image for image in group.images}
    with _reported(report):
        for ref in benchmark.lr(scale):
            with _reported(report):
                _, height, width = ref.read().shape
                hr = high.get(ref.name)  # None if it is unreadable, which is reported already
                if hr and (width, height) != (hr.width // scale, hr.height // scale):
                    expected = f"{hr.width // scale}×{hr.height // scale}, of HR {hr.width}×{hr.height}, is expected"
                    raise InputError(f"{ref.path}: {width}×{height} pixels; {expected}")


def _measure(refs: Sequence[ImageRef], split: str, place: Path, report: Report) -> Group:
    counts = {name.casefold(): count for name, count in EXPECTED[split].items()}
    expected = counts.get(place.name.casefold())
    if expected not in (None, len(refs)):
        report.errors.append(f"{place.as_posix()}: {len(refs)} images; the published data set has {expected}")
    images = []
    for ref in tqdm(refs, desc=f"checking {place.as_posix()}", leave=False):
        with _reported(report):
            image = Image.fromarray(ref.read().permute(1, 2, 0).numpy())
            images.append(Measured(ref.name, image.width, image.height, perceptual_hash(image)))
    return Group(place.as_posix(), expected, len(refs), tuple(images))


def perceptual_hash(image: Image.Image) -> Bool[np.ndarray, "256"]:
    """Return which of the 16×16 lowest DCT coefficients of the image, as 64×64 grey pixels, exceed their median."""
    grey = image.convert("L").resize((4 * HASH_SIZE, 4 * HASH_SIZE), Image.Resampling.LANCZOS)
    low = scipy.fft.dctn(np.asarray(grey, dtype=float))[:HASH_SIZE, :HASH_SIZE]
    return (low > np.median(low)).ravel()


def _overlap(one: Group, other: Group) -> list[str]:
    """Name each image of one group that looks the same as one of the other."""
    rows, columns = (np.array([image.bits for image in each.images]).reshape(-1, 256) for each in (one, other))
    # With bits as ±1 a product counts those that agree minus those that differ.
    differing = (HASH_SIZE**2 - (2.0 * rows - 1) @ (2.0 * columns - 1).T) / 2
    return [
        f"{one.name}: '{one.images[row].name}' looks the same as '{other.images[column].name}' of "
        f"{other.name} ({differing[row, column]:.0f} of {HASH_SIZE**2} bits differ)"
        for row, column in np.argwhere(differing <= SAME_IMAGE)
    ]
