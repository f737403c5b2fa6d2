"""Find benchmarks: HR images in folders, and beside them the LR files of BasicSR, EDSR and DIV2K."""

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from srlab.data import photographs
from srlab.data.images import list_images, read_image
from srlab.errors import InputError

HR_FOLDERS = ("HR", "GTmod12", "DIV2K_valid_HR")  # of EDSR, BasicSR, DIV2K
#: A name that states its side of a pair, such as "img_001_SRF_2_HR" or "butterfly_LRx2".
SIDE = re.compile(r"(.*[_-])(HR|LR)((?:[_-]?x?\d)?)", re.IGNORECASE)
LR_FOLDERS = ("LR_bicubic/X{scale}", "LRbicx{scale}", "DIV2K_valid_LR_bicubic/X{scale}")


@dataclass(frozen=True)
class ImageRef:
    """An image that is decoded on demand; `crop` is (top, left, height, width) in pixels, None the whole image."""

    name: str
    path: Path
    crop: tuple[int, int, int, int] | None = None

    def read(self) -> UInt8[Tensor, "3 h w"]:
        """Decode the crop as RGB, 0 to 255; raises an InputError as `read_image` does."""
        image = read_image(self.path)
        if self.crop is None:
            return image
        top, left, height, width = self.crop
        return image[:, top : top + height, left : left + width].contiguous()

    def middle(self, side: int) -> "ImageRef":
        """Return its middle, at most `side` pixels a side; raises an InputError as `read_image` does."""
        _, height, width = self.read().shape
        top, left = (max(0, (length - side) // 2) for length in (height, width))
        outer = self.crop or (0, 0, height, width)
        return replace(self, crop=(outer[0] + top, outer[1] + left, min(side, height), min(side, width)))


@dataclass(frozen=True)
class Benchmark:
    """The HR images of a benchmark, by name and never empty, and the folder that also holds its LR files."""

    name: str
    folder: Path
    hr: tuple[ImageRef, ...]

    def lr_folder(self, scale: int) -> Path | None:
        """Return the folder of the published LR files of this scale, if there is one."""
        places = (self.folder / place.format(scale=scale) for place in LR_FOLDERS)
        return next((place for place in places if place.is_dir()), None)

    def lr(self, scale: int) -> tuple[ImageRef, ...]:
        """List the published LR files in the order of `hr`; their names may end in `x4`.

        InputError if there are no LR files of this scale, or an HR image or LR file has no counterpart.
        """
        place = self.lr_folder(scale)
        if place is None:
            places = ", ".join(pattern.format(scale=scale) for pattern in LR_FOLDERS)
            raise InputError(f"{self.folder}: no LR files ×{scale} of '{self.name}'; one of {places} is expected")
        files = {path.stem: path for path in list_images(place)}
        pairs = {}
        for ref in self.hr:
            stems = [stem for stem in (f"{ref.name}x{scale}", ref.name) if stem in files]
            if not stems:
                raise InputError(f"{place}: no LR file of the HR image '{ref.path.name}'")
            pairs[stems[0]] = ImageRef(ref.name, files[stems[0]])
        if unpaired := sorted(files.keys() - pairs.keys()):
            raise InputError(f"{files[unpaired[0]]}: an LR file without an HR image in '{self.name}'")
        return tuple(pairs.values())


def held_out() -> Benchmark:
    """Return the embedded benchmark: crops of photographs that come with scikit-image, without LR files."""
    refs = (ImageRef(name, photographs.FOLDER / file, crop) for name, (file, crop) in photographs.CROPS.items())
    return Benchmark("held-out", photographs.FOLDER, tuple(refs))


def open_benchmark(folder: str | Path) -> Benchmark:
    """Find the HR images of one benchmark; nothing is decoded.

    The folder holds one of `HR_FOLDERS`, or is one, or holds images directly. The benchmark has its name, or that of
    the parent of one of `HR_FOLDERS`. InputError if the folder does not exist, or holds no images in these places.
    """
    folder = _absolute(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; images, or HR/ with images, are expected")
    inside = next((folder / name for name in HR_FOLDERS if (folder / name).is_dir()), None)
    hr = inside or folder
    refs = _without_lr(image_refs(hr))
    if not refs:
        fault = f"{hr}: no images" if inside else f"{folder / 'HR'}: no such folder, nor images beside it"
        raise InputError(f"{fault}; the benchmark's HR images are expected")
    top = folder.parent if folder.name in HR_FOLDERS else folder
    return Benchmark(top.name, top, refs)


def _without_lr(refs: tuple[ImageRef, ...]) -> tuple[ImageRef, ...]:
    """Keep the HR images of a folder in which each has its LR image beside it, named alike but for "HR" and "LR".

    InputError if an LR image has no HR image of that name.
    """
    found = {ref.name: SIDE.fullmatch(ref.name) for ref in refs}
    hr = {match[1] + match[3]: name for name, match in found.items() if match and match[2].upper() == "HR"}
    lr = {match[1] + match[3]: name for name, match in found.items() if match and match[2].upper() == "LR"}
    if not hr or not lr:
        return refs
    if alone := sorted(lr.keys() - hr.keys()):
        path = next(ref.path for ref in refs if ref.name == lr[alone[0]])
        raise InputError(f"{path}: an LR image among HR images, without an HR image of that name")
    return tuple(ref for ref in refs if ref.name not in lr.values())


def find_benchmarks(data: str | None = None) -> list[Benchmark]:
    """Find benchmarks by a name or a folder; nothing is decoded, and the list is never empty.

    Names are "held-out" and those of folders in `$SRLAB_DATA/benchmark/` or `$SRLAB_DATA/`, in any case. Otherwise
    `data` is a folder: all benchmarks in its `benchmark/` if it has one, or the one that `open_benchmark` finds.
    (`./NAME` is always a folder.) The default is all in `$SRLAB_DATA/benchmark/`; without SRLAB_DATA, "held-out".
    InputError if `data` is neither, or holds no images.
    """
    root = os.environ.get("SRLAB_DATA")
    if data is None:
        return _all_in(_absolute(root)) if root else [held_out()]
    named = _named(root)
    alike = (name for name in named if name.casefold() == data.casefold())
    name = data if data in named else next(alike, None)
    if name == "held-out":
        return [held_out()]
    if name:
        return [open_benchmark(named[name])]
    folder = _absolute(data)
    if not folder.is_dir():
        hint = "" if root else " (SRLAB_DATA, the folder of further benchmarks, is not set)"
        raise InputError(f"{data}: no such folder or benchmark; known are {', '.join(named)}{hint}")
    return _all_in(folder) if (folder / "benchmark").is_dir() else [open_benchmark(folder)]


def benchmarks_in(folder: Path) -> list[Benchmark]:
    """Open every sub-folder as a benchmark, by name; raises an InputError as `open_benchmark` does."""
    return [open_benchmark(subfolder) for subfolder in subfolders(folder)]


def image_refs(folder: Path) -> tuple[ImageRef, ...]:
    """List the images directly in a folder, named as their files without suffix.

    InputError if two have one name: they differ in suffix, or in how Unicode writes the same letters.
    """
    found: dict[str, Path] = {}
    for path in list_images(folder):
        other = found.setdefault(unicodedata.normalize("NFC", path.stem), path)
        if other != path:
            raise InputError(f"{folder}: {other.name} and {path.name} are two images of one name; one is expected")
    return tuple(ImageRef(path.stem, path) for path in found.values())


def subfolders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, by name; none if it does not exist."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in found if path.name != "__MACOSX")  # left by a Mac's zip


def _all_in(folder: Path) -> list[Benchmark]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; data with benchmark/<name>/HR/ is expected")
    benchmarks = benchmarks_in(folder / "benchmark")
    if not benchmarks:
        raise InputError(f"{folder}: no benchmark/<name>/HR/ with images")
    return benchmarks


def _named(root: str | None) -> dict[str, Path | None]:
    """Return the folders of benchmarks by name; "held-out" has none."""
    named: dict[str, Path | None] = {"held-out": None}
    if root:
        folder = _absolute(root)
        inside = subfolders(folder / "benchmark")
        beside = [path for path in subfolders(folder) if path.name not in ("benchmark", "train")]
        named |= {path.name: path for path in [*beside, *inside]}
    return named


def _absolute(folder: str | Path) -> Path:
    """Make a path absolute, so that `.` and `..` have names; links keep theirs."""
    return Path(os.path.abspath(Path(folder).expanduser()))
