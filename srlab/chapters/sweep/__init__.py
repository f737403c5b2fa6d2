"""Sweep: how far does one option, one recipe or the number of photographs change what a network reaches?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import pandas as pd
from pydantic import BaseModel, Field, PositiveInt, field_validator, model_validator

from srlab.chapters.sweep import figures, recipes
from srlab.errors import InputError
from srlab.models import entry
from srlab.models.registry import label
from srlab.models.skip import First, Skip
from srlab.stats.gains import MARGIN, differences, means, pooled
from srlab.stats.intervals import SEEDS
from srlab.stats.words import between, count, say
from srlab.study.frames import bicubic, costs, quality
from srlab.study.profile import BudgetChange, Value, changed, known
from srlab.study.records import Record
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

QUESTION = "What does one option change?"
#: The name of the profile's own recipe.
CHOSEN = "as chosen"


class Recipe(BaseModel, extra="forbid", frozen=True):
    """Changes to the profile: `skip`, `first`, some sizes of the networks, some fields of the training budget."""

    skip: Skip | None = None
    first: First | None = None
    network: dict[str, PositiveInt] = {}
    training: BudgetChange = {}


class Sweep(BaseModel, extra="forbid", frozen=True):
    """Networks at several values of one thing; their gains are over the first value.

    The thing is an `option` with `values`, or `cases` (options by name; `model` replaces the network), or `photographs`
    (numbers of training images; all are added as the last), or `recipes` (the profile's own, `CHOSEN`, is added first).
    """

    models: tuple[str, ...] = Field(("lcoan",), min_length=1)
    option: str | None = None
    values: tuple[Value, ...] = ()
    cases: dict[str, dict[str, Value]] = {}
    photographs: tuple[PositiveInt, ...] = ()
    recipes: dict[str, Recipe] = {}

    _models = field_validator("models")(known)

    @model_validator(mode="after")
    def _one_thing(self) -> Sweep:
        ways = (self.option is not None, self.cases, self.photographs, self.recipes)
        if sum(map(bool, ways)) != 1 or bool(self.values) != ways[0]:
            raise ValueError("one of: option with values, cases, photographs, recipes")
        for model in self.models:
            for options in self.options().values():
                network = entry(options.get("model", model))
                if others := options.keys() - network.options - {"model"}:
                    raise ValueError(f"options of '{network.name}', not {', '.join(sorted(others))}")
        return self

    @property
    def by(self) -> str:
        """What varies, and the column of its values."""
        return self.option or ("case" if self.cases else "photographs" if self.photographs else "recipe")

    def options(self) -> dict[Value, dict[str, Value]]:
        """Return options by the value that stands for them."""
        return self.cases or {value: {self.option: value} for value in self.values}


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of the chapter: sweeps by name, which is the name of their tables."""

    sweeps: dict[str, Sweep] = {"window": Sweep(option="window", values=(48, 96))}

    @field_validator("sweeps")
    @classmethod
    def _one_of_recipes(cls, sweeps: dict[str, Sweep]) -> dict[str, Sweep]:
        if len(names := [name for name, sweep in sweeps.items() if sweep.recipes]) > 1:
            raise ValueError(f"at most one sweep of recipes, not {', '.join(names)}")
        return sweeps


def arms(study: Study, sweep: Sweep) -> list[tuple[Value, TrainingRun]]:
    """Return the runs of a sweep with their values: value by value, network by network, seed by seed."""
    if sweep.photographs:
        numbers = {number or len(study.data.train): number for number in (*sweep.photographs, None)}
        series = {value: (study, {"photographs": number}) for value, number in numbers.items()}
    elif sweep.recipes:
        series = {name: (_by(study, name, recipe), {}) for name, recipe in sweep.recipes.items()}
        series = {CHOSEN: (study, {})} | series
    else:
        series = {value: (study, options) for value, options in sweep.options().items()}
    return [
        (value, run)
        for value, (planned, options) in series.items()
        for model in sweep.models
        for run in planned.over_seeds(**{"model": model} | options)
    ]


def _by(study: Study, name: str, recipe: Recipe) -> Study:
    other, profile = copy(study), study.profile
    network = profile.network | recipe.network
    source = f"profile '{profile.name}' with recipe '{name}'"
    other.profile = changed(profile, source, **recipe.model_dump(exclude={"network"}), network=network)
    return other


def runs(study: Study, settings: Settings) -> list[TrainingRun]:
    """Return every run of every sweep."""
    return [run for sweep in settings.sweeps.values() for _, run in arms(study, sweep)]


def tables(study: Study, settings: Settings) -> dict[str, pd.DataFrame]:
    """Compute a list of the sweeps (`sweeps`: sweep, by), and the tables of each.

    The sweep NAME has NAME (means by value, and costs if timed), NAME_images, NAME_gains (over the first value),
    NAME_costs, and NAME_models (gains of several networks over the first); recipes: `recipes`, `recipe_changes`.
    InputError for a sweep of one value, e.g. of as many photographs as there are: no other is to gain over it.
    """
    planned = {name: arms(study, sweep) for name, sweep in settings.sweeps.items()}
    for name, each in planned.items():
        if len(values := {value for value, _ in each}) < 2:
            raise InputError(f"sweep '{name}' has the value {values.pop()} alone; at least two are needed")
    run = study.costs()
    timed = run and study.obtain(run)
    varied = [(name, sweep.by) for name, sweep in settings.sweeps.items() if not sweep.recipes]
    found = {"sweeps": pd.DataFrame(varied, columns=["sweep", "by"])} if varied else {}
    for name, sweep in settings.sweeps.items():
        made = [(value, study.obtain(run)) for value, run in planned[name]]
        if sweep.recipes:
            found["recipes"] = recipes.by_recipe(made, bicubic(study))
            found["recipe_changes"] = recipes.changes(found["recipes"])
        else:
            found |= {name + part: frame for part, frame in _tables(sweep, made, timed).items()}
    return found


def _tables(sweep: Sweep, made: Sequence[tuple[Value, Record]], timed: Record | None) -> dict[str, pd.DataFrame]:
    by, (first, record), several = sweep.by, made[0], len(sweep.models) > 1
    images = pd.concat([quality([each]).assign(**{by: value}) for value, each in made], ignore_index=True)
    shown = pd.concat([means(own, by).assign(model=model) for model, own in images.groupby("model", sort=False)])
    found = {"_images": images, "_gains": differences(images, by, first, within="model" if several else None)}
    if several:
        found["_models"] = differences(images, reference=sweep.models[0], within=by)
    if timed and not sweep.photographs:
        networks = [(value, each) for value, each in made if each.run.seed == record.run.seed]
        found["_costs"] = pd.concat([costs([each], timed).assign(**{by: value}) for value, each in networks])
        columns = ["model", by, "median_ms", "q25_ms", "q75_ms", "peak_mib"]
        shown = shown.merge(figures.compared_part(found["_costs"])[columns], on=["model", by])
    return found | {"": shown}


FIGURES = {"sweep_quality": figures.sweep_quality, "sweep_cost": figures.sweep_cost, "recipes": figures.recipes}


def answer(tables: Mapping[str, pd.DataFrame]) -> str:
    """Report the range of all gains, then the verdicts sweep by sweep, then the changes of the recipe."""
    paragraphs, every, only = [], [], "recipes" in tables and "sweeps" not in tables
    for name, by in () if only else tables["sweeps"].itertuples(index=False, name=None):
        found, _ = figures.gains_of(tables, name, by)
        every.append(found.dropna(subset="seeds"))
        paragraphs += [f"**{figures.AXES.get(by, name)}**, against {found['x'].iloc[0]}:", _say(every[-1], by)]
        if f"{name}_models" in tables:
            gains = pooled(tables[f"{name}_models"]).rename(columns=figures.GAINS | {by: "x"})
            paragraphs += [f"Against {label(found['model'].iloc[0])} at the same value:", _say(gains, by)]
    if every:
        gains = pd.concat(every)
        seeds, apart = int(gains["seeds"].min()), (gains["low"] > 0) | (gains["high"] < 0)
        verdict = f"{apart.sum()} significantly" if seeds >= SEEDS else f"{SEEDS} seeds are needed for a verdict"
        opening = f"{count(len(gains), 'network')} with one option changed gain {between(gains['value'], 3, sign=True)}"
        paragraphs.insert(0, f"{opening} dB over the first value of the option ({count(seeds, 'seed')}; {verdict}).")
    return "\n\n".join(paragraphs + (recipes.answer(tables["recipes"]) if "recipes" in tables else []))


def _say(gains: pd.DataFrame, by: str) -> str:
    def named(model: str, value: object) -> str:
        return f"{label(model)}, {value}" if by in ("case", "photographs") else label(f"{model} {by}={value}")

    return say(gains.assign(name=list(map(named, gains["model"], gains["x"]))), MARGIN)
