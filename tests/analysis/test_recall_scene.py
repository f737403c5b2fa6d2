"""Recall images in the explorers: LR and HR as the experiment has them, networks as they learnt from such images."""

import pandas as pd
import pytest
import torch
from kept import ROOT

from srlab.analysis import explore
from srlab.analysis.recall import recall_refs
from srlab.data.recall import recall_images
from srlab.errors import InputError
from srlab.measure.recall import SETTINGS, TEST
from srlab.study import Study
from srlab.study.records import HERE

NAME = "recall: copies 16 px away"


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    # What is measured of a network is not asked here, and takes seconds.
    monkeypatch.setattr("srlab.study.making.measure_recall", lambda network, scale: pd.DataFrame({"recall": []}))
    return Study("smoke", ROOT)


def test_there_is_an_image_for_each_distance_whose_pixels_are_those_measured_on(study):
    refs = recall_refs()
    distances = [each.value for each in SETTINGS if each.dial == "distance"]
    assert list(refs) == [f"recall: copies {value:g} px away" for value in distances]
    scene = explore.open_scene(study, NAME)
    number = refs[NAME].number
    measured = recall_images(SETTINGS[number].scene, 1, 2, (TEST, number))
    for shown, exact in ((scene.lr, measured.lr[0]), (scene.hr, measured.hr[0])):
        assert torch.allclose(shown / 255, exact, atol=0.5 / 255 + 1e-6)
    (row, col), copy = scene.recall.lost()
    assert measured.damaged[0, row, col] and scene.start == (row, col)
    assert abs(copy[0] - row) + abs(copy[1] - col) == 16
    assert torch.equal(scene.lr[:2, row, col], scene.lr[:2, *copy])


def test_networks_are_as_they_learnt_from_recall_images(study):
    study.obtain(study.recalled("lcoan"))
    scene = explore.open_scene(study, NAME)
    assert scene.traced("lcoan").source == HERE
    learnt = study.record(study.recalled("lcoan")).network().state_dict()
    assert all(torch.equal(learnt[key], value) for key, value in scene.traced("lcoan").network.state_dict().items())
    with pytest.raises(InputError, match="recall-trunk_nla.*not finished"):
        scene.traced("trunk_nla")
    seen = explore.look(scene, "lcoan", *scene.start)
    assert seen.image == NAME and seen.view.weights.shape == scene.lr.shape[1:]


def test_a_profile_of_recall_alone_offers_recall_images_alone():
    assert list(explore.images(Study("recall", ROOT))) == list(recall_refs())
    assert NAME not in explore.images(Study("quick", ROOT))


@pytest.mark.parametrize("name", recall_refs())
def test_around_a_damaged_tile_are_it_and_its_copy(name):
    ref = recall_refs()[name]
    lr, hr = ref.pair(2)
    part = ref.around(lr, margin=3)
    assert torch.equal(ref.around(hr, margin=3)[:, ::2, ::2], ref.around(hr[:, ::2, ::2], margin=3))
    rows, columns = zip(*ref.lost(), strict=True)
    top, left = max(0, min(rows) - 3), max(0, min(columns) - 3)
    for row, column in ref.lost():
        assert torch.equal(part[:, row - top, column - left], lr[:, row, column])
    assert part.shape[1] <= max(rows) - min(rows) + 8 and part.shape[2] <= max(columns) - min(columns) + 8
