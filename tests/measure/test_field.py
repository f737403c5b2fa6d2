"""Records of released networks: made once a network and data set, kept by checksum, and their costs in one run."""

import json

import pandas as pd
import pytest
import torch
from kept import results

from srlab.data.layouts import held_out
from srlab.errors import InputError
from srlab.files import checksum
from srlab.measure import field
from srlab.measure.field import COSTS, SCALE, contenders, make_records, measure_costs, read_field
from srlab.measure.published import compare, published, render
from srlab.models import build
from srlab.stats.field import common_data_set, costs_markdown, elsewhere, measured, output
from srlab.weights.checkpoints import save_network

SMALL = {"no_attention": {"channels": 8, "groups": 1, "blocks": 1}, "elan_light": {"channels": 6, "layers": 2}}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with two small networks ×4 of random weights, one on the trunk, and one ×2 that is passed over."""
    folder = tmp_path_factory.mktemp("weights")
    for name, options in SMALL.items():
        save_network(folder / f"{name}.safetensors", build(name, 4, 0, **options), name, 4, options)
    options = SMALL["no_attention"]
    save_network(folder / "x2.safetensors", build("no_attention", 2, 0, **options), "no_attention", 2, options)
    return folder


@pytest.fixture(scope="module")
def few():
    benchmark = held_out()
    return [type(benchmark)(name, benchmark.folder, benchmark.hr[:2]) for name in ("Set14", "Set5")]


@pytest.fixture(scope="module")
def made(weights, few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    make_records(contenders(weights), few, folder)
    return folder


def test_every_network_of_the_scale_has_a_record_a_data_set(made, weights):
    assert sorted(path.name for path in made.iterdir()) == [f"{name}_x4.json" for name in ("bicubic", *SMALL)]
    records = json.loads((made / "edsr_like_x4.json").read_text())
    assert [(r["model"], r["dataset"], r["scale"], len(r["images"])) for r in records] == [
        ("no_attention", "Set5", 4, 2),
        ("no_attention", "Set14", 4, 2),
    ]
    assert records[0]["weights"] == {
        "file": "no_attention.safetensors",
        "sha256": checksum(weights / "no_attention.safetensors"),
    }
    assert records[0]["convention"]["y_rounding"] == "none"
    assert "weights" not in json.loads((made / "bicubic_x4.json").read_text())[0]


def test_what_is_recorded_is_kept_and_other_weights_are_not(made, weights, few, tmp_path, monkeypatch):
    assessed = []
    monkeypatch.setattr(field, "assess", lambda model, benchmark, *rest: assessed.append(benchmark.name))
    make_records(contenders(weights), few, made)
    assert assessed == []
    copy = tmp_path / "weights"
    copy.mkdir()
    name, options = "no_attention", SMALL["no_attention"]
    save_network(copy / "again.safetensors", build(name, 4, 1, **options), name, 4, options)
    again = [each for each in contenders(copy) if each.weights]
    assert not field._kept(again[0], few[0], made, "cpu")
    assert not field._kept(contenders(weights)[0], held_out(), made, "cpu")  # more images


def test_an_interrupted_call_goes_on(weights, few, tmp_path, monkeypatch):
    real, calls = field.assess, []

    def broken(model, benchmark, *rest):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(benchmark.name)
        return real(model, benchmark, *rest)

    chosen = contenders(weights, ["no_attention", "bicubic"])
    monkeypatch.setattr(field, "assess", broken)
    with pytest.raises(KeyboardInterrupt):
        make_records(chosen, few, tmp_path)
    calls.clear()
    make_records(chosen, few, tmp_path)
    assert calls == ["Set14", "Set5"] and len(list(tmp_path.iterdir())) == 2


def test_names_that_are_not_there_and_two_files_of_one_network_are_refused(weights, tmp_path):
    with pytest.raises(InputError, match=r"network 'dat' is not in .*; there are: bicubic, no_attention, elan_light"):
        contenders(weights, ["dat"])
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors").write_bytes((weights / "no_attention.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"one.safetensors and two.safetensors are both of no_attention ×4"):
        contenders(tmp_path)


@pytest.fixture(scope="module")
def costs(made, weights):
    """Timed on two small inputs, of as many shapes as the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(field, "SIZES", ((18, 32), (16, 16)))
        return measure_costs(contenders(weights), made, torch.device("cpu"), repeats=2, warmup=1)


def test_costs_of_all_networks_come_from_one_run(costs, made):
    assert costs["label"].tolist() == 2 * list(SMALL)
    assert (costs[["median_ms", "peak_mib", "gflops", "parameters"]] > 0).all().all()
    assert (costs["q25_ms"] <= costs["median_ms"]).all() and costs["commit"].nunique() == 1
    _, read = read_field(made)
    pd.testing.assert_frame_equal(read, costs.reset_index(drop=True), check_dtype=False)
    assert (made / COSTS).is_file()


def test_tables_join_what_was_measured_with_the_same_weights(costs, made):
    records, read = read_field(made)
    assert records[0]["model"] == "bicubic"
    table = measured(records, read)
    assert table["model"].tolist() == ["no_attention", "no_attention", "elan_light", "elan_light"]
    assert set(table["dataset"]) == {"Set14"} and set(table["images"]) == {2}
    assert table["output"].tolist()[:2] == ["128×72", "64×64"]
    other = read.assign(sha256=read["sha256"].where(read["label"] == "elan_light", "another"))
    assert set(measured(records, other)["model"]) == {"elan_light"}
    with pytest.raises(InputError, match="costs of none"):
        measured(records, read.assign(sha256="another"))


def test_costs_that_are_missing_are_told(costs, made):
    records, read = read_field(made)
    real = read.replace({"height": {18: 180, 16: 128}, "width": {32: 320, 16: 128}})
    text = costs_markdown(records, real[real["label"] == "no_attention"])
    lines = [line for line in text.splitlines() if line.startswith("| e")]
    assert "not measured yet" not in lines[0] and lines[1].count("not measured yet") == 2
    assert "bicubic" not in text and "2 repeats" in text
    assert costs_markdown(records, None).count("not measured yet") == 4


def test_the_chart_is_of_the_last_data_set_that_all_have():
    def record(model, dataset):
        return {"model": model, "dataset": dataset}

    both = [record(model, dataset) for model in ("a", "b") for dataset in ("Set5", "Set14")]
    assert common_data_set([*both, record("a", "Urban100"), record("bicubic", "Set5")]) == "Set14"
    with pytest.raises(InputError, match="no data set on which all of a, b"):
        common_data_set([record("a", "Set5"), record("b", "Set14")])


def test_what_is_published_stands_apart_with_its_source():
    table = elsewhere("Urban100")
    row = table.set_index("method").loc["ESC"]
    assert (row["psnr_y"], row["latency_ms"], row["memory_mb"], row["parameters"]) == (27.07, 21.9, 215, 968000)
    assert table["source"].str.contains("arxiv.org").all()
    assert len(elsewhere("Manga109")) == len(table) - 1  # one is not reported there
    assert output(180, 320) == "1280×720"


def test_the_committed_records_are_within_hundredths_of_what_is_published():
    records, _ = read_field(results() / "released-weights")
    assert {record["scale"] for record in records} == {SCALE}
    assert {record["convention"]["y_rounding"] for record in records} == {"none"}
    table = compare(records).dropna(subset="psnr_y_published")
    assert {"hit_srf", "elan_light"} <= set(table["model"])
    assert table["psnr_y_difference"].abs().max() <= 0.02
    # Those of ELAN-light are of another training than the paper's.
    assert table.loc[table["model"] == "hit_srf", "ssim_y_difference"].abs().max() <= 0.001
    assert table["ssim_y_difference"].abs().max() <= 0.003


def test_who_trained_catalogued_weights_is_told():
    records, _ = read_field(results() / "released-weights")
    text = render(records)
    assert "Trained: " in text and "hit_srf the authors', on DIV2K" in text
    assert "ELAN-light" in set(published()["method"])
