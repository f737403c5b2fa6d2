"""Maps: reach and attribution of a study's networks, and a panel for each view."""

import numpy as np
import pandas as pd
import pytest
from legible import faults
from made_records import FEW, study_of

from srlab.chapters import maps
from srlab.chapters.maps import figures, frames
from srlab.models import build
from srlab.models.registry import label
from srlab.study.chapter import Tables
from srlab.weights.checkpoints import save_network

PROFILE = FEW | {"scale": 4, "models": ["no_attention", "lcoan", "trunk_window"], "chapters": {"maps": {"side": 24}}}


@pytest.fixture(scope="module")
def study(tmp_path_factory, patch):
    """A tiny study with its tables."""
    study = study_of(tmp_path_factory.mktemp("maps"), PROFILE, patch)
    patch.setattr(frames, "ATTRIBUTED", (64, 2, 1))
    study.chapter("maps").tables()
    return study


def attributed() -> pd.DataFrame:
    """Return two places in three networks: the second spreads wider by 0.5 at both, the third at one."""
    index = {"no_attention": (1.0, 2.0), "lcoan": (1.5, 2.5), "trunk_window": (0.9, 2.5)}
    rows = [(model, "brick", place, 0, value) for model, own in index.items() for place, value in enumerate(own)]
    return pd.DataFrame(rows, columns=["model", *frames.PLACE, "diffusion_index"])


def test_reach_has_a_row_a_layer_of_the_mapped_networks(study):
    reach = Tables(study.folder)["reach"].set_index("model")
    assert list(dict.fromkeys(reach.index)) == list(frames.MAPPED) and len(reach) == 2 * len(frames.MAPPED)
    assert set(reach["run"]) == {study.training(model).hash for model in frames.MAPPED}
    assert (reach.loc["lcoan", "keys_seen"] <= 3 * 16).all() and reach.loc["trunk_nla", "keys_seen"].nunique() == 1
    assert (reach["keys_effective"] <= reach["keys_seen"] + 1e-6).all()


def test_attribution_has_the_same_places_in_every_network(study):
    found = Tables(study.folder)["attribution"]
    _, images, corners = frames.ATTRIBUTED
    places = found.groupby("model", sort=False)[frames.PLACE].apply(lambda own: own.to_numpy().tolist())
    assert list(places.index) == PROFILE["models"] and len(places["lcoan"]) <= images * corners
    assert all(own == places["lcoan"] for own in places) and found["diffusion_index"].between(0, 100).all()


def test_the_control_is_subtracted_at_the_same_place():
    gains = frames.beyond_convolutions(attributed()).groupby("model", sort=False)["gain"].apply(list)
    assert gains["lcoan"] == pytest.approx([0.5, 0.5]) and gains["trunk_window"] == pytest.approx([-0.1, 0.5])
    without = frames.beyond_convolutions(attributed().query("model != 'no_attention'"))
    assert len(without) == 4 and without["gain"].isna().all()


@pytest.mark.parametrize("without", ["nobody", "no_attention"])
def test_the_forest_has_a_row_a_network_in_both_panels(without):
    found = attributed().query("model != @without")
    figure = figures.attribution({"attribution": found})
    assert faults(figure) == []
    index, gain = figure.axes
    ranked = found.groupby("model")["diffusion_index"].mean().sort_values(ascending=False)
    rows = list(ranked.index)
    assert [text.get_text() for text in index.get_yticklabels()] == [label(model) for model in rows]
    means = [line.get_xdata()[0] for line in index.lines if line.get_marker() not in ("None", "")]
    assert means == pytest.approx(ranked.tolist())
    _zero, *markers = gain.lines
    drawn = [line.get_xdata()[0] for line in markers]
    expected = frames.beyond_convolutions(found).groupby("model", sort=False)["gain"].mean()[rows].dropna()
    np.testing.assert_allclose(drawn, expected)


def test_figures_of_networks_have_a_panel_a_view(study):
    settings = study.settings["maps"]
    panels = {name: len(draw(study, settings).axes) for name, draw in maps.FIGURES.items() if name != "attribution"}
    strips = 2 * 2 * len(figures.SORTED)
    shown = len(study.pictures)
    assert panels == {"attention": shown * 6 + 1, "clusters_and_windows": shown * 5 + strips, "gallery": 2 * 6 + 1}


def test_a_query_of_the_readers_own_is_the_one_that_is_drawn(study):
    varied = study.varied(maps={"query": "[3, 5]"})
    figure = figures.attention(varied, varied.settings["maps"])
    circles = {tuple(line.get_xydata()[0]) for ax in figure.axes for line in ax.lines if line.get_marker() == "o"}
    assert circles == {(5, 3)}


def test_released_weights_are_drawn_by_scale(study, tmp_path):
    config = {"channels": 6, "layers": 4}
    save_network(tmp_path / "small.safetensors", build("elan_light", 4, 0, **config), "elan_light", 4, config)
    drawn = figures.released(study, tmp_path)
    layers = [ax for ax in drawn[4].axes if ax.lines]
    assert list(drawn) == [4] and len(layers) == 1 + 4  # LR, and four layers


def test_the_answer_holds_for_any_networks(study):
    text = study.chapter("maps").answer().data
    assert all(label(model) in text for model in frames.MAPPED) and "nan" not in text
