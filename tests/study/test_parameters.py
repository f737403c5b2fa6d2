"""Parameters of notebooks: a person's or papermill's, put into a profile; what is made by them stands apart."""

import pytest
from kept import ROOT

from srlab.errors import InputError
from srlab.study.parameters import read
from srlab.study.study import Study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    return Study("quick", ROOT)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("[16, 64]", [16, 64]), ("null", None), ("lcoan", "lcoan"), ("{clusters: 16}", {"clusters": 16}), ([8], [8])],
)
def test_text_is_read_as_it_is_meant(written, meant):
    assert read(written) == meant


def test_what_is_left_to_the_profile_is_the_profile_itself(study):
    assert study.varied(clusters=None, seeds="null", timing={"sizes": None}) is study


@pytest.mark.parametrize("clusters", [[16, 32], (16, 32), "[16, 32]"], ids=["list", "tuple", "of a shell"])
def test_runs_are_those_of_the_parameters_and_shared_with_the_profile(study, clusters):
    varied = study.varied(clusters=clusters, seeds=1)
    assert [(run.network.options["clusters"], run.seed) for run in varied.cluster_sweep()] == [(16, 1), (32, 1)]
    assert varied.record(varied.training("lcoan")).folder.parent == study.record(study.training("lcoan")).folder.parent
    assert varied.folder == study.folder / "varied" and study.profile.clusters == (16, 64, 256)


def test_fields_of_a_field_are_varied_alone(study):
    timing = study.varied(timing={"sizes": "[8]", "scales": None}).profile.timing
    assert timing.sizes == (8,) and timing.scales == (2, 4) and timing.repeats == 5


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"decays": None}, "profile 'quick' has no 'decays': give some in the notebook's first cell of code"),
        ({"clusters": [0]}, r"profile 'quick' with clusters of your own.*clusters.*greater than 0"),
        ({"models": "[nobody]"}, "not nobody"),
        ({"clusters": "[16, 64"}, r"parameter '\[16, 64' is no YAML"),
    ],
)
def test_what_cannot_be_is_told(study, parameters, told):
    with pytest.raises(InputError, match=told):
        study.varied(**parameters)
