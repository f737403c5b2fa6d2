"""Released weights that this project has opened, of catalogue.csv: origin, licence and checksum of each file."""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ReleasedFile:
    """A file of released weights, named MODEL_xSCALE and its suffix."""

    file: str
    model: str  # a key of the registry, or spandrel's id of an architecture in small letters
    scale: int
    page: str  # where to get it, or where its authors describe it
    licence: str  # as its page states it, or "none stated"
    trained: str  # by whom and on what; whether these weights produced the paper's numbers
    sha256: str


with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _table:
    CATALOGUE = {row["file"]: ReleasedFile(**row | {"scale": int(row["scale"])}) for row in csv.DictReader(_table)}


def by_checksum(sha256: str) -> ReleasedFile | None:
    """Return the catalogued file of that checksum, whatever its name here; None if there is none."""
    return next((each for each in CATALOGUE.values() if each.sha256 == sha256), None)
