"""Sweeps: the runs that a profile names, gains over the first value, and what figures and answers draw from tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kept import ROOT
from legible import faults
from made_records import FEW, study_of
from pydantic import ValidationError

from srlab.attention.contract import attended
from srlab.chapters import sweep
from srlab.chapters.sweep import CHOSEN, Recipe, Settings, Sweep, arms, figures, recipes
from srlab.errors import InputError
from srlab.stats.gains import differences
from srlab.study.records import Record
from srlab.study.study import Study

SWEEPS = {
    "clusters": {"option": "clusters", "values": [4, 8]},
    "units": {"models": ["no_attention", "lcoan"], "option": "groups", "values": [1, 2]},
    "depth": {"cases": {"every": {"model": "trunk_lsp"}, "once": {}}},
    "photographs": {"models": ["no_attention"], "photographs": [4]},
    "recipes": {"models": ["no_attention"], "recipes": {"half": {"training": {"learning_rate": 5e-4}}}},
}


def swept_by(folder, patch, sweeps, **changes):
    return study_of(folder, FEW | changes | {"chapters": {"sweep": {"sweeps": sweeps}}}, patch)


@pytest.fixture(scope="module")
def study(tmp_path_factory, patch):
    return swept_by(tmp_path_factory.mktemp("sweep"), patch, SWEEPS)


@pytest.fixture(scope="module")
def tables(study):
    return study.chapter("sweep").tables()


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_sweep_goes_value_by_value_network_by_network_seed_by_seed(tmp_path, monkeypatch):
    study = swept_by(tmp_path, monkeypatch, SWEEPS, seeds=[3, 5])
    found = arms(study, Sweep(**SWEEPS["units"]))
    assert [(value, run.network.model, run.network.options["groups"], run.seed) for value, run in found] == [
        (groups, model, groups, seed) for groups in (1, 2) for model in ("no_attention", "lcoan") for seed in (3, 5)
    ]


def test_each_kind_of_sweep_has_its_runs(study):
    def runs(name):
        return arms(study, Sweep(**SWEEPS[name]))

    assert [(value, run.network.model) for value, run in runs("depth")] == [("every", "trunk_lsp"), ("once", "lcoan")]
    every = len(study.data.train)
    assert [(value, run.photographs) for value, run in runs("photographs")] == [(4, 4), (every, None)]
    (first, chosen), (second, half) = runs("recipes")
    assert (first, second) == (CHOSEN, "half") and chosen == study.training("no_attention")
    assert half.budget.learning_rate == 5e-4 and half.network == chosen.network
    assert runs("clusters")[0][1] == study.training("lcoan") == runs("depth")[1][1]


def test_the_family_changes_one_thing_at_a_time_with_equal_keys():
    study, differing = Study("family", ROOT), {}
    [(_, first), *others] = found = arms(study, study.settings["sweep"].sweeps["cata"])[:: len(study.profile.seeds)]
    for value, run in found:
        with torch.inference_mode():
            _, layers = attended(run.network.build(2, 0).eval(), torch.rand(1, 3, 40, 40))
        keys = [layer.pattern.multiplicity().sum(3) for layer in layers]
        assert len(keys) == 3 and all((each == 288).all() for each in keys), value
    for value, run in others:
        own, cata = run.network.options, first.network.options
        differing[value] = {name for name in own.keys() & cata.keys() if own[name] != cata[name]} - {"window"}
    five = [differing[value] for value, run in others if run.network.model == "trunk_cata"]
    assert [len(names) for names in five] == [1, 1, 1, 1, 1, 5] and set.union(*five[:5]) == five[5]
    assert differing["LSP, no moving average"] == {"centroid_update"}


def test_a_recipe_changes_the_start_and_the_sizes(study):
    recipe = Recipe(skip="bicubic", first="details", network={"groups": 3})
    _, (_, run) = arms(study, Sweep(recipes={"other": recipe}))
    options = study.training("lcoan").network.options
    assert run.network.options == options | {"skip": "bicubic", "first": "details", "groups": 3}


@pytest.mark.parametrize("one", [{"option": "window", "values": [16]}, {"cases": {"a": {}}}, {"photographs": None}])
def test_a_single_value_is_no_sweep(study, one):
    if "photographs" in one:  # all of them are added, and are these
        one = {"photographs": [len(study.data.train)]}
    with pytest.raises(InputError, match="at least two"):
        sweep.tables(study, Settings(sweeps={"a": one}))


def test_settings_name_what_is_wrong(study):
    two = {"option": "clusters", "values": [4], "photographs": [4]}
    wrong = {"option": ({}, {"option": "clusters"}, two), "side": ({"option": "side", "values": [8]},)}
    wrong |= {"renew_every": ({"cases": {"a": {"model": "trunk_lsp", "renew_every": 2}}},)}
    wrong |= {"nobody": ({"models": ["nobody"], "photographs": [4]},)}
    for named, sweeps in wrong.items():
        for each in sweeps:
            with pytest.raises(ValidationError, match=named):
                Settings(sweeps={"a": each})
    one = {"recipes": {"a": {"training": {"speed": 3}}}}
    with pytest.raises(ValidationError, match="x, y"):
        Settings(sweeps={"x": one, "y": one})
    with pytest.raises(InputError, match="speed"):
        arms(study, Sweep(**one))


# --- tables -----------------------------------------------------------------------------------------------------------


def test_tables_hold_each_image_its_gain_and_the_costs(study, tables):
    assert set(tables["sweeps"]["sweep"]) == SWEEPS.keys() - {"recipes"}
    images = tables["clusters_images"]
    assert images["clusters"].tolist() == [4, 4, 8, 8] and set(images["run"]) == {
        run.hash for _, run in arms(study, Sweep(**SWEEPS["clusters"]))
    }
    gain = images.groupby("clusters")["psnr_y"].mean().diff().iloc[-1]
    [row] = tables["clusters_gains"].to_dict("records")
    assert row["clusters"] == 8 and row["gain_db"] == pytest.approx(gain)
    assert tables["clusters"]["psnr_y"].tolist() == pytest.approx(images.groupby("clusters")["psnr_y"].mean().tolist())
    layers = tables["clusters_costs"].query("part == 'non-local layers'")
    assert tables["clusters"]["median_ms"].tolist() == layers["median_ms"].tolist()
    assert "photographs_costs" not in tables


def test_several_networks_are_compared_within_and_with_each_other(tables):
    assert tables["units_gains"][["model", "groups"]].to_numpy().tolist() == [["no_attention", 2], ["lcoan", 2]]
    assert tables["units_models"][["groups", "model"]].to_numpy().tolist() == [[1, "lcoan"], [2, "lcoan"]]
    whole = tables["units_costs"].query("part == 'network'")
    assert sorted(tables["units"]["median_ms"]) == sorted(whole["median_ms"])


def test_figures_have_a_panel_a_sweep(study, tables):
    quality = figures.sweep_quality(tables)
    assert sum(ax.axison for ax in quality.axes) == 4
    clusters, _, depth, _ = quality.axes[:4]
    marks = np.array([line.get_xydata()[0] for line in clusters.lines[1:]])  # after zero; one seed has no line
    assert marks[:, 0].tolist() == [4, 8]
    assert marks[:, 1] == pytest.approx([0, tables["clusters_gains"]["gain_db"].item()])
    assert [text.get_text() for text in depth.get_yticklabels()] == ["every", "once"]
    assert len(figures.sweep_cost(tables).axes) == 2 * 3
    assert len(figures.recipes(tables).axes) == 1
    assert len(sweep.answer(tables)) > 100
    for draw in (figures.sweep_quality, figures.sweep_cost, figures.recipes):
        assert [fault for fault in faults(draw(tables)) if "1e" not in fault] == []


# --- numbers ----------------------------------------------------------------------------------------------------------


def swept(seeds=3, slope=0.1):
    """Tables of two networks whose PSNR rises with k by `slope` a doubling, twice as fast in the second."""
    rows = [
        {"run": f"{model}{k}{seed}", "model": model, "seed": seed, "clusters": k, "benchmark": "A", "name": name}
        | {"psnr_y": 30 + slope * np.log2(k) * (1 + (model == "lcoan")) + 0.01 * seed * k / 4}
        for model in ("trunk_lsp", "lcoan")
        for k in (4, 8, 16)
        for seed in range(seeds)
        for name in "ab"
    ]
    images = pd.DataFrame(rows)
    return {
        "sweeps": pd.DataFrame({"sweep": ["k"], "by": ["clusters"]}),
        "k_images": images,
        "k_gains": differences(images, "clusters", 4, within="model"),
        "k_models": differences(images, reference="trunk_lsp", within="clusters"),
    }


def test_gains_are_within_each_network_and_seed():
    found, each = figures.gains_of(swept(), "k", "clusters")
    gains = found.set_index(["model", "x"])["value"]
    assert gains["lcoan"].tolist() == pytest.approx([0, 0.21, 0.43])
    assert gains["trunk_lsp"].tolist() == pytest.approx([0, 0.11, 0.23])
    assert each.query("model == 'lcoan' and x == 8")["value"].tolist() == pytest.approx([0.2, 0.21, 0.22])


def test_significant_gains_are_counted_for_enough_seeds_only():
    assert "4 significantly" in sweep.answer(swept())
    assert "significantly" not in sweep.answer(swept(1))
    lines = figures.sweep_quality(swept()).axes[0].lines
    assert sum(len(line.get_xdata()) == 3 for line in lines) == 2


class Reached(Record):
    """A record with these PSNR on two images."""

    def table(self, name):
        return pd.DataFrame({"benchmark": "Set5", "name": ["b", "a"], "psnr_y": self.facts["psnr"]})


BICUBIC = pd.DataFrame({"benchmark": "Set5", "name": ["a", "b"], "psnr_y": [30.0, 32.0]})


def reached(study, model, psnr, **budget):
    run = study.training(model)
    found = Reached(run.model_copy(update={"budget": run.budget.model_copy(update=budget)}), Path("nowhere"))
    found.__dict__["facts"] = {"seconds": 10.4, "psnr": psnr}
    return found


def test_recipes_are_compared_with_the_first(study):
    made = [
        *((CHOSEN, reached(study, model, psnr)) for model, psnr in (("lcoan", [34.0, 32.0]), ("esc", [34.0, 31.0]))),
        *(("no skip", reached(study, model, [33.0, 31.0])) for model in ("lcoan", "esc")),
        *(("half", reached(study, model, [34.0, 32.0], steps=50)) for model in ("lcoan", "esc")),
    ]
    found = recipes.by_recipe(made, BICUBIC).set_index(["recipe", "model"])
    assert found["gain_db"].tolist() == [2.0, 1.5, 1.0, 1.0, 2.0, 2.0]
    assert found["change_db"].tolist() == [0, 0, -1.0, -0.5, 0, 0.5]
    assert found.loc[("half", "esc"), ["steps", "images"]].tolist() == [50, 2]
    table = recipes.changes(found.reset_index()).set_index("recipe")
    assert list(table.index) == [CHOSEN, "no skip", "half"]
    assert table.loc["no skip", ["lcoan", "esc", "change_db", "seconds"]].tolist() == [1.0, 1.0, -0.75, 21]
    lcoan, esc = figures.recipes({"recipes": found.reset_index()}).axes
    assert [text.get_text() for text in lcoan.get_yticklabels()] == ["no skip", "half"]
    marks = [line.get_xdata()[0] for line in esc.lines if line.get_marker() not in ("None", "")]
    assert marks == [-0.5, 0.5]
