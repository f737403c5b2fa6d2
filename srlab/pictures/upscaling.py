"""Enlarge people's pictures: files, folders and globs into one folder, with what each of them carries."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from srlab.errors import InputError, out_of_memory
from srlab.files import check_writable
from srlab.measure.evaluation import super_resolve
from srlab.measure.precision import Precision
from srlab.pictures.files import FORMATS, Picture, check_size, read_picture, write_picture

#: Side of a tile, in LR pixels, where nobody chooses one, and the area up to which a picture is worked on
#: whole: with these the networks of the study stay within a few GiB on a photograph of any size.
TILE = 256
WHOLE = 512 * 512


@dataclass(frozen=True)
class Job:
    """A picture to enlarge, and the file that its enlargement becomes."""

    source: Path
    target: Path


@dataclass
class Outcome:
    """What became of some jobs.

    Attributes
    ----------
    written, skipped : list of Path
        Targets; those skipped were there already.
    failed : list of str
        A sentence for each picture that could not be enlarged.
    notes : dict of str to list of Path
        What did not come out as it came in, and the targets of which it is true.
    """

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: dict[str, list[Path]] = field(default_factory=dict)


def find_pictures(inputs: Sequence[str]) -> list[Path]:
    """The files that are meant, each once.

    Parameters
    ----------
    inputs : sequence of str
        Files; folders, of which the pictures directly inside are taken; globs, in which `**` stands for
        folders of any depth. In folders and globs a picture is told by its suffix, one of `FORMATS`.

    Raises
    ------
    InputError
        If an input is not there, or a folder or glob holds no picture.
    """
    found: dict[Path, Path] = {}
    for entry in inputs:
        try:
            files = _named_by(entry)
        except OSError as error:
            raise InputError(f"{entry}: cannot be read ({error.strerror})") from None
        if not files:
            raise InputError(f"{entry}: no picture there, by its name: {', '.join(FORMATS)} are looked for")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _named_by(entry: str) -> list[Path]:
    path = Path(entry)
    if path.is_file():
        return [path]
    if path.is_dir():
        paths = path.iterdir()
    elif glob.has_magic(entry):
        paths = map(Path, glob.glob(entry, recursive=True))
    else:
        raise InputError(f"{entry}: no such file or folder")
    visible = (path for path in paths if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in FORMATS)


def plan(sources: Sequence[Path], folder: Path, kind: str | None = None) -> list[Job]:
    """Name the file that each picture becomes: its own name, in another folder.

    Parameters
    ----------
    sources : sequence of Path
    folder : Path
        Where all are written.
    kind : {"png", "jpeg", "webp", "tiff"}, optional
        The format of all; else that which each name's suffix says.

    Raises
    ------
    InputError
        If two would become one file, a file would be written over a picture that is to be enlarged, or the
        format is another.
    """
    if kind not in (None, *FORMATS.values()):
        raise InputError(f"format '{kind}': {', '.join(dict.fromkeys(FORMATS.values()))} are there")
    jobs = [Job(source, folder / _name(source, kind)) for source in sources]
    first: dict[Path, Path] = {}
    for job in jobs:
        if job.target in first:
            raise InputError(
                f"{first[job.target]} and {job.source} would both become {job.target}; give them folders of their own"
            )
        first[job.target] = job.source
    inputs = {source.resolve() for source in sources}
    for job in jobs:
        if job.target.resolve() in inputs:
            raise InputError(f"{job.target} is itself to be enlarged; give another output folder")
    return jobs


def _name(source: Path, kind: str | None) -> str:
    if kind is None or FORMATS.get(source.suffix.lower()) == kind:
        return source.name
    suffix = next(suffix for suffix, known in FORMATS.items() if known == kind)
    return source.stem + suffix


def upscale_picture(
    model: nn.Module | None,
    picture: Picture,
    scale: int,
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    precision: Precision = "32-true",
) -> Picture:
    """Enlarge a picture, in its own bit depth.

    Parameters
    ----------
    model : nn.Module or None
        As in `super_resolve`; None is bicubic interpolation.
    picture : Picture
    scale : int
    device, ensemble, tile, precision
        As in `super_resolve`.

    Returns
    -------
    Picture
        With what `picture` carries. The alpha is enlarged by bicubic interpolation; colours are enlarged as
        they are stored, those under transparent pixels too.
    """
    rgb = super_resolve(model, picture.rgb, scale, device, ensemble, tile, precision)
    alpha = picture.alpha
    if alpha is not None:
        alpha = super_resolve(None, alpha.expand(3, -1, -1), scale, tile=tile)[0]
    return replace(picture, rgb=rgb, alpha=alpha)


def upscale_files(
    jobs: Sequence[Job],
    model: nn.Module | None,
    scale: int,
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    overwrite: bool = False,
    precision: Precision = "32-true",
) -> Outcome:
    """Enlarge pictures one after the other, with a progress bar; a bad one does not stop the rest.

    Parameters
    ----------
    jobs : sequence of Job
        As of `plan`.
    model, scale, device, ensemble, precision
        As in `super_resolve`.
    tile : int, optional
        Side of the tiles in LR pixels; by default 256 for pictures of more than 512×512 pixels, and smaller
        ones are worked on whole.
    overwrite : bool
        Whether to replace what is there already.

    Raises
    ------
    InputError
        If a file cannot be written: what is wrong with the folder or the disk is so for all.
    """
    for folder in {job.target.parent for job in jobs}:
        check_writable(folder)
    outcome = Outcome()
    for job in tqdm(jobs, desc=f"upscaling ×{scale}", unit="picture"):
        if job.target.exists() and not overwrite:
            outcome.skipped.append(job.target)
            continue
        try:
            picture = _enlarged(job, model, scale, device, ensemble, tile, precision)
        except InputError as error:
            outcome.failed.append(str(error))
            continue
        for note in (*picture.notes, *write_picture(job.target, picture)):
            outcome.notes.setdefault(note, []).append(job.target)
        outcome.written.append(job.target)
    return outcome


def choose_tile(height: int, width: int, tile: int | None) -> int | None:
    """The tile asked for; else none for images of up to 512×512 LR pixels, and 256 for larger ones."""
    return TILE if tile is None and height * width > WHOLE else tile


def _enlarged(
    job: Job,
    model: nn.Module | None,
    scale: int,
    device: str | torch.device,
    ensemble: bool,
    tile: int | None,
    precision: Precision,
) -> Picture:
    picture = read_picture(job.source)
    _, height, width = picture.rgb.shape
    check_size(job.target, scale * width, scale * height)
    tile = choose_tile(height, width, tile)
    try:
        return upscale_picture(model, picture, scale, device, ensemble, tile, precision)
    except InputError as error:
        raise InputError(f"{job.source}: {error}") from None
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise InputError(
            f"{job.source}: out of memory; tiles smaller than {tile or max(height, width)} (--tile) need less"
        ) from None
