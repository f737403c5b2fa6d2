"""`srlab trace`: from the hash in a table to the run, all that went into it, and back to the tables."""

import shutil
import sys

import pandas as pd
import pytest
from kept import ROOT

from srlab.cli import main
from srlab.errors import InputError
from srlab.pages.tracing import describe, find_runs
from srlab.study import making
from srlab.study.records import Record
from srlab.study.runs import LimitsRun, TrainingRun


@pytest.fixture(scope="module")
def record(smoke_study) -> Record:
    """A finished training run, and two tables with rows of it."""
    record = smoke_study.obtain(smoke_study.training("lcoan", photographs=4))
    tables = smoke_study.folder / "tables"
    tables.mkdir()
    cells = [record.run.hash, "none", f"0123456789 {record.run.hash}", "0123456789"]
    pd.DataFrame({"model": list("abcd"), "run": cells}).to_csv(tables / "comparison.csv", index=False)
    pd.DataFrame({"run": cells[1:2]}).to_csv(tables / "timing.csv", index=False)
    pd.DataFrame({"seconds": [float(int(record.run.hash, 16))]}).to_csv(tables / "other.csv", index=False)
    return record


@pytest.fixture
def srlab(monkeypatch, capsys):
    """`srlab("trace", …)`: exit status, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["srlab", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


def test_a_training_run_is_told_with_all_that_went_into_it(record, srlab):
    run: TrainingRun = record.run
    status, told, _ = srlab("trace", run.hash)
    assert status == 0
    quality = record.images.psnr_y.mean()
    environment = record.facts["environment"]
    for part in (
        str(record.folder),
        "lcoan: channels=8, groups=2",
        f"embedded, fingerprint {run.data}, 4 training images",
        "held-out",
        "steps=4, batch=2",
        f"{quality:.3f} dB PSNR on Y (8 images)",
        environment["name"],
        f"commit {environment['commit']}",
        record.facts["finished"],
        f"srlab run --profile smoke --only {run.name}",
        "tables/comparison.csv, 2 rows; notebook 06_comparison, figures comparison",
    ):
        assert part in told
    assert "timing.csv" not in told and "other.csv" not in told


def test_the_first_digits_are_enough_and_a_longer_name_that_holds_them_is_another(record):
    digits = record.run.hash[:6]
    other = record.folder.with_name(f"x{digits}-x2-seed0-ffffffffff")
    shutil.copytree(record.folder, other)
    try:
        assert find_runs(digits) == [record.folder]
    finally:
        shutil.rmtree(other)


@pytest.mark.parametrize("place", [".", "reference"])
def test_a_hash_in_two_results_folders_is_told_twice(record, srlab, place):
    results, name = record.folder.parents[2], f"other-{record.run.device}"
    other = results / place / name / "runs" / record.folder.name
    shutil.copytree(record.folder, other)
    try:
        assert find_runs(record.run.hash) == [other, record.folder]
        _, told, _ = srlab("trace", record.run.hash)
        assert "--profile smoke --only" in told and "--profile other --only" in told
        assert "no table" in told
    finally:
        shutil.rmtree(other.parents[1])


def test_digits_of_several_runs_are_refused(record):
    hash_ = record.run.hash
    end = "0" if hash_[-1] != "0" else "1"
    other = record.folder.with_name(f"nlan-x2-seed0-{hash_[:-1]}{end}")
    shutil.copytree(record.folder, other)
    try:
        with pytest.raises(InputError, match=rf"'{hash_[:6]}' is the beginning of several: .*{other.name}"):
            find_runs(hash_[:6])
        assert find_runs(hash_) == [record.folder]
    finally:
        shutil.rmtree(other)


def test_a_run_that_is_not_finished_is_not_found(record, tmp_path):
    (tmp_path / "smoke-cpu" / "runs" / "nlan-x2-seed0-0123456789").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no finished run in .* has it"):
        find_runs("0123456789", tmp_path)


@pytest.mark.parametrize(
    ("digits", "told"),
    [
        ("ffff", "hash 'ffff': no finished run in"),
        ("fff", "hash 'fff': 4 to 10 of the digits"),
        ("*", "hash '*': 4 to 10 of the digits"),
        ("01234567890", "hash '01234567890': 4 to 10"),
    ],
)
def test_an_unknown_hash_is_one_sentence_and_status_2(record, srlab, digits, told):
    assert not record.run.hash.startswith("ffff")
    status, out, error = srlab("trace", digits)
    assert (status, out) == (2, "") and error.startswith(f"srlab: {told}") and error.count("\n") == 1


def test_measurements_are_told_with_their_networks_and_sizes(smoke_study, monkeypatch):
    """Timings of pairs of sides, and limits."""
    monkeypatch.setattr(making, "ceilings", lambda device: {})  # which take long, and are not told
    networks = {model: smoke_study.network(model) for model in ("edsr_like", "lspn")}
    timing = smoke_study.timing().model_copy(update={"networks": networks, "sizes": (8, (16, 20))})
    told = describe(smoke_study.obtain(timing).folder)
    assert "edsr_like, lspn" in told and "8, 16×20 pixels" in told and "repeats=2, warmup=1" in told
    assert "profile.csv, 6 rows; times.csv, 12 rows" in told and "×2" in told

    limits: LimitsRun = smoke_study.limits()
    first = dict(list(limits.networks.items())[:1])
    limits = limits.model_copy(update={"networks": first, "sizes": ((16, 16),)})
    told = describe(smoke_study.obtain(limits).folder)
    assert "limits.csv, 1 row\n" in told and "limit_s=1.0, limit_mib=1024" in told
