"""Chapters: a question with its settings, runs, tables, figures and answer, in one package of `srlab.chapters`.

The module of a chapter names five things, and nothing registers it anywhere else::

    QUESTION = "Can a mechanism restore detail whose only copy lies far away?"
    class Settings(BaseModel): ...                            # what a profile may say under chapters.NAME
    def runs(study, settings) -> list[Run]                    # what has to be made
    def tables(study, settings) -> dict[str, DataFrame]       # records in, tidy frames out
    FIGURES = {"recall": figures.recall}                      # tables in, Figure out
    def answer(tables) -> str                                 # a hand-written text with numbers filled in

A figure of networks rather than of tables has the parameters `(study, settings)`. One hook is optional: `scenes(study,
settings)` returns images of the chapter's own for the explorers.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import BaseModel

from srlab.errors import InputError
from srlab.files import read_table, write_table, write_text
from srlab.study.profile import Profile, check
from srlab.study.runs import Run

if TYPE_CHECKING:
    from IPython.display import Image, Markdown

    from srlab.study.study import Study


@cache
def chapter_names() -> tuple[str, ...]:
    """List the packages in `srlab.chapters`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(import_module("srlab.chapters").__path__)))


def module_of(name: str) -> ModuleType:
    """Import a chapter; InputError if there is none of that name."""
    if name not in chapter_names():
        raise InputError(f"chapter '{name}' is unknown; there are: {', '.join(chapter_names())}")
    return import_module(f"srlab.chapters.{name}")


def settings_of(profile: Profile) -> dict[str, BaseModel]:
    """Check the settings of every chapter that a profile names; InputError for an unknown chapter or setting."""
    named = dict(profile.chapters)
    if (others := named.pop("*", None)) is not None:
        named |= {name: others for name in chapter_names() if name not in named}
    source = f"profile {profile.name}, chapters.{{}}"
    return {name: check(own, module_of(name).Settings, source.format(name)) for name, own in named.items()}


class MissingTable(InputError):
    """A results folder lacks a table."""


class Tables(Mapping[str, pd.DataFrame]):
    """The tables of a results folder by name, read from `tables/NAME.csv` on request."""

    def __init__(self, study_folder: Path):
        self.folder = study_folder / "tables"

    def __getitem__(self, name: str) -> pd.DataFrame:
        file = self.folder / f"{name}.csv"
        if not file.is_file():
            raise MissingTable(f"{file}: no such table; the notebook of its chapter writes it")
        return read_table(file)

    def __contains__(self, name: object) -> bool:
        return (self.folder / f"{name}.csv").is_file()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(file.stem for file in self.folder.glob("*.csv")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Chapter:
    """A chapter of a study; what it makes goes to the study's folder."""

    name: str
    study: Study
    settings: BaseModel

    @property
    def module(self) -> ModuleType:
        return module_of(self.name)

    @property
    def question(self) -> str:
        return self.module.QUESTION

    @property
    def notebook(self) -> Path:
        """The notebook, `notebooks/NAME.ipynb` or with a number before: `notebooks/04_NAME.ipynb`."""
        folder = self.study.root / "notebooks"
        for file in sorted(folder.glob(f"*{self.name}.ipynb")):
            if file.stem.lstrip("0123456789_") == self.name:
                return file
        raise InputError(f"{folder}: no notebook '{self.name}.ipynb' of the chapter")

    @cached_property
    def runs(self) -> list[Run]:
        """Every run that the chapter reads."""
        return self.module.runs(self.study, self.settings)

    def tables(self) -> Tables:
        """Compute the tables from records, make what is missing of these first, and write `tables/NAME.csv`."""
        for name, frame in self.module.tables(self.study, self.settings).items():
            write_table(self.study.folder / "tables" / f"{name}.csv", frame)
        return Tables(self.study.folder)

    def draw(self, name: str) -> Image:
        """Draw a figure, from the written tables or from the study's networks, and save it."""
        from srlab.plots.output import save

        draw = self.module.FIGURES[name]
        figure = draw(self.study, self.settings) if draws_networks(draw) else draw(Tables(self.study.folder))
        return save(figure, self.study.folder, name)

    def answer(self) -> Markdown:
        """Write the answer, made from the written tables, to `answers/NAME.md`."""
        from IPython.display import Markdown

        return Markdown(_answer(self.module, self.name, self.study.folder))


def draws_networks(draw: object) -> bool:
    """Distinguish a figure of a study's networks from a figure of tables."""
    return len(inspect.signature(draw).parameters) == 2


def _answer(module: ModuleType, name: str, study_folder: Path) -> str:
    text = module.answer(Tables(study_folder)).strip()
    write_text(study_folder / "answers" / f"{name}.md", text + "\n")
    return text


def redraw(study_folder: Path) -> list[Path]:
    """Make figures and answers of a results folder anew from its tables, and return the written files.

    Figures of networks stay as they are, and so does everything without a table in the folder.
    """
    from srlab.plots.output import save

    written, tables = [], Tables(study_folder)
    for name in chapter_names():
        module, drawn = module_of(name), []
        for figure, draw in module.FIGURES.items():
            if not draws_networks(draw):
                with suppress(MissingTable):
                    save(draw(tables), study_folder, figure)
                    drawn.append(study_folder / "figures" / f"{figure}.png")
        if drawn:  # else the study does not answer this chapter
            with suppress(MissingTable):
                _answer(module, name, study_folder)
                drawn.append(study_folder / "answers" / f"{name}.md")
        written += drawn
    return written
