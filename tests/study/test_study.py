"""The study: a config gives a hash and a folder, and a run is made once and read afterwards."""

import json
import shutil

import pandas as pd
import pytest
import torch
from images import picture, write_png
from kept import ROOT

from srlab.commands.study import seconds
from srlab.errors import InputError
from srlab.stats.rules import rules
from srlab.study.profile import find_root
from srlab.study.records import HERE, Record
from srlab.study.runs import KINDS, run_of
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun
from srlab.weights.checkpoints import save_network


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    return Study("smoke", ROOT)


def test_the_hash_depends_on_everything_that_the_result_depends_on(study):
    run = study.training("lcoan")
    assert run.hash == study.training("lcoan", clusters=study.profile.network["clusters"]).hash
    others = [
        study.training("trunk_lsp"),
        study.training("lcoan", seed=1),
        study.training("lcoan", clusters=8),
        study.training("lcoan", photographs=4),
        run.model_copy(update={"data": "other"}),
        run.model_copy(update={"device": "nvidia-h200"}),
        run.model_copy(update={"start_from": "0123456789"}),
        run.model_copy(update={"budget": run.budget.model_copy(update={"steps": 5})}),
        run.model_copy(update={"scale": 3}),
    ]
    assert len({run.hash, *(other.hash for other in others)}) == 1 + len(others)
    assert all(run_of(json.loads(each.model_dump_json())) == each for each in [run, *others])


def test_runs_are_listed_once_measurements_first_then_seed_by_seed(study):
    runs = study.varied(seeds=[0, 1]).runs()
    assert len({run.hash for run in runs}) == len(runs)
    order = [run.seed if run.trains else -1 for run in runs]
    assert order == sorted(order) and {-1, 0, 1} == set(order)
    assert study.training("lcoan") in runs and study.costs() in study.runs()


def test_what_a_run_needs_is_made_before_it_begins(study, monkeypatch):
    needing, began = [run for run in study.runs() if run.needs(study)], []
    assert {run.kind for run in needing} == {"training", "context", "ceiling-matches", "ceiling", "frozen"}
    monkeypatch.setattr(Record, "begin", lambda record: began.append(record.run))
    for kind in KINDS.values():
        monkeypatch.setattr(kind, "make", lambda *parts: None)
    for run in needing:
        began.clear()
        study.obtain(run)
        assert began == list(study.with_needs(run)) and {each.hash for each in began} <= {r.hash for r in study.runs()}


def test_costs_measure_every_network_that_is_trained_by_the_profiles_budget(study):
    costs = study.costs()
    assert {"no_attention", "lcoan", "trunk_window"} <= set(costs.networks)
    assert costs.label_of(study.network("lcoan")) == "lcoan"
    assert costs.networks["lcoan clusters=8"].options["clusters"] == 8
    assert study.varied(timing=None).costs() is not None and study.profile.timing.repeats == costs.repeats


def test_a_networks_own_options_have_precedence():
    quick = Study("quick", ROOT)
    assert quick.network("lcoan").options["channels"] == quick.profile.network["channels"]
    assert quick.network("esc").options["channels"] == quick.profile.options["esc"]["channels"]
    assert quick.network("esc", channels=64).options["channels"] == 64
    assert quick.network("hit_srf").build(2, 0).scale == 2


def test_a_run_is_made_once_and_its_record_is_complete(study, monkeypatch):
    run = study.training("lcoan")
    record = study.obtain(run)
    files = {"run.json", "curve.csv", "images.csv", "weights.safetensors", "logs", "centroids.safetensors"}
    assert {path.name for path in record.folder.iterdir()} == files
    facts = record.facts
    assert facts["hash"] == run.hash and facts["config"] == run.model_dump(mode="json")
    assert {"name", "torch", "threads", "commit"} <= facts["environment"].keys()
    spent = ("seconds", "log_seconds", "startup_seconds", "loading_seconds", "evaluation_seconds")
    assert all(facts[name] > 0 for name in spent) and facts["rules"].keys() == rules().hashes().keys()
    images = record.table("images")
    assert set(images["benchmark"]) == {"held-out"} and len(images) == 3
    assert record.network().scale == 2
    monkeypatch.setattr(TrainingRun, "make", None)  # making it again would fail
    pd.testing.assert_frame_equal(study.obtain(run).table("images"), images)
    (record.folder / "weights.safetensors").unlink()
    assert not study.record(run).finished


def test_a_record_of_another_processor_is_readable_without_its_weights(study, monkeypatch):
    monkeypatch.setenv("SRLAB_DEVICE", "another-processor")
    elsewhere = Study("smoke", ROOT)
    run = elsewhere.training("no_attention")
    made = study.obtain(study.training("no_attention"))
    shutil.copytree(made.folder, elsewhere.record(run).folder)
    (elsewhere.record(run).folder / "weights.safetensors").unlink()
    read = elsewhere.obtain(run)
    assert not read.finished and elsewhere.has(read)
    pd.testing.assert_frame_equal(read.table("images"), made.table("images"))
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        read.network()
    (read.folder / "images.csv").unlink()
    for each in (run, elsewhere.chapter("ceiling").runs[0]):  # made on any processor; times belong to one
        again = elsewhere.obtain(each)
        assert again.finished and again.run.device == "another-processor" != again.facts["environment"]["name"]
    with pytest.raises(InputError, match="another-processor"):
        elsewhere.obtain(elsewhere.costs())


def test_branches_continue_from_the_trunk_of_their_seed(study):
    seeds = study.varied(seeds=[0, 1])
    arms = [*study.profile.branch.models, *(f"trunk_window side={side}" for side in study.profile.branch.sides)]
    assert [seeds.label(run) for run in seeds.branches()[::2]] == arms
    assert [run.start_from for run in seeds.branches()[:2]] == [run.hash for run in seeds.trunks()]
    branch = next(run for run in study.branches() if run.network.model == "trunk_conv7")
    record, [trunk] = study.obtain(branch), study.trunks()
    assert study.record(trunk).finished and record.facts["start"]["run"] == trunk.name
    assert len(record.facts["gates"]) == 2 and all(opened > 0 for opened in record.facts["gates"].values())


def test_a_resumed_run_keeps_the_rules_of_its_start(study):
    record, older = study.record(study.trunks()[0]), {"quality": "0" * 10, "costs": "0" * 10}
    record.begin()
    begun = record.folder / "begun.json"
    begun.write_text(json.dumps(json.loads(begun.read_text()) | {"rules": older}))
    assert study.obtain(record.run).facts["rules"] == older and not begun.exists()


def test_a_profile_for_verdicts_begins_no_run_of_uncommitted_code(study, monkeypatch):
    study.profile = study.profile.model_copy(update={"committed": True})
    for commit in ("abc1234-dirty", "unknown"):
        monkeypatch.setattr("srlab.study.study.code_commit", lambda commit=commit: commit)
        with pytest.raises(InputError, match=commit):
            study.obtain(study.training("no_attention"))
    monkeypatch.setattr("srlab.study.study.code_commit", lambda: "abc1234")
    assert study.obtain(study.training("no_attention")).finished


# --- out of time ------------------------------------------------------------------------------------------------------


def test_a_command_out_of_time_resumes(study, monkeypatch, srlab):
    monkeypatch.chdir(ROOT)
    only = ("--only", "no_attention-x2-*")
    runs = [run for run in study.runs() if run.name.startswith("no_attention-x2-")]

    def finished(*arguments: str) -> int:
        assert srlab("run", "--profile", "smoke", *arguments).status == 0
        return sum(study.record(run).finished for run in runs)

    with monkeypatch.context() as patch:  # the time ends while the first trains
        patch.setattr("srlab.study.study.time_is_up", lambda deadline: False)
        assert finished(*only, "--budget", "0.001") == 0
    [checkpoint] = study.folder.glob("runs/*/checkpoint.safetensors")
    assert checkpoint.parent.name == runs[0].name
    assert finished(*only, "--budget", "0.001s") == 0  # no run begins
    assert [path.name for path in (study.folder / "runs").iterdir()] == [runs[0].name]
    assert finished("--only", runs[0].name, "--budget", "1h") == 1 and not checkpoint.exists()
    assert finished(*only) == len(runs) >= 2


def test_durations_are_read_and_others_refused():
    durations = {"90s": 90, "9m": 540, "1h30m": 5400, "1h2m3s": 3723, "45": 45, "0.5h": 1800}
    assert {text: seconds(text) for text in durations} == durations
    for text in ("", "0", "0s", "-5", "9 m", "m", "1h30", "30m1h", "9M", "1.h", "nan", "inf"):
        with pytest.raises(InputError, match="budget"):
            seconds(text)


# --- data, places, weights --------------------------------------------------------------------------------------------


def test_data_without_benchmarks_is_refused_before_anything_runs(monkeypatch, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").touch()
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path))
    with pytest.raises(InputError, match="benchmark"):
        Study("smoke", ROOT).runs()


def test_all_bad_files_are_named_before_training(study, monkeypatch, tmp_path):
    for folder in ("train", "benchmark/mine/HR"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    write_png(tmp_path / "data" / "benchmark" / "mine" / "HR" / "c.png", picture(96, 96))
    for name in ("a.png", "b.png"):
        (tmp_path / "data" / "train" / name).touch()
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path / "data"))
    with pytest.raises(InputError) as caught:
        study.obtain(study.training("no_attention"))
    assert all(name in str(caught.value) for name in ("a.png", "b.png"))


def test_the_root_is_found_from_the_notebooks_folder(tmp_path):
    assert find_root(ROOT / "notebooks") == ROOT
    with pytest.raises(InputError, match=tmp_path.name):
        find_root(tmp_path)


def test_varied_studies_share_records_and_write_elsewhere(study):
    varied = study.varied(seeds="[1]", recall={"models": ["lcoan"]})
    assert varied.profile.seeds == (1,) and varied.chapter("recall").settings.models == ("lcoan",)
    assert varied.folder == study.folder / "varied" and varied.runs_folder == study.runs_folder
    assert study.varied(seeds=None, recall={"models": None}) is study
    with pytest.raises(InputError, match="modelz"):
        study.varied(recall={"modelz": []})


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another checkout, with results in its own folder."""
    monkeypatch.delenv("SRLAB_RESULTS")
    for folder in ("profiles", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_weights_come_from_the_reference_until_the_study_has_its_own(elsewhere, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("SRLAB_RESULTS", "results/reference")
        patch.setenv("SRLAB_DEVICE", "amd-epyc")
        kept = Study("smoke", elsewhere)
        assert kept.reference is None
        run = kept.training("lcoan").model_copy(update={"data": "others", "benchmarks": ("Set5",)})
        record = kept.record(run)
        record.folder.mkdir(parents=True)
        facts = {"config": run.model_dump(mode="json"), "hash": run.hash, "finished": "2026-01-01T00:00:00Z"}
        (record.folder / "run.json").write_text(json.dumps(facts))
        network = run.network.build(2, seed=100).half()
        save_network(kept.folder / "weights" / "lcoan.safetensors", network, "lcoan", 2, run.network.options)
    monkeypatch.setenv("SRLAB_DEVICE", "intel-xeon")
    study = Study("smoke", elsewhere)
    own = study.training("lcoan")
    found = study.weights(own)
    assert found.source == "reference: amd-epyc" and found.run.data == "others"
    expected = run.network.build(2, seed=100).half().float().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.network().state_dict().items())
    for other in ({"seed": 1}, {"clusters": 8}, {"photographs": 4}):  # weights of another run
        assert study.weights(study.training("lcoan", **other)) is None
    assert study.obtain_weights(study.training("no_attention")).source == HERE  # neither has them: trained


def test_this_processors_reference_comes_first(elsewhere, monkeypatch):
    monkeypatch.setenv("SRLAB_DEVICE", "intel-xeon")
    study, committed = Study("smoke", elsewhere), elsewhere / "results" / "reference"
    assert study.reference is None
    for name in ("smoke-amd-epyc", "smoke-apple-m2", "quick-amd-epyc"):
        (committed / name).mkdir(parents=True)
    assert study.reference == committed / "smoke-amd-epyc"
    (committed / "smoke-intel-xeon").mkdir()
    assert study.reference == committed / "smoke-intel-xeon"
