"""Profiles: the matrix of runs of a study, one YAML file a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from srlab.data.recall import Scene
from srlab.errors import InputError, explain
from srlab.models import REGISTRY, trunk_networks
from srlab.models.skip import First, Skip
from srlab.training import Budget

Seed = Annotated[int, Field(ge=0)]
#: Side of a square LR image in pixels, or its height and width.
Size = PositiveInt | tuple[PositiveInt, PositiveInt]


class ClaimsTiming(BaseModel):
    """What of the papers' claims about time and memory is measured otherwise than srlab/study/claims.yaml says.

    Attributes
    ----------
    sides, growth_sides : tuple of int
        Sides of the maps in pixels; those of the rules if empty.
    networks : tuple of int or pair of int
        LR inputs of the published networks, sides or (height, width).
    processes : int, optional
        Fresh processes; as many as the rules say by default. Fewer give no verdict.
    compiled : bool
        Whether the fused windows of ESC are compiled, as published, which on a CPU needs a C++ compiler.
    options : dict of str to dict
        Options of networks, by name, in place of the published ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sides: tuple[PositiveInt, ...] = ()
    growth_sides: tuple[PositiveInt, ...] = ()
    networks: tuple[Size, ...] = (64, 128, (180, 320))
    processes: PositiveInt | None = None
    compiled: bool = True
    options: dict[str, dict[str, int | float | str | tuple[int | float, ...]]] = {}


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
    sides, backends : tuple
        Windows of one window attention layer, each by each back-end; its map is as large as the largest
        input.
    tops : tuple of int
        How many windows a window of FGCA and BRA chooses, on the same map.
    scales : tuple of int
        Each on the smallest input, ×4 also on what ×4 makes of it.
    limits : tuple of int or pair of int
        Inputs, ever larger, of one layer alone, until it takes more than `limit_s` seconds or `limit_mib`
        MiB.
    repeats, warmup : int
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = ()
    network: dict[str, PositiveInt] = {}
    sizes: tuple[PositiveInt, ...]
    sides: tuple[PositiveInt, ...] = (8, 16)
    backends: tuple[Literal["reference", "sdpa", "flex", "rib"], ...] = ("reference", "sdpa", "rib")
    tops: tuple[PositiveInt, ...] = (4,)
    scales: tuple[Literal[2, 3, 4, 8], ...] = (2, 4)
    limits: tuple[Size, ...] = (16, 32)
    limit_s: PositiveFloat = 1.0
    limit_mib: PositiveInt = 1024
    repeats: PositiveInt = 10
    warmup: PositiveInt = 2


class Recipe(BaseModel):
    """What a recipe has other than its profile's: nothing, unless given.

    Attributes
    ----------
    skip, first : str, optional
        As in :class:`Profile`.
    network : dict
        Sizes of the trunk.
    training : dict
        Fields of :class:`~srlab.training.Budget`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    skip: Skip | None = None
    first: First | None = None
    network: dict[str, PositiveInt] = {}
    training: dict[str, int | float | str | tuple[float, ...]] = {}

    def applied(self, profile: Profile) -> Profile:
        """The profile with this recipe."""
        return profile.model_copy(
            update={
                "skip": self.skip or profile.skip,
                "first": self.first or profile.first,
                "network": profile.network | self.network,
                "training": profile.budget(**self.training),
            }
        )


class Branch(BaseModel):
    """The branched experiment: trunks without attention are trained long, and every arm goes on from one of them.

    Attributes
    ----------
    trunk, training : dict
        Fields of :class:`~srlab.training.Budget` that are not the profile's: of the trunks, and of what follows.
    models : tuple of str
        Networks on the trunk, of which `no_attention` is the control that goes on without attention.
    sides : tuple of int
        Also `trunk_window` with windows of these sides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trunk: dict[str, int | float | str | tuple[float, ...]]
    training: dict[str, int | float | str | tuple[float, ...]]
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    sides: tuple[PositiveInt, ...] = ()

    @field_validator("models")
    @classmethod
    def _on_the_trunk(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        return _trunk_networks(models)


class Recall(BaseModel):
    """The recall experiment: networks trained on recall images, :mod:`srlab.data.recall`.

    Attributes
    ----------
    training : dict
        Fields of :class:`~srlab.training.Budget` that are not the profile's; `patch` is the scene's side.
    models : tuple of str
        Networks on the trunk; every one that there is, if empty.
    variants : dict of str to dict
        Of networks, by name, options each of which is also tried at these values, from the first seed:
        {lcoan: {window: [24, 48]}}.
    scene : Scene
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: dict[str, int | float | str | tuple[float, ...]]
    models: tuple[str, ...] = ()
    variants: dict[str, dict[str, tuple[int | float | str, ...]]] = {}
    scene: Scene = Scene()

    @field_validator("models")
    @classmethod
    def _on_the_trunk(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        return _trunk_networks(models)


def _trunk_networks(models: tuple[str, ...]) -> tuple[str, ...]:
    others = [model for model in models if model not in trunk_networks()]
    if others:
        raise ValueError(f"networks on the trunk, not {', '.join(others)}")
    return models


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
    images, side : int, optional
        Of each benchmark at most so many images, evenly spaced by name, and of each the middle, at most so
        many HR pixels a side.
    leave_out : tuple of str
        Training images, by name, not to train on.
    seeds : tuple of int
    network : dict
        Options for every network that has them: channels, groups, blocks, clusters, window.
    skip : {"published", "bicubic"}
    first : {"published", "details"}
        What the networks that are trained add their output to, and what their first filters begin as; see
        :mod:`srlab.models.skip`.
    options : dict of str to dict
        Options of single networks, by name, on top of those.
    training : Budget
    models : tuple of str
        The comparison; empty only where a profile is about recall alone.
    branch : Branch, optional
        Beside the comparison, which is from scratch: what goes on from trained trunks.
    recall : Recall, optional
        Who finds a copy that is far away?
    committed : bool
        Refuse to begin a run while tracked files differ from the last commit.
    recipes : dict of str to Recipe
        Other recipes, by what is changed, with which networks of the comparison are trained too.
    clusters, windows : tuple of int
        The sweeps of k and of the window, with `lcoan`.
    decays : tuple of float
        λ of the centroids' moving average, with `lcoan`; beside them, centroids are frozen.
    renewals : tuple of int
        Every how many layers `lcoan` computes its weights anew.
    units : tuple of int
        Numbers of feature aggregation units, with `lcoan` and without attention.
    sides : tuple of int
        Sides of the windows of `trunk_window`.
    photographs : tuple of int
        How many training images, for each of `photograph_models`; a smaller set is part of the larger.
    photograph_models : tuple of str
    timing : Timing, optional
        Nothing is timed without, but for claims.
    claims : ClaimsTiming, optional
        Measure what the papers' claims about time and memory are judged on.
    pages : tuple of str
        The notebooks to execute; all that this profile has something for, if empty.
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
    options: dict[str, dict[str, int | float | str | tuple[int | float, ...]]] = {}
    training: Budget
    models: tuple[str, ...] = ()
    branch: Branch | None = None
    recall: Recall | None = None
    committed: bool = False
    recipes: dict[str, Recipe] = {}
    clusters: tuple[PositiveInt, ...] = ()
    windows: tuple[PositiveInt, ...] = ()
    decays: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    renewals: tuple[PositiveInt, ...] = ()
    units: tuple[PositiveInt, ...] = ()
    sides: tuple[PositiveInt, ...] = ()
    photographs: tuple[PositiveInt, ...] = ()
    photograph_models: tuple[str, ...] = ()
    timing: Timing | None = None
    claims: ClaimsTiming | None = None
    pages: tuple[str, ...] = ()

    @field_validator("models", "photograph_models")
    @classmethod
    def _known(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [model for model in models if model not in REGISTRY]
        if unknown:
            raise ValueError(f"models of `srlab models`, not {', '.join(unknown)}")
        return models

    def budget(self, **other: object) -> Budget:
        """That of training, with these fields other than they are.

        Raises
        ------
        ValidationError
            If there is no such field, or a value is not allowed.
        """
        return Budget(**self.training.model_dump() | other)

    @model_validator(mode="after")
    def _asks_something(self) -> Profile:
        if not self.models and self.recall is None:
            raise ValueError("models: at least one is expected")
        return self

    @model_validator(mode="after")
    def _experiments_apply(self) -> Profile:
        budgets = {
            "branch.trunk": self.branch and self.branch.trunk,
            "branch.training": self.branch and self.branch.training,
        }
        budgets["recall.training"] = self.recall and self.recall.training
        for name, other in budgets.items():
            try:
                self.budget(**other or {})
            except ValidationError as error:
                raise ValueError(explain(error, name)) from None
        return self

    @model_validator(mode="after")
    def _recipes_apply(self) -> Profile:
        for name, recipe in self.recipes.items():
            try:
                recipe.applied(self)
            except ValidationError as error:
                raise ValueError(explain(error, f"recipe '{name}'")) from None
        return self


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
        raise InputError(f"profile {path} holds {type(content).__name__}; a mapping of keys to values is expected")
    try:
        return Profile(name=path.stem, **content)
    except ValidationError as error:
        raise InputError(explain(error, f"profile {path}")) from None
