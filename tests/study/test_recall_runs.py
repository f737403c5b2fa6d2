"""The recall experiment: what its profile asks for, and that its runs train, resume and record."""

import time

import pytest
import torch
import yaml
from kept import ROOT

from srlab import training
from srlab.errors import InputError, OutOfTime
from srlab.measure.recall import SETTINGS, measure_recall, settings_hash
from srlab.models import trunk_networks
from srlab.study import Study
from srlab.study.profiles import load_profile
from srlab.study.records import records_in

PROFILE = {
    "device": "cpu",
    "seeds": [0],
    "network": {"channels": 8, "groups": 1, "blocks": 1, "clusters": 4, "window": 16},
    "training": {"steps": 6, "batch": 2, "log_every": 2, "checkpoint_every": 2, "learning_rate": 1e-3},
    "recall": {"training": {"steps": 4}, "models": ["no_attention", "lcoan"], "variants": {"lcoan": {"clusters": [2]}}},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "out"))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tiny.yaml").write_text(yaml.safe_dump(PROFILE))
    # Fewer settings, which take seconds: the table is the same.
    monkeypatch.setattr("srlab.study.making.measure_recall", _few)
    return Study("tiny", tmp_path)


def _few(network, scale):
    return measure_recall(network, scale, SETTINGS[:1])


def test_every_network_on_the_trunk_is_asked_if_none_is_named():
    study = Study("recall", ROOT)
    default = {run.network.model for run in study.recalls()}
    assert default == set(trunk_networks())
    labels = {study.label(run) for run in study.recalls()}
    assert {"lcoan clusters=4", "nlsn rounds=1", "trunk_window side=8"} <= labels
    assert all(run.settings == settings_hash() for run in study.recalls())
    seeds = {study.label(run): [] for run in study.recalls()}
    for run in study.recalls():
        seeds[study.label(run)].append(run.seed)
    assert seeds["lcoan"] == [0, 1, 2] and seeds["lcoan clusters=4"] == [0]


def test_runs_train_and_record_what_is_found(study):
    plain, sparse, variant = study.recalls()
    record = study.obtain(sparse)
    assert record.finished and record.run == sparse
    assert list(record.curve["step"]) == [2, 4]
    assert {"recall", "invented", "found", "weight", "seen"} <= set(record.recall)
    assert record.facts["rules"] and record.network() is not None
    assert study.obtain(plain).recall["recall"].notna().all() and "found" not in study.record(plain).recall
    assert study.label(variant) == "lcoan clusters=2"
    assert {found.run.hash for found in records_in(study.folder, "recall-*")} == {plain.hash, sparse.hash}


def test_a_run_that_is_broken_off_ends_with_the_same_weights(study, tmp_path, monkeypatch):
    run = study.recalls()[1]
    with pytest.raises(OutOfTime):
        study.obtain(run, deadline=0.0)
    stops = iter([True])
    monkeypatch.setattr(training, "time_is_up", lambda deadline: next(stops, False) if deadline else False)
    with pytest.raises(OutOfTime):
        study.obtain(run, deadline=time.monotonic() + 1000)
    broken = study.obtain(run).network().state_dict()
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "whole"))
    whole = Study("tiny", tmp_path).obtain(run).network().state_dict()
    assert all(torch.equal(broken[key], whole[key]) for key in whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"recall": {"training": {}, "models": ["esc"]}}, "networks on the trunk, not esc"),
        ({"recall": {"training": {"stepps": 3}}}, "recall.training"),
        ({"recall": {"training": {}, "scene": {"side": 23}}}, "multiples of 4"),
        ({"recall": None}, "models: at least one"),
    ],
)
def test_profiles_that_ask_for_what_cannot_be_are_refused(tmp_path, change, named):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(PROFILE | change))
    with pytest.raises(InputError, match=named):
        load_profile(path)
