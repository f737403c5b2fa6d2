"""Chapters: the contract that each keeps, and the tables, figures and answers that follow from it."""

import inspect
from types import ModuleType

import pandas as pd
import pytest
from kept import ROOT
from matplotlib.figure import Figure
from pydantic import BaseModel

from srlab.errors import InputError
from srlab.files import write_table
from srlab.study.chapter import MissingTable, Tables, chapter_names, module_of, redraw
from srlab.study.study import Study


@pytest.mark.parametrize("name", chapter_names())
def test_a_chapter_names_five_things(name):
    module = module_of(name)
    assert module.QUESTION.endswith("?")
    assert issubclass(module.Settings, BaseModel) and module.Settings()
    assert [*inspect.signature(module.runs).parameters] == ["study", "settings"]
    assert [*inspect.signature(module.tables).parameters] == ["study", "settings"]
    assert len(inspect.signature(module.answer).parameters) == 1
    assert module.FIGURES and all(map(callable, module.FIGURES.values()))
    assert Study("smoke", ROOT).chapter(name).notebook.is_file()


def test_figures_have_names_of_their_own_and_an_unknown_chapter_is_named():
    names = [figure for name in chapter_names() for figure in module_of(name).FIGURES]
    assert len(names) == len(set(names))
    with pytest.raises(InputError, match="nosuch"):
        module_of("nosuch")
    with pytest.raises(InputError, match="maps"):
        Study("recall", ROOT).chapter("maps")


def test_tables_are_read_on_request_with_names_as_text(tmp_path):
    write_table(tmp_path / "tables" / "a.csv", pd.DataFrame({"name": ["0801", "null"], "value": [1.5, None]}))
    tables = Tables(tmp_path)
    assert list(tables) == ["a"] and "a" in tables and "b" not in tables
    assert tables["a"]["name"].tolist() == ["0801", "null"] and tables["a"]["value"].isna().tolist() == [False, True]
    with pytest.raises(MissingTable, match="b"):
        tables["b"]


def test_redraw_makes_figures_and_answers_from_the_tables_that_are_there(tmp_path, monkeypatch):
    figures = {
        "one": lambda tables: Figure() if len(tables["one"]) else None,
        "two": lambda tables: tables["two"],  # no such table
        "networks": lambda study, settings: study,
    }
    fake = ModuleType("fake")
    fake.FIGURES, fake.answer = figures, lambda tables: f"{len(tables['one'])} row"
    monkeypatch.setattr("srlab.study.chapter.chapter_names", lambda: ("fake",))
    monkeypatch.setattr("srlab.study.chapter.module_of", lambda name: fake)
    write_table(tmp_path / "tables" / "one.csv", pd.DataFrame({"value": [1.5]}))
    assert redraw(tmp_path) == [tmp_path / "figures" / "one.png", tmp_path / "answers" / "fake.md"]
    assert redraw(tmp_path)[1].read_text() == "1 row\n" and redraw(tmp_path)[0].stat().st_size
