"""The table of conventions: every row has a command that asks for it, and the page is what its records give."""

import importlib.util
import inspect
import sys
from dataclasses import fields

import pandas as pd
import pytest
import typer
from kept import ROOT, results

from srlab.cli import app
from srlab.data.sources import embedded
from srlab.measure import protocol
from srlab.measure.evaluation import evaluate
from srlab.measure.protocol import Protocol


@pytest.fixture(scope="module")
def conventions():
    """benchmarks/conventions.py as a module."""
    spec = importlib.util.spec_from_file_location("conventions", ROOT / "benchmarks" / "conventions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["conventions"] = module
    spec.loader.exec_module(module)
    return module


def parsed(command: str) -> dict:
    """What `srlab evaluate` makes of a command's words; it fails as the command line does."""
    program, name, *words = command.split()
    assert program == "srlab"
    evaluate = typer.main.get_command(app).commands[name]
    return evaluate.make_context(name, words).params


def test_every_row_has_a_command_that_asks_for_its_protocol(conventions):
    commands = []
    for model in conventions.MODELS:
        for dataset in conventions.DATA_SETS:
            for change in model.changes:
                told = conventions.command(model, dataset, change)
                commands.append(told)
                asked = parsed(told)
                assert (asked["models"], asked["scale"], asked["data"]) == ([model.name], model.scale, [dataset])
                of_protocol = {field.name: asked[field.name] for field in fields(Protocol)}
                assert Protocol(**of_protocol) == change.protocol
                anew = model.file and change.made != conventions.DEFAULT
                assert asked["first"] == (conventions.DATA_SETS[dataset] if anew else None)
    read = sum(change.read != "psnr_y" for model in conventions.MODELS for change in model.changes)
    assert len(set(commands)) == len(commands) - 2 * read  # RGB is printed beside Y, by the default's command


def test_one_change_at_a_time(conventions):
    for change in conventions.CHANGES[1:]:
        differs = [
            field.name
            for field in fields(Protocol)
            if getattr(change.protocol, field.name) != getattr(conventions.DEFAULT, field.name)
        ]
        assert differs in ([], ["tile"], ["tile", "overlap"]) or len(differs) == 1, change
        assert bool(differs) == (change.read == "psnr_y")
    assert len({(change.protocol, change.read) for change in conventions.CHANGES}) == len(conventions.CHANGES)


@pytest.fixture(scope="module")
def measured(conventions):
    """Rows of bicubic enlargement ×2 on the two first photographs that are held out."""
    [bicubic] = [model for model in conventions.MODELS if model.name == "bicubic"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(conventions.DATA_SETS, "held-out", 1)
        nothing = pd.DataFrame({"change": []})
        rows = list(conventions.measure(bicubic, "held-out", nothing, ROOT))
    return bicubic, rows


def test_changes_that_only_measure_share_their_images(conventions, measured):
    bicubic, rows = measured
    assert [len(part["change"].unique()) for part in rows] == [3, 1, 1, 1]
    told = pd.concat(rows)
    assert set(told["change"]) == {change.name for change in bicubic.changes if change.read == "psnr_y"}
    own = evaluate(None, embedded().benchmarks["held-out"], 2, Protocol("none", border=0))
    found = told[told["change"] == "no border left out"].set_index("name")["psnr_y"]
    assert found.to_dict() == pytest.approx(own.set_index("name")["psnr_y"].to_dict())


def test_what_is_there_is_not_measured_again(conventions, measured):
    bicubic, rows = measured
    assert list(conventions.measure(bicubic, "held-out", pd.concat(rows), ROOT)) == []
    left = list(conventions.measure(bicubic, "held-out", pd.concat(rows[1:]), ROOT))
    assert [part["change"].unique().tolist() for part in left] == [rows[0]["change"].unique().tolist()]


def test_differences_are_paired_by_image(conventions, measured):
    bicubic, rows = measured
    images = pd.concat(rows)
    rgb = next(change for change in conventions.CHANGES if change.read == "psnr_rgb")
    usual = images[images["change"] == conventions.AS_IT_IS].set_index("name")
    found = conventions.differences(images, bicubic, "held-out", rgb, subset=False)
    assert found.to_dict() == pytest.approx((usual["psnr_rgb"] - usual["psnr_y"]).to_dict())
    assert conventions.cell(pd.Series([0.1, -0.3])) == "−0.100 (−0.300 to +0.100)"
    assert conventions.cell(pd.Series([0.0, 1e-4])) == "0" and conventions.cell(pd.Series()) == "–"


def test_the_page_is_what_its_records_give(conventions):
    path = results() / "released-weights" / "conventions.csv"
    if not path.is_file():
        pytest.skip(f"not measured yet: {path.name}")
    assert conventions.as_markdown(pd.read_csv(path)) == path.with_suffix(".md").read_text(encoding="utf-8")


def test_protocols_have_an_option_each_and_no_other():
    from srlab.commands import measure

    assert {field.name for field in fields(Protocol)} <= set(inspect.signature(measure.evaluate).parameters)
    assert inspect.signature(measure.evaluate).parameters["overlap"].default == protocol.OVERLAP
