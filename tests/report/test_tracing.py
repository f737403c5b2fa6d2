"""`srlab trace`: from a hash to the run and its tables, from a printed number or a row to its runs."""

import json
import shutil
import sys

import pandas as pd
import pytest
from kept import ROOT

from srlab.cli import main
from srlab.errors import InputError
from srlab.report.tracing import describe, find_runs, trace
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
    against = ["none", "none", "none", f"0123456789 {record.run.hash}"]
    rows = pd.DataFrame({"model": list("abcd"), "run": cells, "run_reference": against})
    rows.to_csv(tables / "comparison.csv", index=False)
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
        "tables/comparison.csv, 3 rows; notebook 06_comparison, figures comparison",
    ):
        assert part in told
    assert "timing.csv" not in told and "other.csv" not in told


def test_the_first_digits_are_enough_and_a_longer_name_that_holds_them_is_another(record):
    digits = record.run.hash[:6]
    other = record.folder.with_name(f"x{digits}-x2-seed0-ffffffffff")
    shutil.copytree(record.folder, other)
    try:
        assert find_runs(digits, record.folder.parents[2]) == [record.folder]
    finally:
        shutil.rmtree(other)


@pytest.mark.parametrize("place", [".", "reference"])
def test_a_hash_in_two_results_folders_is_told_twice(record, srlab, place):
    results, name = record.folder.parents[2], f"other-{record.run.device}"
    other = results / place / name / "runs" / record.folder.name
    shutil.copytree(record.folder, other)
    try:
        assert find_runs(record.run.hash, results) == [other, record.folder]
        _, told, _ = srlab("trace", record.run.hash)
        assert "--profile smoke --only" in told and "--profile other --only" in told
        assert "no table" in told
    finally:
        shutil.rmtree(other.parents[1])


def test_digits_of_several_runs_are_refused(record):
    hash_ = record.run.hash
    end = "0" if hash_[-1] != "0" else "1"
    other = record.folder.with_name(f"trunk_nla-x2-seed0-{hash_[:-1]}{end}")
    shutil.copytree(record.folder, other)
    try:
        with pytest.raises(InputError, match=rf"'{hash_[:6]}' is the beginning of several: .*{other.name}"):
            find_runs(hash_[:6], record.folder.parents[2])
        assert find_runs(hash_, record.folder.parents[2]) == [record.folder]
    finally:
        shutil.rmtree(other)


def test_a_run_that_is_not_finished_is_not_found(record, tmp_path):
    (tmp_path / "smoke-cpu" / "runs" / "trunk_nla-x2-seed0-0123456789").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no finished run in .* has it"):
        find_runs("0123456789", tmp_path)


@pytest.mark.parametrize(
    ("digits", "told"),
    [
        ("ffff", "hash 'ffff': no finished run in"),
        ("fff", "'fff': the first 4 to 10 digits of a run's hash, a number as it is printed, or TABLE:ROW"),
        ("*", "'*': the first 4 to 10 digits"),
        ("0123456789f", "'0123456789f': the first 4 to 10 digits"),
    ],
)
def test_an_unknown_hash_is_one_sentence_and_status_2(record, srlab, digits, told):
    assert not record.run.hash.startswith("ffff")
    status, out, error = srlab("trace", digits)
    assert (status, out) == (2, "") and error.startswith(f"srlab: {told}") and error.count("\n") == 1


def test_measurements_are_told_with_their_networks_and_sizes(smoke_study, monkeypatch):
    """Timings of pairs of sides, and limits."""
    monkeypatch.setattr(making, "ceilings", lambda device: {})  # which take long, and are not told
    networks = {model: smoke_study.network(model) for model in ("no_attention", "trunk_lsp")}
    timing = smoke_study.timing().model_copy(update={"networks": networks, "sizes": (8, (16, 20))})
    told = describe(smoke_study.obtain(timing).folder)
    assert "no_attention, trunk_lsp" in told and "8, 16×20 pixels" in told and "repeats=2, warmup=1" in told
    assert "profile.csv, 6 rows; times.csv, 12 rows" in told and "×2" in told

    limits: LimitsRun = smoke_study.limits()
    first = dict(list(limits.networks.items())[:1])
    limits = limits.model_copy(update={"networks": first, "sizes": ((16, 16),)})
    told = describe(smoke_study.obtain(limits).folder)
    assert "limits.csv, 1 row\n" in told and "limit_s=1.0, limit_mib=1024" in told


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two results folders, of which one is a reference, with a table of gains, one of many rows, and an answer."""
    results = tmp_path_factory.mktemp("results")
    environment = {"commit": "abcdef1", "name": "AMD EPYC"}
    for study in ("quick-amd-epyc", "reference/cpu-amd-epyc"):
        for folder in (
            "tables",
            "answers",
            "runs/trunk_nla-x2-seed0-00000000aa",
            "runs/no_attention-x2-seed0-00000000bb",
        ):
            (results / study / folder).mkdir(parents=True)
        for run in (results / study / "runs").iterdir():
            (run / "run.json").write_text(json.dumps({"environment": environment, "finished": "2026-01-01"}))
    cpu = results / "reference" / "cpu-amd-epyc"
    gains = {
        "benchmark": ["Set5", "all"], "model": ["trunk_nla", "trunk_nla"], "gain_db": [0.05349, -0.25],
        "share": [0.8349, 0.1], "images": [5, 59],
        "run": ["00000000aa", "00000000aa"], "run_reference": ["00000000bb", "00000000cc"],
    }  # fmt: skip
    pd.DataFrame(gains).to_csv(cpu / "tables" / "comparison_gains.csv", index=False)
    pd.DataFrame(gains).iloc[1:].to_csv(results / "quick-amd-epyc/tables/comparison_gains.csv", index=False)
    many = {"benchmark": "Set5", "name": [f"image{number}" for number in range(9)], "psnr_y": 36.8512}
    pd.DataFrame({**many, "run": "00000000aa"}).to_csv(cpu / "tables" / "comparison_images.csv", index=False)
    (cpu / "answers" / "06_comparison.md").write_text("It gains +0.053 dB in 1.64 of the time, 17.053 in all.\n")
    return results


RUN = "run trunk_nla-x2-seed0-00000000aa: commit abcdef1, AMD EPYC, finished 2026-01-01"


def test_a_row_is_told_with_what_names_it_and_the_runs_of_both_sides(results):
    told = trace("comparison_gains:1", results=results, profile="cpu")
    assert told.splitlines() == [
        "reference/cpu-amd-epyc/tables/comparison_gains.csv, row 1: gain_db = 0.05349, share = 0.8349, images = 5",
        "  benchmark = Set5, model = trunk_nla",
        f"  {RUN}",
        "  run no_attention-x2-seed0-00000000bb: commit abcdef1, AMD EPYC, finished 2026-01-01",
    ]
    both = trace("comparison_gains:1", results=results)
    assert "quick-amd-epyc/tables/comparison_gains.csv, row 1: gain_db = -0.25" in both
    assert "run 00000000cc: not among the finished runs of quick-amd-epyc" in both


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("+0.053", "gain_db = 0.05349"),
        ("0.053", "gain_db = 0.05349"),
        ("+0.05 dB", "gain_db = 0.05349"),
        ("0.0535", "gain_db = 0.05349"),
        ("-0.25", "gain_db = -0.25"),
        ("−0.2 dB", "gain_db = -0.25"),
        ("±0.25 dB", "gain_db = -0.25"),
        ("83 %", "share = 0.8349"),
        ("0.83×", "share = 0.8349"),
        ("59", "images = 59"),
    ],
)
def test_a_number_is_found_as_it_was_rounded(results, printed, found):
    told = trace(printed, "cpu", results)
    assert f"tables/comparison_gains.csv, row {2 if '-0.25' in found or '59' in found else 1}: {found}" in told
    assert RUN in told


@pytest.mark.parametrize("printed", ["-0.053", "+0.054", "+0.05350", "+0.25", "83", "84 %", "1,000"])
def test_what_rounds_otherwise_is_not_it(results, printed):
    with pytest.raises(InputError, match=r"no table under .* rounds to it and no answer says it"):
        trace(printed, "cpu", results)


def test_what_answers_say_is_told_too(results):
    told = trace("+0.053", "cpu", results)
    assert "reference/cpu-amd-epyc/answers/06_comparison.md; tables of that notebook: comparison, " in told
    ratio = trace("1.64", "cpu", results)
    assert ratio.startswith("No table holds it.") and "06_comparison.md" in ratio
    assert "answers" not in trace("comparison_gains:1", "cpu", results)
    with pytest.raises(InputError):
        trace("7.053", "cpu", results)  # only the end of 17.053


def test_many_rows_are_counted(results):
    told = trace("36.85", results=results)
    assert told.splitlines() == [
        "9 rows of 1 table round to it; `srlab trace TABLE:ROW` tells a row's runs:",
        "  reference/cpu-amd-epyc/tables/comparison_images.csv: 9 (rows 1, 2, 3, 4, 5, …), psnr_y",
    ]
    assert "name = image8" in trace("comparison_images:9", results=results)


@pytest.mark.parametrize("row", ["comparison_gains:0", "comparison_gains:3", "nosuch:1"])
def test_a_row_that_is_not_there_is_told(results, row):
    with pytest.raises(InputError, match=f"row '{row}': no table of that name"):
        trace(row, results=results)


def test_a_negative_number_is_no_option(srlab, results, monkeypatch):
    monkeypatch.setenv("SRLAB_RESULTS", str(results))
    status, told, _ = srlab("trace", "-0.25", "--profile", "cpu")
    assert status == 0 and "gain_db = -0.25" in told and "quick" not in told
    status, out, error = srlab("trace", "+0.999")
    assert (status, out) == (2, "") and error.count("\n") == 1
