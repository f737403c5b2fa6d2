"""What recipes change, and how far seeds agree, counted by hand."""

from pathlib import Path

import pandas as pd
import pytest
from kept import ROOT

from srlab.stats import answers, recipes
from srlab.study.records import Record
from srlab.study.study import Study

BICUBIC = pd.DataFrame({"benchmark": "Set5", "name": ["a", "b"], "psnr_y": [30.0, 32.0]})


def record(model: str, seed: int, a: float, b: float, steps: int = 100) -> Record:
    """Of a training run that reached these PSNR on two images."""
    study = Study("smoke", ROOT)
    budget = study.profile.training.model_copy(update={"steps": steps, "batch": 2, "patch": 32})
    found = Record(study.training(model, seed).model_copy(update={"budget": budget}), Path("nowhere"))
    images = pd.DataFrame({"benchmark": "Set5", "name": ["b", "a"], "psnr_y": [b, a]})
    found.__dict__.update(images=images, facts={"seconds": 10.4})
    return found


SWEEP = {
    "as chosen": [record("lcoan", 0, 32.0, 34.0), record("esc", 0, 31.0, 34.0)],
    "no skip": [record("lcoan", 0, 31.0, 33.0), record("esc", 0, 29.0, 32.0)],
    "half": [record("lcoan", 0, 32.0, 34.2, 50), record("esc", 0, 31.0, 34.0, 50)],
}


def test_gains_are_over_bicubic_of_the_same_image_and_changes_against_the_first_recipe():
    found = recipes.by_recipe(SWEEP, BICUBIC).set_index(["recipe", "model"])
    assert found.loc[("as chosen", "lcoan"), "gain_db"] == pytest.approx(2.0)
    assert found.loc[("no skip", "esc"), ["gain_db", "change_db"]].tolist() == pytest.approx([-0.5, -2.0])
    assert found.loc[("half", "lcoan"), "change_db"] == pytest.approx(0.1)
    assert (found.loc["as chosen", "change_db"] == 0).all()
    assert found.loc[("half", "esc"), ["steps", "images"]].tolist() == [50, 2]
    assert found.loc[("half", "esc"), "run"] == SWEEP["half"][1].run.hash


def test_the_table_has_a_row_a_recipe_and_a_column_a_network():
    table = recipes.changes(recipes.by_recipe(SWEEP, BICUBIC)).set_index("recipe")
    assert list(table.index) == list(SWEEP)
    assert table.loc["no skip", ["lcoan", "esc"]].tolist() == [1.0, -0.5]
    assert table["change_db"].tolist() == pytest.approx([0, -1.5, 0.05])
    assert table.loc["half", "seconds"] == 21
    assert table.loc["half", "run"] == " ".join(record.run.hash for record in SWEEP["half"])


def test_the_answer_names_what_costs_most_first_and_who_ends_lowest():
    told = answers.recipes(recipes.by_recipe(SWEEP, BICUBIC))
    assert "2 networks end 1.50 to 2.00 dB above bicubic (`lcoan` +2.00, `esc` +1.50; 2 images, 1 seed)" in told
    assert "no skip -1.50 dB, half +0.05 dB" in told
    assert "The lowest of all, `esc` with “no skip”, ends -0.50 dB from bicubic" in told
    assert "may be chance" in told
