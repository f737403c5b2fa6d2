"""Records: read from folders and from one packed file, and refused where they may not be mixed or judged."""

import json
import shutil

import pandas as pd
import pytest
from kept import ROOT, references

from srlab.errors import InputError
from srlab.stats.rules import rules
from srlab.study.chapter import chapter_names, module_of
from srlab.study.records import Record, check_one_processor, check_rules, pack, records_in
from srlab.study.study import Study


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    return Study("smoke", ROOT)


def write(
    record: Record, processor: str = "Xeon", finished: str = "2026-01-01T00:00:00Z", allocator: str = "", **facts
) -> Record:
    """Write a finished record by hand."""
    record.folder.mkdir(parents=True)
    environment = {"name": processor, "threads": 2, "torch": "2.0", "kind": "cpu", "commit": "0123456789"}
    environment |= {"allocator": allocator} if allocator else {}
    facts |= {"config": record.run.model_dump(mode="json"), "environment": environment, "finished": finished}
    for table in record.run.tables:
        (record.folder / f"{table}.csv").write_text("name,psnr_y,label\n0801,30.5,a\nNA,,b\n")
    (record.folder / "weights.safetensors").write_bytes(b"weights")
    (record.folder / "run.json").write_text(json.dumps(facts))
    return record


def test_packed_records_are_read_in_place(study):
    runs = [study.training("lcoan"), study.costs()]
    records = [write(study.record(run), finished=f"2026-01-0{i}T00:00:00Z") for i, run in enumerate(runs, 1)]
    before = {record.run.name: record.facts for record in records}
    file = pack(study.folder)
    content = file.read_bytes()
    assert pack(study.folder).read_bytes() == content  # the same records, the same bytes
    shutil.rmtree(study.folder / "runs")
    found = records_in(study.folder)
    assert [record.run for record in found] == runs[::-1]  # the latest first
    assert {record.run.name: record.facts for record in found} == before
    record = study.record(runs[0])
    assert record.readable and not record.finished
    assert record.table("images")["name"].tolist() == ["0801", "NA"]  # names are text
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        record.read("weights.safetensors")
    assert records_in(study.folder, "timing-*")[0].run == runs[1]
    assert study.has(record) and not study.has(study.record(study.training("trunk_lsp")))
    later = write(study.record(study.training("trunk_lsp")), finished="2026-01-03T00:00:00Z")
    pack(study.folder)  # the next piece of a study joins what is packed
    shutil.rmtree(study.folder / "runs")
    assert {each.run.hash for each in records_in(study.folder)} == {run.hash for run in (*runs, later.run)}


@pytest.mark.parametrize(
    ("fact", "written"),
    [
        ("processor", ("Gold", "Gold", "Platinum", "EPYC")),
        ("allocator", ("", "default", "kept", "default")),  # records from before it was written are of the default
    ],
)
def test_times_of_two_processors_or_settings_of_the_allocator_are_refused(study, fact, written):
    runs = (study.costs(), study.timing("a", {}, (8,)), study.timing("b", {}, (8,)), study.training("lcoan"))
    records = [
        write(study.record(run), finished=f"2026-01-0{number}T00:00:00Z", **{fact: value})
        for number, (run, value) in enumerate(zip(runs, written, strict=True), 1)
    ]
    with pytest.raises(InputError) as caught:
        check_one_processor(records)
    message = str(caught.value)
    assert all(word in message for word in (*written[1:3], runs[0].name, runs[1].name))
    assert not any(word in message for word in (runs[2].name, runs[3].name, "EPYC"))
    for fine in (records[:2], records[2:], records[:2] + records[3:]):  # a network may be trained elsewhere
        check_one_processor(fine)


def test_runs_under_other_rules_are_not_judged(study):
    run = study.training("lcoan")
    record = write(study.record(run), rules=rules().hashes())
    check_rules([record], "quality")
    older = Record(run, record.folder)
    older.__dict__["facts"] = record.facts | {"rules": {"quality": "0123456789"}}
    with pytest.raises(InputError, match=rf"{rules().hash('quality')}.*0123456789.*{run.name}"):
        check_rules([older], "quality")
    admitted = Record(run, record.folder)
    admitted.__dict__["facts"] = record.facts | {"rules": {"quality": next(iter(rules().admits["quality"]))}}
    check_rules([admitted], "quality")


@pytest.mark.parametrize("folder", references(), ids=lambda folder: folder.name)
def test_kept_records_have_the_hash_of_their_config_and_one_processor_and_tables_name_them(folder):
    for name in chapter_names():
        module_of(name)  # a chapter may bring a kind of run
    records = records_in(folder)
    assert records
    for record in records:
        assert record.run.hash == record.facts["hash"] == record.folder.name.rpartition("-")[2]
        assert record.readable
    check_one_processor(records)
    # A claim about networks of full size is judged on the records of released ones.
    elsewhere = [record for other in references() if other.name.startswith("released") for record in records_in(other)]
    hashes = {record.run.hash for record in (*records, *elsewhere)} | {"none"}
    for path in sorted(folder.glob("tables/*.csv")):
        named = pd.read_csv(path, dtype=str).get("run", pd.Series(dtype=str)).dropna()
        assert {run for cell in named for run in cell.split()} <= hashes, path.name
