"""Runs: a config, the hash and name that follow from it, and the way to make it.

Each kind of run is a subclass in a file of its own; a chapter may bring one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel
from torch import nn

from srlab.models import build
from srlab.stats.rules import hash_of

if TYPE_CHECKING:
    import torch

    from srlab.study.records import Record
    from srlab.study.study import Study

#: The class of each kind of run.
KINDS: dict[str, type[Run]] = {}


class Network(BaseModel, extra="forbid", frozen=True):
    """A network by name and all of its options."""

    model: str
    options: dict[str, int | float | str | tuple[int | float, ...] | None]

    def build(self, scale: int, seed: int) -> nn.Module:
        return build(self.model, scale, seed, **self.options)


class Run(BaseModel, extra="forbid", frozen=True):
    """One thing to make: a trained network, a measurement.

    A subclass has a field `kind` with its name as the only value, and the two methods `slug` and `make`.
    """

    #: The CSV files of a finished record, without ".csv".
    tables: ClassVar[tuple[str, ...]] = ()
    #: A network is trained, and its record holds weights.safetensors.
    trains: ClassVar[bool] = False
    #: Times are measured, which belong to one processor; a profile for CPUs has all else made on any.
    timed: ClassVar[bool] = False

    scale: int
    device: str  # as in the results folder's name, e.g. "amd-epyc"

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        KINDS[cls.model_fields["kind"].default] = cls

    @property
    def hash(self) -> str:
        return hash_of(self.model_dump(mode="json"))

    @property
    def slug(self) -> str:
        """The readable part of the name."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.slug}-{self.hash}"

    def needs(self, study: Study) -> Sequence[Run]:
        """Return the runs that this one reads, which are made first."""
        return ()

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        """Make the run and write its record into the folder, which exists; the records of all that it needs do too.

        `processes` is the number of devices that train together. At the deadline (`time.monotonic`, s) training stops
        with an OutOfTime, and the same call resumes.
        """
        raise NotImplementedError


def run_of(config: dict) -> Run:
    """Return the run of a config, as `run.json` keeps it."""
    if config["kind"] not in KINDS:  # a chapter's, which nothing has imported yet
        from srlab.study.chapter import chapter_names, module_of

        for name in chapter_names():
            module_of(name)
    return KINDS[config["kind"]].model_validate(config)
