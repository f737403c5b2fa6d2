"""Released weights that this project has opened: origin, licence and checksum of each file."""

from dataclasses import dataclass


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


FILES = (
    ReleasedFile(
        "hit_srf_x4.pth",
        "hit_srf",
        4,
        "https://github.com/XiangZ-0/HiT-SR",
        "none stated",
        "the authors', on DIV2K",
        "dffb47c5a7e1e28755cde32d9fa4c19f14e965d6c63491da39419bf3699ec456",
    ),
    ReleasedFile(
        "elan_light_x4.pth",
        "elan_light",
        4,
        "https://github.com/Fried-Rice-Lab/FriedRiceLab (d03aff7, modelzoo/ELAN/ELAN-light_LSR_x4_unofficial.pth)",
        "MIT",
        "again by Fried Rice Lab, on DF2K (the authors': on DIV2K)",
        "433400f0b3182d1c0e363edd122a070d04215283621b968367d2caac2de10493",
    ),
    ReleasedFile(
        "catanet_himosa_x4.pth",
        "catanet",
        4,
        "https://github.com/liu-yii/HIMOSA (fbb8b57, cem/ModelZoo/models/CATANet.pth)",
        "Apache-2.0",
        "by the authors of HIMOSA, presumably on aerial images: no measure of CATANet's quality",
        "f90e2373a0c5496e387a77143627142d2be76b0ceeedcaaf7039a2723cc24d7a",
    ),
    ReleasedFile(
        "dctlsa_x4.pth",
        "dctlsa",
        4,
        "https://github.com/zengkun301/DCTLSA (0756bc8, pretrained/X4.pt)",
        "Apache-2.0",
        "the authors'",
        "58d822beb3a1bf1d3e5dc91371a5686debda6bdbf246a4484805bda37cb18c06",
    ),
    ReleasedFile(
        "craft_x4.pth",
        "craft",
        4,
        "https://github.com/AVC2-UESTC/CRAFT-SR (the paper's own; this file came with a challenge entry)",
        "none stated",
        "for a challenge, not the paper's",
        "a3d57001df7e856be6b4e3553d77be3b038609f34db5d41b43c3e6c67756a381",
    ),
)
CATALOGUE = {each.file: each for each in FILES}


def by_checksum(sha256: str) -> ReleasedFile | None:
    """Return the catalogued file of that checksum, whatever its name here; None if there is none."""
    return next((each for each in CATALOGUE.values() if each.sha256 == sha256), None)
