"""Profiles: the matrix of runs of a study, one YAML file a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

from srlab.errors import InputError, explain
from srlab.models import REGISTRY
from srlab.training import Budget

Seed = Annotated[int, Field(ge=0)]


class Timing(BaseModel):
    """How time and memory are measured, networks in turn.

    Attributes
    ----------
    models : tuple of str
        Networks to time; those of the profile if empty.
    network : dict
        Sizes of the timed trunk; those of the profile's `network` where not given.
    sizes : tuple of int
        Sides of the square LR inputs in pixels.
    repeats, warmup : int
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = ()
    network: dict[str, PositiveInt] = {}
    sizes: tuple[PositiveInt, ...]
    repeats: PositiveInt = 10
    warmup: PositiveInt = 2


class Profile(BaseModel):
    """A budget and the runs that it pays for.

    Attributes
    ----------
    name : str
        The file's.
    device : {"auto", "cpu", "cuda"}
    scale : {2, 3, 4, 8}
    data : str, optional
        A folder with train/ and benchmark/; SRLAB_DATA goes before it, the embedded photographs after.
    benchmarks : tuple of str
        Those to evaluate on, where the data has any of them; otherwise all that it has.
    seeds : tuple of int
    network : dict
        Options for every network that has them: channels, groups, blocks, clusters, window.
    options : dict of str to dict
        Options of single networks, by name, on top of those.
    training : Budget
    models : tuple of str
        The comparison.
    clusters, windows : tuple of int
        The sweeps of k and of the window, with `lcoan`.
    timing : Timing
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    scale: Literal[2, 3, 4, 8] = 2
    data: str | None = None
    benchmarks: tuple[str, ...] = ()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    network: dict[str, PositiveInt]
    options: dict[str, dict[str, int | float | str | tuple[int | float, ...]]] = {}
    training: Budget
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    clusters: tuple[PositiveInt, ...] = ()
    windows: tuple[PositiveInt, ...] = ()
    timing: Timing

    @field_validator("models")
    @classmethod
    def _known(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [model for model in models if model not in REGISTRY]
        if unknown:
            raise ValueError(f"models of `srlab models`, not {', '.join(unknown)}")
        return models


def load_profile(path: Path) -> Profile:
    """Read and check a profile.

    Raises
    ------
    InputError
        If there is no such file, it is no YAML mapping, or a key or value is wrong.
    """
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise InputError(f"profile '{path.stem}' is unknown; there are in {path.parent}: {known}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"profile {path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(
            f"profile {path} holds {type(content).__name__}; a mapping of keys to values is expected"
        )
    try:
        return Profile(name=path.stem, **content)
    except ValidationError as error:
        raise InputError(explain(error, f"profile {path}")) from None
