"""Identify files of weights: network, scale, whether they are catalogued and whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tqdm.auto import tqdm

from srlab.errors import InputError
from srlab.files import checksum
from srlab.weights.catalogue import CATALOGUE, ReleasedFile, by_checksum
from srlab.weights.checkpoints import check_finite, find_released, read_weights

#: Suffixes of files of weights.
SUFFIXES = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights; model and scale are as `open_network` takes them, None where the file cannot be opened."""

    path: Path
    sha256: str
    checkpoint: ReleasedFile | None  # the catalogue's entry of that checksum
    model: str | None
    scale: int | None
    fault: str = ""  # why it is not what it seems to be; "" without a fault


def find_weights(folder: Path) -> list[WeightsFile]:
    """Examine every file of weights directly in a folder, by name; a folder without any is an InputError."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; files of weights ({', '.join(SUFFIXES)}) are expected in it")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"{folder}: no files of weights ({', '.join(SUFFIXES)})")
    return [examine(path) for path in tqdm(files, desc="weights", unit="file", leave=False)]


@cache
def weights_in(folder: Path, scale: int) -> dict[str, WeightsFile]:
    """Find the files of weights for a scale, by network.

    Raises InputError if the folder has no weights for the scale, or two files of one network.
    """
    found: dict[str, WeightsFile] = {}
    for each in find_weights(folder):
        if each.model and each.scale == scale:
            if each.model in found:
                both = f"{found[each.model].path.name} and {each.path.name}"
                raise InputError(f"{folder}: {both} are both of {each.model} ×{scale}; one is expected")
            found[each.model] = each
    if not found:
        raise InputError(f"{folder}: no weights of a network ×{scale}")
    return found


def examine(path: Path) -> WeightsFile:
    """Identify a file by its checksum in the catalogue, or else by opening it."""
    sha256 = checksum(path)
    if known := by_checksum(sha256):
        return WeightsFile(path, sha256, known, known.model, known.scale)
    try:
        model, scale = identify(path)
    except InputError as error:
        return WeightsFile(path, sha256, None, None, None, str(error))
    named = CATALOGUE.get(path.name)
    fault = f"not the catalogued {path.name}: its SHA-256 begins {named.sha256[:12]}" if named else ""
    return WeightsFile(path, sha256, None, model, scale, fault)


def identify(path: Path) -> tuple[str, int]:
    """Return the network of a file of weights, a key of the registry or spandrel's id in small letters, and its scale.

    InputError if the file cannot be read, holds numbers that are not finite, or its network is unknown.
    """
    source = f"weights {path}"
    tensors, own = read_weights(path)
    if own:
        return own.model, own.scale
    check_finite(tensors, source)
    if released := find_released(tensors):
        return released
    from srlab.weights.zoo import load

    descriptor = load(tensors, source, "srlab has no network of these weights")
    return descriptor.architecture.id.casefold(), descriptor.scale
