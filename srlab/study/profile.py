"""Profiles: the networks and chapters of a study, one YAML file a budget."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from srlab.errors import InputError, explain
from srlab.models import REGISTRY, trunk_networks
from srlab.models.skip import First, Skip
from srlab.training import Budget

Model = TypeVar("Model", bound=BaseModel)
Seed = Annotated[int, Field(ge=0, lt=2**63)]
#: Side of a square LR image in pixels, or its height and width.
Size = PositiveInt | tuple[PositiveInt, PositiveInt]
#: Values of an option of a network.
Value = int | float | str | tuple[int | float, ...]
#: Some fields of :class:`~srlab.training.Budget`.
BudgetChange = dict[str, int | float | str | tuple[float, ...]]


def on_the_trunk(models: tuple[str, ...]) -> tuple[str, ...]:
    """Validate that networks stand on the trunk; for pydantic's validators."""
    if others := [model for model in models if model not in trunk_networks()]:
        raise ValueError(f"networks on the trunk, not {', '.join(others)}")
    return models


def known(models: tuple[str, ...]) -> tuple[str, ...]:
    """Validate that networks are in the registry; for pydantic's validators."""
    if unknown := [model for model in models if model not in REGISTRY]:
        raise ValueError(f"models of `srlab models`, not {', '.join(unknown)}")
    return models


class Strict(BaseModel):
    """Settings that refuse unknown fields and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Timing(Strict):
    """Timed calls of each measurement, and calls before them."""

    repeats: PositiveInt = 10
    warmup: PositiveInt = 2


class Branch(Strict):
    """The branched experiment: trunks without attention are trained long, and every arm continues from one of them."""

    trunk: BudgetChange  # from the profile's training, for the trunks
    training: BudgetChange  # the same for the arms
    models: Annotated[tuple[str, ...], Field(min_length=1)]  # `no_attention` continues without attention: the control
    sides: tuple[PositiveInt, ...] = ()  # also `trunk_window` with windows of these sides

    _models = field_validator("models")(on_the_trunk)


class Profile(Strict):
    """A budget, the networks that it trains, and the chapters that it answers."""

    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    scale: Literal[2, 3, 4, 8] = 2
    #: A folder with train/ and benchmark/; SRLAB_DATA has precedence, and the embedded photographs are the default.
    data: str | None = None
    weights: str | None = None  # a folder of released weights; SRLAB_WEIGHTS has precedence
    benchmarks: tuple[str, ...] = ()  # to evaluate on, if the data has them; otherwise all that it has
    images: PositiveInt | None = None  # at most so many of each benchmark, evenly spaced by name
    side: PositiveInt | None = None  # of each image the middle, at most so many HR pixels a side
    leave_out: tuple[str, ...] = ()  # names of training images
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    network: dict[str, PositiveInt]  # for every network that has them: channels, groups, blocks, clusters, window
    skip: Skip = "published"  # `skip` and `first`: see srlab.models.skip
    first: First = "published"
    options: dict[str, dict[str, Value]] = {}  # of single networks, in addition
    training: Budget
    models: tuple[str, ...] = ()  # the comparison: networks trained from scratch
    branch: Branch | None = None
    timing: Timing | None = None  # without it nothing is timed, except for claims
    committed: bool = False  # refuse to begin a run while tracked files differ from the last commit
    chapters: dict[str, dict[str, object]] = {}  # with settings; "*" stands for every other chapter, with defaults

    _models = field_validator("models")(known)

    def budget(self, **change: object) -> Budget:
        """Return the training budget with some fields changed; ValidationError if that is not allowed."""
        return Budget(**self.training.model_dump() | change)

    @field_validator("chapters", mode="before")
    @classmethod
    def _settings(cls, chapters: object) -> object:
        """Read `recall:` without settings as empty settings."""
        if not isinstance(chapters, dict):
            return chapters
        return {name: {} if settings is None else settings for name, settings in chapters.items()}

    @model_validator(mode="after")
    def _branch_applies(self) -> Profile:
        for name in ("trunk", "training") if self.branch else ():
            try:
                self.budget(**getattr(self.branch, name))
            except ValidationError as error:
                raise ValueError(explain(error, f"branch.{name}")) from None
        return self


def find_root(start: Path | None = None) -> Path:
    """Find the nearest folder with profiles/, at or above `start` (the current folder); InputError without one."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "profiles").is_dir():
            return folder
    raise InputError(f"no folder with profiles/ at or above {start}; work inside the study's checkout")


def results_folder(root: Path) -> Path:
    """Return the folder of all results: SRLAB_RESULTS, relative to `root`, or else results/."""
    return root / Path(os.environ.get("SRLAB_RESULTS") or "results").expanduser()


def load_profile(path: Path) -> Profile:
    """Read and check a profile; InputError if there is no such file, or for a wrong content, key or value."""
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise InputError(f"profile '{path.stem}' is unknown; there are in {path.parent}: {there}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"profile {path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"profile {path} holds {type(content).__name__}; a mapping of keys to values is expected")
    return check(content | {"name": path.stem}, Profile, f"profile {path}")


def check(content: dict, model: type[Model], source: str) -> Model:
    """Validate settings from a file or a notebook; InputError names the source and every wrong key or value."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(explain(error, source)) from None


# --- parameters of notebooks ------------------------------------------------------------------------------------------


def read(value: object) -> object:
    """Read a parameter that papermill's `-p` passes as text, such as "[16, 64]" or "null"; others stay as they are."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"parameter '{value}' is no YAML: {' '.join(str(error).split())}") from None


def read_options(value: object) -> dict[str, object]:
    """Read a notebook's `options` of a network, such as {"clusters": 16} or its text; InputError for anything else."""
    options = read(value)
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise InputError(f"options is {value!r}; allowed are names with values, such as {{clusters: 16, window: 48}}")
    return options


def changed(settings: Model, source: str, **parameters: object) -> Model:
    """Return settings with some fields changed by a notebook's parameters; the same object without any change.

    None keeps a field; a single value stands for a list of it where a list is expected; a dict changes fields of a
    field that holds settings. The InputError for an unknown field or a wrong value names the settings `source`.
    """
    changes = {}
    for name, parameter in parameters.items():
        if name not in type(settings).model_fields:
            raise InputError(f"{source} has no '{name}'; there are: {', '.join(type(settings).model_fields)}")
        own, value = getattr(settings, name), read(parameter)
        if isinstance(own, BaseModel) and isinstance(value, dict):
            value = changed(own, f"{source}, {name}", **value)
            value = None if value == own else value.model_dump()
        if value is not None:
            listed = isinstance(own, tuple) and not isinstance(value, list | tuple)
            changes[name] = (value,) if listed else value
    if not changes:
        return settings
    return check(settings.model_dump() | changes, type(settings), f"{source} with {', '.join(changes)} of your own")
