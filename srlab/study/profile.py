"""Profiles: what a study trains and asks, one YAML file a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from srlab.errors import InputError, explain
from srlab.models import REGISTRY, trunk_networks
from srlab.models.skip import First, Skip
from srlab.training import Budget

Model = TypeVar("Model", bound=BaseModel)
Seed = Annotated[int, Field(ge=0)]
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


class Timing(BaseModel):
    """Timed calls of each measurement, and calls before them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeats: PositiveInt = 10
    warmup: PositiveInt = 2


class Branch(BaseModel):
    """The branched experiment: trunks without attention are trained long, and every arm continues from one of them.

    Attributes
    ----------
    trunk, training : dict
        Changes to the profile's budget: for the trunks, and for the arms.
    models : tuple of str
        Networks on the trunk; `no_attention` is the control that continues without attention.
    sides : tuple of int
        Also `trunk_window` with windows of these sides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trunk: BudgetChange
    training: BudgetChange
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    sides: tuple[PositiveInt, ...] = ()

    _models = field_validator("models")(on_the_trunk)


class Profile(BaseModel):
    """A budget, the networks that it trains, and the chapters that it answers.

    Attributes
    ----------
    name : str
        The file's.
    device : {"auto", "cpu", "cuda"}
    scale : {2, 3, 4, 8}
    data : str, optional
        A folder with train/ and benchmark/; SRLAB_DATA has precedence, and the embedded photographs are the default.
    benchmarks : tuple of str
        Those to evaluate on, if the data has them; otherwise all that it has.
    images, side : int, optional
        At most this many images of each benchmark, evenly spaced by name, and the middle of each image, at most this
        many HR pixels a side.
    leave_out : tuple of str
        Training images, by name, to exclude.
    seeds : tuple of int
    network : dict
        Options for every network that has them: channels, groups, blocks, clusters, window.
    skip : {"published", "bicubic"}
    first : {"published", "details"}
        See :mod:`srlab.models.skip`.
    options : dict of str to dict
        Options of single networks, by name, in addition.
    training : Budget
    models : tuple of str
        The comparison: networks trained from scratch.
    branch : Branch, optional
        The branched experiment.
    timing : Timing, optional
        Without it nothing is timed, except for claims.
    committed : bool
        Refuse to begin a run while tracked files differ from the last commit.
    chapters : dict of str to dict
        Each chapter to answer, with its settings; "*" stands for every other chapter with default settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    scale: Literal[2, 3, 4, 8] = 2
    data: str | None = None
    benchmarks: tuple[str, ...] = ()
    images: PositiveInt | None = None
    side: PositiveInt | None = None
    leave_out: tuple[str, ...] = ()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    network: dict[str, PositiveInt]
    skip: Skip = "published"
    first: First = "published"
    options: dict[str, dict[str, Value]] = {}
    training: Budget
    models: tuple[str, ...] = ()
    branch: Branch | None = None
    timing: Timing | None = None
    committed: bool = False
    chapters: dict[str, dict[str, object]] = {}

    _models = field_validator("models")(known)

    def budget(self, **change: object) -> Budget:
        """Return the training budget with some fields changed.

        Raises
        ------
        ValidationError
            For an unknown field or a value that is not allowed.
        """
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
    """Find the nearest folder with profiles/, at or above `start` (the current folder).

    Raises
    ------
    InputError
        If there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "profiles").is_dir():
            return folder
    raise InputError(f"no folder with profiles/ at or above {start}; work inside the study's checkout")


def load_profile(path: Path) -> Profile:
    """Read and check a profile.

    Raises
    ------
    InputError
        If there is no such file, it is no YAML mapping, or a key or value is wrong.
    """
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
    """Validate settings from a file or a notebook.

    Raises
    ------
    InputError
        Naming the source and every wrong key or value.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(explain(error, source)) from None


# --- parameters of notebooks ------------------------------------------------------------------------------------------


def read(value: object) -> object:
    """Read a parameter that papermill's `-p` passes as text, such as "[16, 64]" or "null"; others stay as they are.

    Raises
    ------
    InputError
        If the text is no YAML.
    """
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"parameter '{value}' is no YAML: {' '.join(str(error).split())}") from None


def changed(settings: Model, source: str, **parameters: object) -> Model:
    """Return settings with some fields changed by a notebook's parameters; the same object without any change.

    Parameters
    ----------
    settings : BaseModel
        A profile, or the settings of a chapter.
    source : str
        Their name in error messages.
    **parameters
        By field. None keeps the field; a single value stands for a list of it where a list is expected; a dict changes
        fields of a field that holds settings.

    Raises
    ------
    InputError
        For an unknown field or a value that is not allowed.
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
