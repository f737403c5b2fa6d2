"""Task images in the explorers: LR, HR, queries and networks are the task's own."""

import pandas as pd
import pytest
import torch
from kept import ROOT

from srlab.analysis import explore, pair
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
    # The recall of a trained network takes seconds to measure and is not used here.
    monkeypatch.setattr("srlab.study.making.measure_recall", lambda network, scale: pd.DataFrame({"recall": []}))
    return Study("smoke", ROOT)


def test_the_scene_is_the_image_that_recall_is_measured_on(study):
    scene = explore.open_scene(study, NAME)
    number = scene.task.number
    measured = recall_images(SETTINGS[number].scene, 1, 2, (TEST, number))
    for shown, exact in ((scene.lr, measured.lr[0]), (scene.hr, measured.hr[0])):
        assert torch.allclose(shown / 255, exact, atol=0.5 / 255 + 1e-6)
    assert all(torch.equal(*each) for each in zip(pair(scene.task, 2), (scene.lr, scene.hr), strict=True))
    (row, col), copy = scene.task.lost()
    assert measured.damaged[0, row, col] and scene.start == (row, col)
    assert abs(copy[0] - row) + abs(copy[1] - col) == 16
    assert torch.equal(scene.lr[:2, row, col], scene.lr[:2, *copy])
    rows, cols = scene.task.queries()
    assert row in rows and col in cols
    assert list(explore.images(Study("recall", ROOT))) == list(recall_refs())
    assert NAME not in explore.images(Study("quick", ROOT))


def test_networks_are_those_trained_on_the_task(study):
    run = study.recalled("lcoan")
    study.obtain(run)
    scene = explore.open_scene(study, NAME)
    assert explore.run_on(study, "lcoan", scene.task) == run != explore.run_on(study, "lcoan")
    assert scene.traced("lcoan").source == HERE
    learnt = study.record(run).network().state_dict()
    assert all(torch.equal(learnt[key], value) for key, value in scene.traced("lcoan").network.state_dict().items())
    with pytest.raises(InputError, match="recall-trunk_nla"):
        scene.traced("trunk_nla")
    assert explore.look(scene, "lcoan", *scene.start).view.weights.shape == scene.lr.shape[1:]


def test_a_crop_holds_a_damaged_tile_and_its_copy():
    ref = recall_refs()[NAME]
    lr, hr = ref.pair(2)
    part = ref.around(lr, margin=3)
    assert torch.equal(ref.around(hr, margin=3)[:, ::2, ::2], ref.around(hr[:, ::2, ::2], margin=3))
    (top, bottom), (left, right) = ((max(0, min(each) - 3), max(each)) for each in zip(*ref.lost(), strict=True))
    for row, column in ref.lost():
        assert torch.equal(part[:, row - top, column - left], lr[:, row, column])
    assert part.shape[1] <= bottom - top + 5 and part.shape[2] <= right - left + 5
