"""How benchmarks lie in folders: HR images, and beside them the LR files of BasicSR, EDSR and DIV2K."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from srlab.data import photographs
from srlab.data.images import list_images, read_image
from srlab.errors import InputError

HR_FOLDERS = ("HR", "GTmod12", "DIV2K_valid_HR")
LR_FOLDERS = (
    "LR_bicubic/X{scale}",
    "LRbicx{scale}",
    "DIV2K_valid_LR_bicubic/X{scale}",
)  # of EDSR, of BasicSR, of DIV2K's own archives


@dataclass(frozen=True)
class ImageRef:
    """An image by name, read when asked.

    Attributes
    ----------
    name : str
        How tables call the image.
    path : Path
        Its file.
    crop : tuple of int, optional
        (top, left, height, width) of the part that is meant, in pixels; the whole image if None.
    """

    name: str
    path: Path
    crop: tuple[int, int, int, int] | None = None

    def read(self) -> UInt8[Tensor, "3 h w"]:
        """Decode the file: RGB, 0 to 255.

        Raises
        ------
        InputError
            As `read_image` does.
        """
        image = read_image(self.path)
        if self.crop is None:
            return image
        top, left, height, width = self.crop
        return image[:, top : top + height, left : left + width].contiguous()

    def middle(self, side: int) -> "ImageRef":
        """The middle of it, at most `side` pixels a side.

        Raises
        ------
        InputError
            As `read_image` does.
        """
        _, height, width = self.read().shape
        top, left = (max(0, (length - side) // 2) for length in (height, width))
        outer = self.crop or (0, 0, height, width)
        return replace(self, crop=(outer[0] + top, outer[1] + left, min(side, height), min(side, width)))


@dataclass(frozen=True)
class Benchmark:
    """The HR images of a benchmark.

    Attributes
    ----------
    name : str
        How tables call the benchmark.
    folder : Path
        Holds the HR images, directly or in one of `HR_FOLDERS`, and may hold LR files in `LR_FOLDERS`.
    hr : tuple of ImageRef
        By name; never empty.
    """

    name: str
    folder: Path
    hr: tuple[ImageRef, ...]

    def lr_folder(self, scale: int) -> Path | None:
        """The folder of the LR files that came with the benchmark, or None if there is none of this scale."""
        places = (self.folder / place.format(scale=scale) for place in LR_FOLDERS)
        return next((place for place in places if place.is_dir()), None)

    def lr(self, scale: int) -> tuple[ImageRef, ...]:
        """Find the LR files that came with the benchmark; none is decoded.

        Parameters
        ----------
        scale : int

        Returns
        -------
        tuple of ImageRef
            In the order of `hr` and with the names of `hr`, whether or not the files' names end in `x4`.

        Raises
        ------
        InputError
            If there are no LR files of this scale, or some HR image or LR file has no counterpart.
        """
        place = self.lr_folder(scale)
        if place is None:
            raise InputError(
                f"{self.folder}: no LR files ×{scale} of '{self.name}'; they are looked for in "
                + ", ".join(pattern.format(scale=scale) for pattern in LR_FOLDERS)
            )
        files = {path.stem: path for path in list_images(place)}
        pairs = {}
        for ref in self.hr:
            stems = [stem for stem in (f"{ref.name}x{scale}", ref.name) if stem in files]
            if not stems:
                raise InputError(f"{place}: no LR file of the HR image '{ref.path.name}'")
            pairs[stems[0]] = ImageRef(ref.name, files[stems[0]])
        unpaired = sorted(files.keys() - pairs.keys())
        if unpaired:
            raise InputError(f"{files[unpaired[0]]}: an LR file without an HR image in '{self.name}'")
        return tuple(pairs.values())


def held_out() -> Benchmark:
    """The crops of the photographs that come with scikit-image; there are no LR files of them."""
    refs = (ImageRef(name, photographs.FOLDER / file, crop) for name, (file, crop) in photographs.CROPS.items())
    return Benchmark("held-out", photographs.FOLDER, tuple(refs))


def open_benchmark(folder: str | Path) -> Benchmark:
    """Find the HR images of one benchmark, without decoding any.

    Parameters
    ----------
    folder : str or Path
        Holds one of `HR_FOLDERS`, or is one, or holds images directly.

    Returns
    -------
    Benchmark
        Called as the folder, or as its parent where the folder is one of `HR_FOLDERS`.

    Raises
    ------
    InputError
        If there is no such folder, or it holds no images in these places.
    """
    folder = _absolute(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; images, or HR/ with images, are expected")
    inside = next((folder / name for name in HR_FOLDERS if (folder / name).is_dir()), None)
    hr = inside or folder
    refs = image_refs(hr)
    if not refs:
        fault = f"{hr}: no images" if inside else f"{folder / 'HR'}: no such folder, nor images beside it"
        raise InputError(f"{fault}; the benchmark's HR images are expected")
    top = folder.parent if folder.name in HR_FOLDERS else folder
    return Benchmark(top.name, top, refs)


def find_benchmarks(data: str | None = None) -> list[Benchmark]:
    """Find the benchmarks that a user means, without decoding any image.

    Parameters
    ----------
    data : str, optional
        A name: "held-out", or a folder in `$SRLAB_DATA/benchmark/` or `$SRLAB_DATA/`, in any case. Else a
        folder: all in its `benchmark/` if it has one, or the one that `open_benchmark` finds. (A folder that
        has such a name too is `./NAME`.) If None, all in `$SRLAB_DATA/benchmark/`; without SRLAB_DATA,
        "held-out".

    Returns
    -------
    list of Benchmark
        By name; never empty.

    Raises
    ------
    InputError
        If `data` is neither, or holds no images.
    """
    root = os.environ.get("SRLAB_DATA")
    if data is None and not root:
        return [held_out()]
    if data is None:
        return _all_in(_absolute(root))
    named = _named(root)
    alike = (name for name in named if name.casefold() == data.casefold())
    name = data if data in named else next(alike, None)
    if name == "held-out":
        return [held_out()]
    if name:
        return [open_benchmark(named[name])]
    folder = _absolute(data)
    if not folder.is_dir():
        raise InputError(
            f"{data}: no such folder, and no benchmark of that name; known are {', '.join(named)}"
            + ("" if root else " (SRLAB_DATA, the folder of further benchmarks, is not set)")
        )
    return _all_in(folder) if (folder / "benchmark").is_dir() else [open_benchmark(folder)]


def benchmarks_in(folder: Path) -> list[Benchmark]:
    """Open every sub-folder of `folder` as a benchmark, by name; none if there is no such folder.

    Raises
    ------
    InputError
        As `open_benchmark` does.
    """
    return [open_benchmark(subfolder) for subfolder in subfolders(folder)]


def image_refs(folder: Path) -> tuple[ImageRef, ...]:
    """The images directly in a folder, called as their files without suffix."""
    return tuple(ImageRef(path.stem, path) for path in list_images(folder))


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; hidden ones are left out, and none if there is no such folder."""
    if not folder.is_dir():
        return []
    folders = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(folders, key=lambda path: path.name)


def _all_in(folder: Path) -> list[Benchmark]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; data with benchmark/<name>/HR/ is expected")
    benchmarks = benchmarks_in(folder / "benchmark")
    if not benchmarks:
        raise InputError(f"{folder}: no benchmark/<name>/HR/ with images")
    return benchmarks


def _named(root: str | None) -> dict[str, Path | None]:
    """The benchmarks that have a name, and their folders; "held-out" has none."""
    named: dict[str, Path | None] = {"held-out": None}
    if root:
        folder = _absolute(root)
        inside = subfolders(folder / "benchmark")
        beside = [path for path in subfolders(folder) if path.name not in ("benchmark", "train")]
        named |= {path.name: path for path in [*beside, *inside]}
    return named


def _absolute(folder: str | Path) -> Path:
    """With a name even if given as `.` or `..`; links are kept, because their names are meant."""
    return Path(os.path.abspath(Path(folder).expanduser()))
