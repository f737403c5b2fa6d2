"""Chapters: the contract that each keeps, and the tables, figures and answers that follow from it."""

import inspect

import pandas as pd
import pytest
from kept import ROOT
from pydantic import BaseModel

from srlab.errors import InputError
from srlab.files import write_table
from srlab.study.chapter import MissingTable, Tables, chapter_names, draws_networks, module_of, redraw
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


def test_no_two_chapters_draw_a_figure_of_one_name():
    names = [figure for name in chapter_names() for figure in module_of(name).FIGURES]
    assert len(names) == len(set(names))


def test_an_unknown_chapter_lists_the_others():
    with pytest.raises(InputError, match=r"nosuch.*recall"):
        module_of("nosuch")
    with pytest.raises(InputError, match=r"maps.*recall"):
        Study("recall", ROOT).chapter("maps")


def test_tables_are_read_on_request_with_names_as_text(tmp_path):
    write_table(tmp_path / "tables" / "a.csv", pd.DataFrame({"name": ["0801", "null"], "value": [1.5, None]}))
    tables = Tables(tmp_path)
    assert list(tables) == ["a"] and "a" in tables and "b" not in tables
    assert tables["a"]["name"].tolist() == ["0801", "null"] and tables["a"]["value"].isna().tolist() == [False, True]
    with pytest.raises(MissingTable, match="b"):
        tables["b"]


def test_redraw_makes_figures_and_answers_from_tables_alone(tmp_path):
    rows = [
        {"arm": arm, "model": arm, "factor": factor, "value": value, "recall": recall, "low": recall, "high": recall}
        | {"seeds": 3, "images": 4, "invented": 0.0, "found": 1.0, "weight": 0.5, "seen": 72.0, "run": "a"}
        for arm, recall in (("lcoan", 0.9), ("trunk_window", 0.1))
        for factor, value in (("beside", 4.0), ("distance", 8.0), ("distance", 16.0))
    ]
    recall = pd.DataFrame(rows)
    there = recall[recall["value"] == 16.0]
    curves = pd.DataFrame({"arm": "lcoan", "model": "lcoan", "seed": 0, "step": [1, 2], "recall": [0, 1], "run": "a"})
    frames = {
        "recall": recall,
        "recall_groups": there.assign(group=[1, 2]),
        "recall_seeds": there[["arm", "recall", "run"]].assign(seed=0),
        "recall_costs": there,
        "recall_curves": curves,
    }
    for name, frame in frames.items():
        write_table(tmp_path / "tables" / f"{name}.csv", frame)
    written = {path.relative_to(tmp_path).as_posix() for path in redraw(tmp_path)}
    drawn = {name for name, draw in module_of("recall").FIGURES.items() if not draws_networks(draw)}
    assert written == {f"figures/{name}.png" for name in drawn} | {"answers/recall.md"}
    assert all((tmp_path / path).stat().st_size for path in written)
