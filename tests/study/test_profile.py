"""Profiles are checked as a whole, and notebooks' parameters change them."""

import pytest
import yaml
from kept import ROOT

from srlab.errors import InputError
from srlab.stats.rules import rules
from srlab.study.profile import changed, load_profile, read, read_options
from srlab.study.study import Study

PROFILES = sorted((ROOT / "profiles").glob("*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_and_the_settings_of_its_chapters_are_valid(path, monkeypatch):
    monkeypatch.setenv("SRLAB_DEVICE", "some-gpu")  # so that profiles for GPUs can be read without one
    study = Study(path.stem, ROOT)
    assert study.profile.name == path.stem and study.settings


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stepz": 3}, ["stepz"]),
        ({"scale": 5}, ["scale", "5"]),
        ({"models": ["lcoan", "nosuch"]}, ["models", "nosuch"]),
        ({"seeds": [-1]}, ["seeds", "-1"]),
        ({"training": {"steps": "none"}}, ["training.steps", "none"]),
        ({"training": {}}, ["training.steps"]),
        ({"branch": {"trunk": {"stepz": 3}, "training": {}, "models": ["lcoan"]}}, ["branch.trunk", "stepz"]),
        ({"branch": {"trunk": {}, "training": {}, "models": ["esc"]}}, ["esc"]),
        ({"chapters": {"nosuch": {}}}, ["nosuch", "recall"]),
        ({"chapters": {"recall": {"stepz": 3}}}, ["recall", "stepz"]),
        ({"chapters": {"recall": {"models": ["esc"]}}}, ["recall", "esc"]),
        ({"chapters": {"recall": {"task": {"side": 23}}}}, ["recall", "23"]),
    ],
)
def test_a_wrong_value_is_named_in_one_sentence(tmp_path, change, named):
    (tmp_path / "profiles").mkdir()
    content = yaml.safe_load((ROOT / "profiles" / "smoke.yaml").read_text()) | change
    (tmp_path / "profiles" / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        Study("mine", tmp_path)
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in ["mine", *named][1:])


@pytest.mark.parametrize("text", ["a: [", "- a", "", None])
def test_a_file_without_a_mapping_is_named(tmp_path, text):
    if text is not None:
        (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match="mine"):
        load_profile(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "value"), [("[16, 64]", [16, 64]), ("null", None), ("lcoan", "lcoan"), ("{a: 16}", {"a": 16}), ([8], [8])]
)
def test_parameters_of_a_shell_are_read_as_yaml(text, value):
    assert read(text) == value
    with pytest.raises(InputError, match="1, "):
        read("[1, ")


@pytest.mark.parametrize("value", ["4", 4, "[16]", "{4: 16}", None])
def test_options_of_a_notebook_are_names_with_values(value):
    assert (
        read_options("{clusters: 16}") == read_options({"clusters": 16}) == {"clusters": 16}
        and read_options("{}") == {}
    )
    with pytest.raises(InputError, match="options"):
        read_options(value)


def test_parameters_change_a_profile():
    profile = load_profile(ROOT / "profiles" / "quick.yaml")
    assert changed(profile, "quick", seeds=None, timing="null") is profile
    assert changed(profile, "quick", timing={"repeats": None}) is profile
    assert changed(profile, "quick", seeds=1).seeds == (1,)  # a single value stands for a list
    timing = changed(profile, "quick", timing={"repeats": "3"}).timing
    assert (timing.repeats, timing.warmup) == (3, profile.timing.warmup)
    for parameters in ({"seedz": [1]}, {"seeds": [-1]}, {"models": "[nobody]"}):
        with pytest.raises(InputError, match=next(iter(parameters))):
            changed(profile, "quick", **parameters)


def test_the_profile_for_verdicts_trains_every_contrast_of_the_rules():
    profile, quality = load_profile(ROOT / "profiles" / "verdicts.yaml"), rules().quality
    assert profile.committed and {quality.control, "trunk_conv7"} < set(profile.branch.models)
    assert len(profile.seeds) >= quality.seeds
    arms = {*profile.branch.models, *(f"trunk_window side={side}" for side in profile.branch.sides)}
    for claim in quality.claims.values():
        for contrast in claim.contrasts:
            trained = arms if contrast.experiment == "branched" else profile.models
            assert {contrast.arm, contrast.against} <= set(trained)
            assert contrast.benchmark in ("all", *profile.benchmarks)
