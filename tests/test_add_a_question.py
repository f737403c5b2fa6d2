"""CONTRIBUTING's "Add a question", done in a copy of the checkout: one folder and one notebook, nothing else."""

import json

import nbformat
import pytest
from copied import copy_checkout, python

pytestmark = pytest.mark.slow

CHAPTER = '''
"""Brightness: does a network change the mean brightness of an image?"""

import pandas as pd
from matplotlib.figure import Figure
from pydantic import BaseModel

from srlab.plots import blank, caption, forest
from srlab.stats.words import between

QUESTION = "Does a network change the mean brightness?"


class Settings(BaseModel):
    models: tuple[str, ...] = ("lcoan",)


def runs(study, settings):
    return [run for model in settings.models for run in study.over_seeds(model)]


def tables(study, settings):
    rows = []
    for run in runs(study, settings):
        psnr = study.obtain(run).table("images")["psnr_y"].mean()
        rows.append({"name": run.network.model, "model": run.network.model, "value": psnr, "run": run.hash})
    return {"brightness": pd.DataFrame(rows)}


def brightness(tables) -> Figure:
    figure = blank(7.0, 2.0)
    forest(figure.subplots(), tables["brightness"].assign(low=-float("inf"), high=float("inf")), zero=None)
    caption(figure, "Mean PSNR", "One seed.")
    return figure


FIGURES = {"brightness": brightness}


def answer(tables) -> str:
    return f"Y-PSNR is {between(tables['brightness']['value'])} dB."
'''
CELLS = (
    'profile = "smoke"',
    'from srlab.study import Study\nstudy = Study(profile)\nchapter = study.chapter("brightness")',
    'assert [run.network.model for run in study.runs()] == ["lcoan"]',
    "chapter.tables()",
    'chapter.draw("brightness")',
    "chapter.answer()",
)
COMMANDS = """
from srlab.cli import app
for command in ("notebook brightness", "index"):
    app([*command.split(), "--profile", "alone"], standalone_mode=False)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Copy the checkout, and add one folder and one notebook."""
    copy = copy_checkout(tmp_path_factory.mktemp("checkout"))
    chapter = copy / "srlab" / "chapters" / "brightness"
    chapter.mkdir()
    (chapter / "__init__.py").write_text(CHAPTER.lstrip(), encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell("# Does a network change the mean brightness?\n\n**Asked:** does it?")]
    cells += [nbformat.v4.new_code_cell(source) for source in CELLS]
    cells[1].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(notebook, copy / "notebooks" / "20_brightness.ipynb")
    return copy


def test_the_study_asks_it_draws_it_and_answers_it(checkout):
    """The profile has this chapter alone, since the others would be trained here."""
    profile = checkout / "profiles" / "smoke.yaml"
    text = profile.read_text()
    alone = text[: text.index("models:")] + "chapters: {brightness: {}}\n"
    (checkout / "profiles" / "alone.yaml").write_text(alone)
    python(checkout, "-c", COMMANDS)
    [study] = (checkout / "results").glob("alone-*")
    for file in ("figures/brightness.png", "tables/brightness.csv", "notebooks/20_brightness.html"):
        assert (study / file).stat().st_size > 10, file
    [run] = study.glob("runs/*/run.json")
    assert json.loads(run.read_text())["config"]["network"]["model"] == "lcoan"
    answer = (study / "answers" / "brightness.md").read_text().strip()
    for page in ("questions.html", "report.html"):
        text = (study / page).read_text(encoding="utf-8")
        assert answer in text and "mean brightness" in text, page
    assert 'id="figure-brightness"' in (study / "report.html").read_text(encoding="utf-8")
