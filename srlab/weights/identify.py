"""What files of weights are: of which network and scale, catalogued or not, whole or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from srlab.errors import InputError
from srlab.files import checksum
from srlab.models import REGISTRY
from srlab.models.registry import SCALES
from srlab.weights.catalogue import CATALOGUE, Checkpoint, by_checksum
from srlab.weights.checkpoints import check_finite, fits, held_by, load_tensors, read_pth
from srlab.weights.released import RELEASED

#: How names of files with weights end.
SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class Found:
    """A file of weights.

    Attributes
    ----------
    path : Path
    sha256 : str
    checkpoint : Checkpoint or None
        What the catalogue says of a file with this checksum.
    model : str or None
        As `open_network` takes it; None where the file cannot be opened.
    scale : int or None
    fault : str
        Why it is not what it seems to be; "" if nothing speaks against it.
    """

    path: Path
    sha256: str
    checkpoint: Checkpoint | None
    model: str | None
    scale: int | None
    fault: str = ""


def find_weights(folder: Path) -> list[Found]:
    """Every file of weights directly in a folder, by name.

    Raises
    ------
    InputError
        If there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; files of weights ({', '.join(SUFFIXES)}) are expected in it")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"{folder}: no files of weights ({', '.join(SUFFIXES)})")
    return [examine(path) for path in tqdm(files, desc="weights", unit="file", leave=False)]


def examine(path: Path) -> Found:
    """What a file of weights is, and whether it is whole: by its checksum where the catalogue has it, else opened."""
    sha256 = checksum(path)
    if known := by_checksum(sha256):
        return Found(path, sha256, known, known.model, known.scale)
    try:
        model, scale = identify(path)
    except InputError as error:
        return Found(path, sha256, None, None, None, str(error))
    named = CATALOGUE.get(path.name)
    fault = f"not the catalogued {path.name}, whose SHA-256 begins {named.sha256[:12]}" if named else ""
    return Found(path, sha256, None, model, scale, fault)


def identify(path: Path) -> tuple[str, int]:
    """The network and the scale that a file of weights is of.

    Returns
    -------
    model : str
        A key of the registry, or spandrel's id of an architecture in small letters.
    scale : int

    Raises
    ------
    InputError
        If the file cannot be read, holds numbers that are not finite, or is of no network that is known here.
    """
    source = f"weights {path}"
    if path.suffix.lower() == ".safetensors":
        tensors, metadata = load_tensors(path)
        if held := held_by(metadata, source):
            return held.model, held.scale
    else:
        tensors = read_pth(path)
    check_finite(tensors, source)
    return _released(tensors) or _by_spandrel(tensors, source)


def _released(tensors: Mapping[str, Tensor]) -> tuple[str, int] | None:
    networks = ((name, scale) for name in RELEASED if name in REGISTRY for scale in SCALES)
    return next((each for each in networks if fits(*each, tensors)), None)


def _by_spandrel(tensors: Mapping[str, Tensor], source: str) -> tuple[str, int]:
    from srlab.weights.zoo import load

    descriptor = load(tensors, source, "of no network whose released weights are known here")
    return descriptor.architecture.id.casefold(), descriptor.scale
