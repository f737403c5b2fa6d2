"""The data sets of the field: where each lives, its licence, its images, and where it is fetched from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from srlab.errors import InputError


@dataclass(frozen=True)
class Archive:
    """A file that may be fetched, and the part of it that is kept.

    Attributes
    ----------
    url : str
    checksum : str
        "sha256:…" or "md5:…", in hexadecimal digits.
    inside : str
        The folder in the archive that is kept.
    to : str
        What this folder becomes, relative to SRLAB_DATA.
    """

    url: str
    checksum: str
    inside: str
    to: str


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Attributes
    ----------
    name : str
        How papers call it, and its folder in SRLAB_DATA.
    page : str
        Where its authors describe it, or where it is asked for.
    licence : str
        As its page states it; "none stated" where it states none, "none known" where it was not read.
    images : Mapping of str to int
        Number of HR images of each split: "train" (in `train/<name>`), "benchmark" (in `benchmark/<name>`).
    archives : tuple of Archive
        Empty where the data must be asked for, or where no checksum of it is known.
    """

    name: str
    page: str
    licence: str
    images: Mapping[str, int]
    archives: tuple[Archive, ...] = field(default=())

    def folders(self, root: Path) -> list[Path]:
        """Where this data set is in `root` (the folder SRLAB_DATA names); empty if it is not there."""
        places = [root / "train" / self.name, root / "benchmark" / self.name, root / self.name]
        return [place for place in places if place.is_dir()]


def _div2k(split: str, to: str, checksum: str) -> Archive:
    return Archive(f"https://data.vision.ee.ethz.ch/cvl/DIV2K/{split}.zip", checksum, split, to)


def _edsr(name: str) -> tuple[Archive]:
    """The four benchmarks as EDSR evaluates on them: PNG, HR/ and LR_bicubic/, in one archive."""
    return (
        Archive(
            "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
            "md5:4ace41d33c2384b97e6b320cd0afd6ba",  # as listed by torchSR (Coloquinte/torchSR)
            f"benchmark/{name}",
            f"benchmark/{name}",
        ),
    )


CATALOGUE = {
    data_set.name: data_set
    for data_set in (
        DataSet(
            "DIV2K",
            "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
            "academic research only; the photographers' copyright",
            {"train": 800, "benchmark": 100},
            (
                # Both checksums as listed by TensorFlow Datasets (tensorflow/datasets, div2k/checksums.tsv).
                _div2k(
                    "DIV2K_train_HR",
                    "train/DIV2K",
                    "sha256:9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
                ),
                _div2k(
                    "DIV2K_valid_HR",
                    "benchmark/DIV2K/HR",
                    "sha256:20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
                ),
            ),
        ),
        DataSet(
            "Set5",
            "http://people.rennes.inria.fr/Aline.Roumy/results/SR_BMVC12.html",
            "none known",
            {"benchmark": 5},
            _edsr("Set5"),
        ),
        DataSet(
            "Set14",
            "https://sites.google.com/site/romanzeyde/research-interests",
            "none known",
            {"benchmark": 14},
            _edsr("Set14"),
        ),
        DataSet(
            "B100",
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/",
            "non-commercial research and education",
            {"benchmark": 100},
            _edsr("B100"),
        ),
        DataSet(
            "Urban100",
            "https://github.com/jbhuang0604/SelfExSR",
            "none stated",
            {"benchmark": 100},
            _edsr("Urban100"),
        ),
        DataSet(  # one page of each volume is the benchmark
            "Manga109",
            "http://www.manga109.org/en/download.html",
            "academic use only, on application; not to be passed on",
            {"benchmark": 109},
        ),
        DataSet(
            "DIV8K",
            "https://competitions.codalab.org/competitions/22217#participate",
            "that of the competition, on registration",
            {"train": 1500},
        ),
        DataSet(  # the test pairs of one scale, of Canon and Nikon together, in version 3
            "RealSR", "https://github.com/csjcai/RealSR", "none stated", {"benchmark": 100}
        ),
        DataSet("General100", "http://mmlab.ie.cuhk.edu.hk/projects/FSRCNN.html", "none known", {"train": 100}),
    )
}


def known_data_set(name: str) -> DataSet | None:
    """Look a data set up by its name, in any case; None if it is not in the catalogue."""
    return {known.casefold(): data_set for known, data_set in CATALOGUE.items()}.get(name.casefold())


def find_data_set(name: str) -> DataSet:
    """Look a data set up by its name, in any case.

    Raises
    ------
    InputError
        If it is not in the catalogue.
    """
    data_set = known_data_set(name)
    if data_set is None:
        raise InputError(f"data set '{name}' is unknown; known are {', '.join(CATALOGUE)}")
    return data_set
