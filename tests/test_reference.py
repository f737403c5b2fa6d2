"""The reference: our committed results, looked at until a clone has its own, and never mixed with them."""

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from kept import ROOT, references

from srlab.analysis import explore
from srlab.errors import InputError
from srlab.report.index import write_index
from srlab.report.notebooks import execute
from srlab.report.tracing import find_runs
from srlab.study.records import HERE, Record, check_one_processor, records_in
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network
from srlab.widgets import ClusterExplorer, Explorer

SHOWN = "reference: amd-epyc"
LOOKED_AT = ("lcoan", "trunk_lsp", "trunk_nla", "trunk_nla_shared", "trunk_window")


def write_facts(record: Record, processor: str, finished: str) -> None:
    environment = {"name": processor, "threads": 2, "torch": "2.0", "kind": "cpu", "commit": "0123456789"}
    facts = {"config": record.run.model_dump(mode="json"), "environment": environment, "finished": finished}
    facts |= {"hash": record.run.hash, "data": "photographs", "convention": {}}
    record.folder.mkdir(parents=True, exist_ok=True)
    (record.folder / "run.json").write_text(json.dumps(facts))


def finish(record: Record) -> None:
    """As if its run had trained."""
    write_facts(record, "Intel Xeon", "2026-02-02T00:00:00Z")
    for name in ("curve.csv", "images.csv", "weights.safetensors"):
        (record.folder / name).touch()


def write_costs(record: Record, ms: dict[str, float]) -> None:
    rows = [
        {"label": label, "part": part, "size": 64, "median_ms": value, "peak_mib": 10 * value}
        for label, value in ms.items()
        for part in ("network", "non-local layers")
    ]
    pd.DataFrame(rows).to_csv(record.folder / "profile.csv", index=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A fresh clone: profiles, notebooks, and in results/ nothing but the reference, made on other images."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("profiles", "notebooks"):
        shutil.copytree(ROOT / name, root / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_RESULTS", "results/reference")
        patch.setenv("SRLAB_DEVICE", "amd-epyc")
        study = Study("smoke", root)
        for number, model in enumerate(LOOKED_AT):
            run = study.training(model).model_copy(update={"data": "others", "benchmarks": ("Set5",)})
            write_facts(study.record(run), "AMD EPYC", "2026-01-01T00:00:00Z")
            network = run.network.build(run.scale, seed=100 + number).half()
            file = study.folder / "weights" / f"{model}.safetensors"
            save_network(file, network, model, run.scale, run.network.options)
    return root


@pytest.fixture
def study(root, monkeypatch) -> Study:
    """The clone's own study, of another processor; it trains nothing."""
    monkeypatch.delenv("SRLAB_RESULTS", raising=False)
    monkeypatch.setenv("SRLAB_DEVICE", "intel-xeon")
    monkeypatch.chdir(root)
    study = Study("smoke")
    monkeypatch.setattr(Study, "obtain", lambda self, run, *_, **__: pytest.fail(f"{run.name} was asked for"))
    yield study
    shutil.rmtree(study.folder, ignore_errors=True)


def test_of_several_references_this_processors_comes_first(tmp_path, monkeypatch):
    monkeypatch.delenv("SRLAB_RESULTS", raising=False)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    monkeypatch.setenv("SRLAB_DEVICE", "intel-xeon")
    study = Study("smoke", tmp_path)
    assert study.reference is None
    committed = tmp_path / "results" / "reference"
    for name in ("smoke-amd-epyc", "smoke-apple-m2", "quick-intel-xeon"):
        (committed / name).mkdir(parents=True)
    assert study.reference == committed / "smoke-amd-epyc"
    (committed / "smoke-intel-xeon").mkdir()
    assert study.reference == committed / "smoke-intel-xeon"
    monkeypatch.setenv("SRLAB_RESULTS", "results/reference")  # it is being made
    assert Study("smoke", tmp_path).reference is None


def test_weights_are_the_references_until_the_study_has_its_own(study):
    run = study.training("lcoan")
    kept = study.weights(run)
    assert kept.source == SHOWN and kept.run.data == "others" and kept == study.obtain_weights(run)
    expected = run.network.build(2, seed=100).half().float().state_dict()
    learnt = kept.network().state_dict()
    assert all(torch.equal(learnt[name], expected[name]) for name in expected)

    record = study.record(run)
    finish(record)
    own = study.weights(run)
    assert (own.run, own.file, own.source) == (run, record.folder / "weights.safetensors", HERE)


@pytest.mark.parametrize(
    "other",
    [{"seed": 1}, {"clusters": 8}, {"photographs": 4}],
    ids=lambda other: next(iter(other)),
)
def test_weights_of_another_run_are_not_taken_for_its(study, other):
    assert study.weights(study.training("lcoan", **other)) is None


def test_a_profile_that_was_changed_is_not_shown_by_what_the_reference_learnt(study, root, monkeypatch):
    profile = root / "profiles" / "smoke.yaml"
    text = profile.read_text()
    settings = yaml.safe_load(text)
    try:
        for change in ({"training": settings["training"] | {"steps": 8}}, {"network": {"channels": 12}}):
            profile.write_text(yaml.safe_dump(settings | change))
            changed = Study("smoke")
            assert changed.weights(changed.training("lcoan")) is None
    finally:
        profile.write_text(text)


def test_what_neither_has_is_trained(study, monkeypatch):
    monkeypatch.setattr(Study, "obtain", lambda self, run: finish(self.record(run)))
    run = study.training("no_attention")
    assert study.weights(run) is None
    assert (study.obtain_weights(run).run, study.obtain_weights(run).source) == (run, HERE)


def test_looks_say_whose_weights_they_show(study):
    scene = explore.open_scene(study, "held-out: page_left")
    look = explore.look(scene, "lcoan", 20, 30)
    assert look.title == f"lcoan ({SHOWN})" and look.source == SHOWN
    with pytest.raises(InputError, match=r"trunk_fgca-.* is not finished"):
        explore.look(scene, "trunk_fgca", 20, 30)


def test_the_explorers_show_trained_networks_at_once(study):
    explorer = Explorer(study)
    assert [look.title for look in explorer.looks] == [f"lcoan ({SHOWN})", f"trunk_nla ({SHOWN})"]
    assert f"Weights: lcoan, trunk_nla ({SHOWN})." in explorer.status.value
    clusters = ClusterExplorer(study)
    assert clusters.network.value == "lcoan, k = 4" and clusters.view is not None
    assert f"Weights: lcoan, k = 4 ({SHOWN})." in clusters.status.value and clusters.step.options == (4,)
    assert not (study.folder / "runs").exists()


@pytest.mark.slow
def test_the_notebook_of_maps_opens_in_a_fresh_clone_without_training(study, root):
    """It is executed in a process of its own: what it has trained would be in runs/."""
    executed = execute(study, "07_attention_maps").read_text(encoding="utf-8")
    assert f"Weights: lcoan, trunk_lsp, trunk_nla ({SHOWN})." in executed
    assert not (study.folder / "runs").exists()
    told = set(pd.read_csv(study.folder / "tables" / "reach.csv")["run"])
    assert told == {study.weights(study.training(model)).run.hash for model in ("lcoan", "trunk_lsp", "trunk_nla")}
    for run in told:  # the table's numbers can be traced
        assert [folder.parents[1] for folder in find_runs(run, study.folder.parent)] == [study.reference]


@pytest.fixture
def timed(study, monkeypatch):
    """The study with costs of its own, and those of the reference, where one network had another option."""
    run = study.costs()
    theirs = run.model_copy(update={"networks": {**run.networks, "trunk_lsp": study.network("trunk_lsp", window=16)}})
    reference = Record(theirs, study.reference / "runs" / f"{run.slug}-0")
    record = study.record(run)
    write_facts(record, "Intel(R) Xeon(R) <Platinum>", "2026-02-02T00:00:00Z")
    write_costs(record, {"lcoan": 6.0, "trunk_lsp": 7.0, "lcoan clusters=8": 8.0, "trunk_nla": 9.0})
    write_facts(reference, "AMD EPYC", "2026-01-01T00:00:00Z")
    write_costs(reference, {"lcoan": 4.0, "trunk_lsp": 7.0, "lcoan clusters=8": 8.0})
    training = study.record(study.training("lcoan"))
    write_facts(training, "Intel(R) Xeon(R) <Platinum>", "2026-02-02T00:00:00Z")
    monkeypatch.setattr(study, "finished_records", lambda: [record, training])
    yield study, reference
    shutil.rmtree(reference.folder)


def test_the_index_says_how_costs_differ(timed):
    study, reference = timed
    html = write_index(study).read_text(encoding="utf-8")
    assert "How costs differ" in html and "Intel(R) Xeon(R) &lt;Platinum&gt;" in html and "AMD EPYC" in html
    table = pd.read_csv(study.folder / "tables" / "costs_elsewhere.csv")
    assert table["network"].tolist() == ["lcoan"]  # equal in both, and of the comparison
    assert table.loc[0, ["size", "here_ms", "other_ms", "time_ratio", "here_mib", "other_mib"]].tolist() == [
        64, 6.0, 4.0, 1.5, 60.0, 40.0,
    ]  # fmt: skip
    assert table.loc[0, "run"] == f"{study.costs().hash} {reference.run.hash}"


@pytest.mark.parametrize("lacking", ["the run", "equal networks", "a reference"])
def test_without_anything_to_compare_the_index_says_nothing(timed, lacking, monkeypatch):
    study, reference = timed
    if lacking == "the run":
        (reference.folder / "run.json").unlink()
    elif lacking == "equal networks":
        write_costs(reference, {"trunk_lsp": 7.0})
    else:
        monkeypatch.setattr(Study, "reference", None)
    assert "How costs differ" not in write_index(study).read_text(encoding="utf-8")


def test_times_of_two_processors_are_refused(study):
    runs = (study.costs(), study.timing(), study.limits(), study.training("lcoan"))
    records = [study.record(run) for run in runs]
    processors = ("Xeon Gold", "Xeon Gold", "Xeon Platinum", "EPYC")
    for number, (record, processor) in enumerate(zip(records, processors, strict=True)):
        write_facts(record, processor, f"2026-01-0{number + 1}T00:00:00Z")
    with pytest.raises(InputError) as caught:
        check_one_processor(records)
    told, (costs, timing, limits, _) = str(caught.value), (record.run.name for record in records)
    assert "on 'Xeon Platinum' and on 'Xeon Gold'" in told and str(study.folder) in told
    assert costs in told and timing in told and limits not in told and "EPYC" not in told
    check_one_processor(records[:2] + records[3:])  # what was trained elsewhere is no harm


@pytest.mark.parametrize("folder", references(), ids=lambda folder: folder.name)
def test_committed_times_are_of_one_processor(folder):
    check_one_processor(records_in(folder, "*"))


@pytest.mark.parametrize("folder", references(), ids=lambda folder: folder.name)
def test_committed_weights_are_those_that_a_clone_shows(folder, monkeypatch):
    """The profile is still the one that they were trained by."""
    if not (folder / "weights").is_dir():
        pytest.skip(f"{folder.name} has no weights")
    profile = next(p.stem for p in (ROOT / "profiles").glob("*.yaml") if folder.name.startswith(f"{p.stem}-"))
    monkeypatch.setenv("SRLAB_DEVICE", "intel-xeon")
    monkeypatch.setattr(Study, "reference", folder)
    study = Study(profile, ROOT)
    shown = {model: study.weights(study.training(model)) for model in study.profile.models}
    assert [model for model, weights in shown.items() if weights is None] == []


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("quick-intel-xeon/index.html", False),
        ("reference/night-amd-epyc/index.html", True),
        ("reference/night-amd-epyc/weights/lcoan.safetensors", True),
        ("reference/quick-amd-epyc/runs/a/run.json", True),
        ("reference/quick-amd-epyc/runs/a/weights.safetensors", False),
        ("reference/quick-amd-epyc/runs/a/centroids.safetensors", False),
        ("reference/quick-amd-epyc/figures/facades.png", False),
        ("pilots/recipe.md", True),
        ("released-weights/rocket.png", True),
    ],
)
def test_git_keeps_ours_and_ignores_a_newcomers(path, kept):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a checkout")
    command = ["git", "check-ignore", "--quiet", "--no-index", f"results/{path}"]
    assert subprocess.run(command, cwd=ROOT).returncode == kept
