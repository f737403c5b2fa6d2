"""Runs: one config, one hash, one folder; made once, read afterwards; profiles checked."""

import json
import re
import shutil

import pandas as pd
import pytest
import torch
from kept import ROOT, references
from pydantic import TypeAdapter
from typer.testing import CliRunner

import srlab.study.study
from srlab.cli import app
from srlab.commands.study import seconds
from srlab.errors import InputError
from srlab.study.profiles import load_profile
from srlab.study.rules import rules
from srlab.study.runs import LimitsRun, Run, TimingRun, TrainingRun
from srlab.study.study import Study, find_root

KEPT = [path for folder in references() for path in sorted(folder.glob("runs/*/run.json"))]


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    return Study("smoke", ROOT)


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_is_valid(path):
    assert load_profile(path).name == path.stem


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stepz: 3", "key 'stepz' is unknown"),
        ("scale: 5", "'scale' is 5, allowed: 2, 3, 4 or 8"),
        ("models: [lcoan, x]", "'models' is ['lcoan', 'x'], allowed: models of `srlab models`, not x"),
        ("seeds: [-1]", "'seeds.0' is -1, allowed: greater than or equal to 0"),
        ("training: {steps: none}", "'training.steps' is 'none', allowed: a valid integer"),
        ("training: {}", "key 'training.steps' is missing"),
    ],
)
def test_a_wrong_profile_is_told_in_a_sentence(tmp_path, change, told):
    key = change.partition(":")[0]
    lines = (ROOT / "profiles" / "smoke.yaml").read_text().splitlines()
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join([*(line for line in lines if not line.startswith(f"{key}:")), change]))
    with pytest.raises(InputError) as caught:
        load_profile(path)
    assert told in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "told"), [("a: [", "is no YAML"), ("- a", "holds list"), ("", "holds NoneType")])
def test_what_is_no_profile_is_told_in_a_sentence(tmp_path, text, told):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=told):
        load_profile(tmp_path / "mine.yaml")


def test_an_unknown_profile_lists_those_there_are():
    with pytest.raises(
        InputError, match=r"profile 'nosuch' is unknown; there are in .*: .*quick, recall, recall_quick, recipe, smoke"
    ):
        Study("nosuch", ROOT)


def test_the_hash_depends_on_everything_that_the_result_depends_on(study):
    run = study.training("lcoan")
    assert run.hash == study.training("lcoan").hash
    assert run.hash == study.training("lcoan", clusters=study.profile.network["clusters"]).hash
    others = [
        study.training("trunk_lsp"),
        study.training("lcoan", seed=1),
        study.training("lcoan", clusters=8),
        study.training("lcoan", photographs=4),
        study.training("lcoan", photographs=2),
        run.model_copy(update={"data": "other"}),
        run.model_copy(update={"device": "nvidia-h200"}),
        run.model_copy(update={"budget": run.budget.model_copy(update={"steps": 5})}),
        run.model_copy(update={"scale": 3}),
    ]
    assert len({run.hash, *(other.hash for other in others)}) == 1 + len(others)


def test_sweeps_share_the_run_of_the_base_network(study):
    names = [run.name for run in study.runs()]
    assert len(names) == len(set(names))
    base = study.training("lcoan").name
    assert base in names
    assert base in [run.name for run in study.cluster_sweep()]
    assert base in [run.name for run in study.window_sweep()]


def test_sweeps_contain_what_they_promise(study):
    def options(runs: list[TrainingRun], *keys: str) -> list[tuple]:
        return [(run.network.model, *(run.network.options[key] for key in keys)) for run in runs]

    assert options(study.centroid_sweep(), "centroid_update", "ema_decay") == [
        ("lcoan", "frozen", 0.999),
        ("lcoan", "ema", 0.0),
        ("lcoan", "ema", 0.999),
    ]
    assert [run.network.model for run in study.renewal_sweep()] == ["trunk_lsp", "lcoan", "lcoan"]
    assert options(study.renewal_sweep()[1:], "renew_every") == [("lcoan", 1), ("lcoan", None)]
    assert options(study.unit_sweep(), "groups") == [
        ("no_attention", 1), ("no_attention", 2), ("lcoan", 1), ("lcoan", 2),
    ]  # fmt: skip
    assert options(study.side_sweep(), "side") == [("trunk_window", 8), ("trunk_window", 16)]
    assert [(run.network.model, run.photographs) for run in study.photograph_sweep()] == [
        ("no_attention", 4), ("no_attention", None),
    ]  # fmt: skip
    hashes = {run.hash for run in study.trained()}
    for sweep in (
        study.centroid_sweep(), study.renewal_sweep(), study.unit_sweep(), study.side_sweep(),
        study.photograph_sweep(),
    ):  # fmt: skip
        assert {run.hash for run in sweep} <= hashes


def test_what_measures_comes_before_what_trains_and_each_is_told_apart(study):
    runs = study.runs()
    kinds = [run.kind for run in runs]
    assert kinds == sorted(kinds, key=["timing", "limits", "training", "recall"].index)
    assert {run.about for run in runs if run.kind == "timing"} == {
        "trained", "growth", "windows", "routing", "scale",
        "claims-layers", "claims-windows", "claims-networks", "claims-routing",
    }  # fmt: skip
    assert kinds.count("timing") == 8 + len(study.profile.timing.scales)
    growth = study.timing()
    assert growth.hash != growth.model_copy(update={"about": "other"}).hash
    assert growth.hash != growth.model_copy(update={"sizes": ((16, 24),)}).hash
    assert TimingRun.model_validate_json(growth.model_dump_json()) == growth
    four = next(run for run in study.scale_timing() if run.scale == 4)
    assert four.sizes == (16, 64)  # x16 is x4 of what x4 makes


def test_a_run_on_fewer_photographs_trains_on_those(study, monkeypatch):
    trained_on = []
    monkeypatch.setattr(srlab.study.study, "make_training", lambda record, data, *_: trained_on.append(data))
    for photographs in (4, None):
        study.obtain(study.training("no_attention", photographs=photographs))
    few, every = trained_on
    assert len(few.train) == 4 and set(few.train) < set(every.train) and every == study.data


@pytest.mark.slow
def test_the_limits_run_records_how_far_each_layer_gets(study):
    """The last row of each is the largest input, or the first that failed."""
    run: LimitsRun = study.limits()
    assert list(run.networks) == ["trunk_nla", "lcoan", "trunk_bra"] and run.sizes == ((16, 16), (32, 32))
    assert all(network.options["groups"] == 1 for network in run.networks.values())
    one = run.model_copy(update={"networks": {"trunk_bra": run.networks["trunk_bra"]}, "limit_s": 60.0})
    found = study.obtain(one).limits
    assert found.state.tolist() == ["measured", "measured"]
    assert found[["height", "width"]].values.tolist() == [[16, 16], [32, 32]]
    assert study.record(one).finished and not study.record(run).finished


def run_command(*arguments: str):
    """`srlab run` of the smoke profile."""
    return CliRunner().invoke(app, ["run", "--profile", "smoke", *arguments])


@pytest.fixture
def at_the_root(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SRLAB_DEVICE", raising=False)
    return study


def test_a_command_out_of_time_says_how_far_it_came_and_goes_on(at_the_root, monkeypatch):
    study, only = at_the_root, ("--only", "no_attention-*")
    names = [run.name for run in study.runs() if run.name.startswith("no_attention-")]
    assert len(names) == 5
    with monkeypatch.context() as patch:  # the time ends while the first trains
        patch.setattr(srlab.study.study, "time_is_up", lambda deadline: False)
        done = run_command(*only, "--budget", "0.001")
    assert done.exit_code == 0
    sentence = "time is up: 0 of 5 runs are finished; the same command goes on from here\n"
    assert done.stdout == sentence
    [checkpoint] = study.folder.glob("runs/*/checkpoint.safetensors")
    assert checkpoint.parent.name == names[0]

    assert run_command(*only, "--budget", "0.001s").stdout == sentence  # no run is begun
    assert [path.name for path in (study.folder / "runs").iterdir()] == names[:1]

    done = run_command("--only", names[0], "--budget", "1h")
    assert done.exit_code == 0 and done.stdout.startswith("1 records in ")
    assert not checkpoint.exists()
    assert run_command(*only, "--budget", "0.001").stdout == sentence.replace("0 of", "1 of")
    assert run_command(*only).stdout.startswith("5 records in ")
    assert run_command(*only, "--budget", "0.001").stdout.startswith("5 records in ")  # nothing is left to do


def test_no_measurement_is_begun_without_time(at_the_root, monkeypatch):
    monkeypatch.setattr(srlab.study.study, "make_timing", None)  # making one would fail
    done = run_command("--budget", "0.001")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"time is up: 0 of {len(at_the_root.runs())} runs are finished")


@pytest.mark.parametrize(
    ("told", "meant"),
    [("90s", 90), ("9m", 540), ("1h30m", 5400), ("1h2m3s", 3723), ("45", 45), ("0.5h", 1800), ("1h5s", 3605)],
)
def test_durations_are_read(told, meant):
    assert seconds(told) == meant


@pytest.mark.parametrize("told", ["", "0", "0s", "-5", "9 m", "m", "1h30", "30m1h", "9M", "1.h", "nan", "inf"])
def test_what_is_no_duration_is_told_in_a_sentence(told):
    with pytest.raises(InputError, match=rf"^budget '{re.escape(told)}': a time above zero is expected, e.g."):
        seconds(told)


def test_a_run_is_made_once_and_its_record_holds_everything(study, monkeypatch):
    run = study.training("lcoan")
    record = study.obtain(run)
    assert {path.name for path in record.folder.iterdir()} == {
        "run.json", "curve.csv", "images.csv", "weights.safetensors", "logs",
        "centroids.safetensors",
    }  # fmt: skip
    facts = json.loads((record.folder / "run.json").read_text())
    assert facts["hash"] == run.hash and facts["config"] == run.model_dump(mode="json")
    assert {"name", "torch", "threads", "commit"} <= facts["environment"].keys()
    assert set(record.images.benchmark) == {"held-out"} and len(record.images) == 8
    seconds = ("seconds", "log_seconds", "startup_seconds", "loading_seconds", "evaluation_seconds")
    assert all(facts[name] > 0 for name in seconds)
    assert facts["steps_per_second"] == run.budget.steps / facts["seconds"]
    assert record.network().scale == 2

    monkeypatch.setattr(srlab.study.study, "make_training", None)  # making it again would fail
    again = study.obtain(run)
    pd.testing.assert_frame_equal(again.images, record.images)


def test_a_record_without_its_weights_does_not_count(study):
    record = study.obtain(study.training("no_attention"))
    assert study.record(record.run).finished
    (record.folder / "weights.safetensors").unlink()
    assert not study.record(record.run).finished
    assert study.obtain(record.run).finished


def test_a_record_from_elsewhere_tells_its_numbers_without_its_weights(study, monkeypatch):
    """As one of ours that are committed does: it could not be made again on this machine."""
    monkeypatch.setenv("SRLAB_DEVICE", "another-processor")
    elsewhere = Study("smoke")
    run = elsewhere.training("no_attention")
    made = study.obtain(study.training("no_attention"))
    shutil.copytree(made.folder, elsewhere.record(run).folder)
    (elsewhere.record(run).folder / "weights.safetensors").unlink()
    read = elsewhere.obtain(run)
    assert not read.finished and elsewhere.has(read)
    pd.testing.assert_frame_equal(read.images, made.images)
    with pytest.raises(InputError, match="weights.safetensors"):
        read.network()
    assert elsewhere.weights(run) is None
    (read.folder / "images.csv").unlink()
    again = elsewhere.obtain(run)  # a network is trained on any CPU, but times are each one's own
    assert again.finished and again.run.device == "another-processor" != again.facts["environment"]["name"]
    with pytest.raises(InputError, match="can only be made on 'another-processor'"):
        elsewhere.obtain(elsewhere.costs())


def test_the_centroids_of_training_are_recorded(study):
    """A few KiB a step; those of the last step are the trained network's."""
    record = study.obtain(study.training("lcoan"))
    kept = record.centroids()
    assert list(kept) == [1, 2, 4]
    means = record.network().groups[0].attention.kmeans.means
    assert torch.equal(kept[4]["groups.0.attention"], means)
    assert (record.folder / "centroids.safetensors").stat().st_size < 3 * means.numel() * 4 + 1024


def test_a_record_without_centroids_counts_and_says_so(study):
    """Of an earlier version, or of a network that learns none."""
    record = study.obtain(study.training("lcoan"))
    (record.folder / "centroids.safetensors").unlink()
    for without in (record, study.obtain(study.training("no_attention"))):
        assert without.finished and not without.kept_centroids
        with pytest.raises(InputError, match=rf"run {without.run.name} kept no centroids"):
            without.centroids()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_kept_results_still_have_the_hash_of_their_config(path):
    facts = json.loads(path.read_text())
    assert TypeAdapter(Run).validate_python(facts["config"]).hash == facts["hash"]


@pytest.mark.slow
def test_the_timing_run_measures_every_network_at_every_size(study):
    record = study.obtain(study.timing())
    table = record.profile
    whole = table[table.part == "network"]
    assert set(whole.label) == {*study.profile.timing.models, "lcoan (stored)"}
    assert len(whole) == len(study.profile.timing.sizes) * whole.label.nunique()
    assert "no_attention" not in set(table[table.part == "non-local layers"].label)
    assert (record.times.groupby(["label", "part", "size"]).size() == study.profile.timing.repeats).all()


def test_results_of_another_device_are_read_but_not_made(study, monkeypatch):
    monkeypatch.setenv("SRLAB_DEVICE", "nvidia-h200")
    elsewhere = Study("smoke", ROOT)
    assert elsewhere.folder.name == "smoke-nvidia-h200"
    with pytest.raises(InputError, match=r"is missing and can only be made on 'nvidia-h200'"):
        elsewhere.obtain(elsewhere.costs())
    assert not elsewhere.folder.exists()


def test_data_without_benchmarks_is_refused_before_anything_runs(study, monkeypatch, tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "a.png").write_bytes(b"")
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path / "data"))
    with pytest.raises(InputError, match="no benchmark"):
        Study("smoke", ROOT).runs()


def test_all_bad_files_are_reported_at_once_before_training(study, monkeypatch, tmp_path):
    for name in ("train/a.png", "train/b.png", "benchmark/mine/HR/c.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "a" in path.name else b"not an image")
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path / "data"))
    mine = Study("smoke", ROOT)
    with pytest.raises(InputError) as caught:
        mine.obtain(mine.training("no_attention"))
    assert all(name in str(caught.value) for name in ("a.png", "b.png", "c.png"))


def test_the_root_is_found_from_the_notebooks_folder(tmp_path):
    assert find_root(ROOT / "notebooks") == ROOT
    with pytest.raises(InputError, match="no folder with profiles/"):
        find_root(tmp_path)


def test_a_networks_own_options_go_before_those_of_all(study):
    quick = Study("quick", ROOT)
    assert quick.network("lcoan").options["channels"] == quick.profile.network["channels"]
    assert quick.network("esc").options["channels"] == quick.profile.options["esc"]["channels"]
    assert quick.network("esc", channels=64).options["channels"] == 64
    assert quick.network("hit_srf").build(2, 0).scale == 2


def test_options_that_earlier_versions_did_not_know_are_named_only_where_they_are_set(study):
    """So that runs of the paper's k-means have the hash that they had before there was another."""
    assert not {"centroid_start", "empty_clusters"} & set(study.network("lcoan").options)
    assert "sharing" not in study.network("trunk_nla").options and "sharing" in study.network("lcoan").options
    assert not {"processes", "limit_s", "limit_mib"} & set(study.timing().model_dump())
    run = study.training("lcoan", empty_clusters="reseed")
    assert run.hash != study.training("lcoan").hash
    assert run.network.build(2, 0).groups[0].attention.kmeans.empty_clusters == "reseed"


def test_claims_are_measured_in_fresh_processes_on_what_their_authors_publish_and_on_ours(study):
    runs = {run.about: run for run in study.claims_timing()}
    assert {run.processes for run in runs.values()} == {study.profile.claims.processes} == {1}
    built = {label: each.build(2, 0) for run in runs.values() for label, each in run.networks.items()}
    layers = {label: network.non_local_layers() for label, network in built.items()}
    assert [len(layers[label]) for label in ("lcoan", "lcoan (as published)", "trunk_nla", "trunk_lsp")] == [
        10,
        10,
        1,
        1,
    ]
    for label in ("trunk_nla", "lcoan"):
        own, published = layers[label][0], layers[f"{label} (as published)"][0]
        assert (own.sharing, published.sharing) == ("recomputed", "stored")
    assert layers["trunk_lsp (as published)"][0].sharing == "plain"
    for label in ("nlsn", "trunk_fgca", "trunk_bra", "hit_srf"):
        published = {layer.backend for layer in layers[f"{label} (as published)"]}
        assert published == {"reference"} != {layer.backend for layer in layers[label]}
    assert layers["plain windows"][0].backend == "reference"
    for run in Study("night", ROOT).claims_timing():
        assert run.processes == rules().costs.processes
        assert (180, 320) in run.sizes or set(rules().costs.sides) <= set(run.sizes)
        for label in {"esc (as published)", "fused windows (as published)"} & set(run.networks):
            assert run.networks[label].options["backend"] == "flex"


@pytest.mark.slow
def test_a_claims_record_has_every_network_on_every_size(study):
    run = next(run for run in study.claims_timing() if run.about == "claims-routing")
    record = study.obtain(run)
    assert TypeAdapter(Run).validate_python(record.facts["config"]) == run
    assert len(record.profile) == len(run.networks) * len(run.sizes)
    assert set(record.times["process"]) == {0} and set(record.times["label"]) == set(run.networks)
    assert record.facts["ceilings"]["gib_per_s"] > 0


def test_networks_are_timed_in_turn_under_names_that_tell_them_apart(study):
    timed = study.costs()
    assert [timed.label_of(run.network) for run in study.cluster_sweep()] == ["lcoan", "lcoan clusters=8"]
    assert len(timed.networks) == len({run.network.model_dump_json() for run in study.trained()})


def test_quick_uses_the_400_photographs_and_set5_where_they_are(shared_data, monkeypatch):
    monkeypatch.setenv("SRLAB_DATA", str(shared_data))
    study = Study("quick", ROOT)
    assert len(study.data.train) == 400 - len(study.profile.leave_out) == 399
    assert {name: len(refs) for name, refs in study.data.benchmarks.items()} == {"Set5": 5}
    assert study.training("lcoan").data == study.data.fingerprint != "embedded"


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_that_times_anything_times_and_limits_networks(path, monkeypatch):
    monkeypatch.setenv("SRLAB_DEVICE", "some-gpu")  # so that profiles for GPUs can be read without one
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    study = Study(path.stem, ROOT)
    if study.profile.timing is None:
        assert study.runs()[: len(study.claims_timing())] == study.claims_timing()
        trained = {run.kind for run in study.runs()[len(study.claims_timing()) :]}
        assert trained == ({"training"} if study.profile.models else {"recall"})
        return
    measured = [study.costs(), study.timing(), *study.scale_timing(), study.limits()]
    assert all(run.networks for run in measured)
    # One non-local layer is what limits are asked of, so only of networks on the trunk.
    assert all("groups" in network.options for network in study.limits().networks.values())


def test_a_recipe_changes_what_it_names_of_every_compared_run(smoke_study):
    sweep = smoke_study.recipe_sweep()
    chosen, slower = sweep["as chosen"], sweep["half the rate"]
    assert chosen == smoke_study.comparison() and len(slower) == len(chosen)
    for run, other in zip(chosen, slower, strict=True):
        budget = run.budget.model_copy(update={"learning_rate": 5e-4})
        assert run.budget.learning_rate == 1e-3 and other == run.model_copy(update={"budget": budget})
    assert {run.hash for run in slower} <= {run.hash for run in smoke_study.runs()}
    assert not {run.hash for run in slower} & {run.hash for run in smoke_study.comparison()}


def test_a_recipe_that_cannot_be_is_refused_by_its_name(tmp_path):
    (tmp_path / "profiles").mkdir()
    text = (ROOT / "profiles" / "smoke.yaml").read_text().replace("learning_rate: 5.0e-4", "rate: 5.0e-4")
    path = tmp_path / "profiles" / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="recipe 'half the rate'.*rate"):
        load_profile(path)
