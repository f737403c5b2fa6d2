"""The command line: what it writes and prints, sentences and exit statuses."""

import json
import subprocess
import sys

import pytest
from images import write_png
from kept import ROOT

from srlab.data.sources import embedded
from srlab.models import REGISTRY, build
from srlab.weights.checkpoints import save_network

OPTIONS = {"channels": 8, "groups": 1, "blocks": 1}


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "srlab", "run", "--budget", "soon"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("srlab: ") and "soon" in done.stderr and done.stderr.count("\n") == 1


def test_models_lists_the_registry(srlab):
    done = srlab("models")
    assert done.status == 0 and all(name in done.output for name in REGISTRY)
    assert "14.34" in done.output and "arXiv:2404.04922" in done.output


def test_evaluate_bicubic_writes_records(srlab, tmp_path):
    done = srlab("evaluate", "--scale", "2", "--json", tmp_path / "out.json")
    assert done.status == 0, done.errors
    [record] = json.loads((tmp_path / "out.json").read_text())
    assert {"model", "dataset", "scale", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"} <= record.keys()
    assert record["convention"]["border"] == 2 and record["convention"]["y_rounding"] == "matlab"
    assert len(record["images"]) == 8
    mean = sum(image["psnr_y"] for image in record["images"]) / 8
    assert record["psnr_y"] == pytest.approx(mean)
    assert f"{mean:.3f}" in done.output


def test_several_models_and_data_sets_in_one_call_and_their_table(srlab, tmp_path):
    for name, ref in zip(("Set5", "mine"), embedded().benchmarks["held-out"], strict=False):
        write_png(tmp_path / "data/benchmark" / name / "HR/a.png", ref.read()[:, :64, :48])
    save_network(tmp_path / "w.safetensors", build("no_attention", 4, 0, **OPTIONS), "no_attention", 4, OPTIONS)
    done = srlab(
        *("evaluate", "--model", "bicubic", "--model", "no_attention", "--weights", tmp_path / "w.safetensors"),
        *("--data", "set5", "--data", tmp_path / "data/benchmark/mine", "--scale", "4", "--ensemble", "--tile", "8"),
        *("--y-rounding", "none", "--json", tmp_path / "out.json"),
        SRLAB_DATA=str(tmp_path / "data"),
    )
    assert done.status == 0, done.errors
    records = json.loads((tmp_path / "out.json").read_text())
    sets = [(model, name) for model in ("bicubic", "no_attention") for name in ("Set5", "mine")]
    assert [(record["model"], record["dataset"]) for record in records] == sets
    assert len(records[2]["weights"]["sha256"]) == 64 and "weights" not in records[0]
    assert "8×8" in records[2]["convention"]["tiling"] and records[2]["convention"]["y_rounding"] == "none"
    table = srlab("table", tmp_path / "out.json", "--format", "csv")
    assert table.status == 0 and table.output.count("\n") == 5
    assert srlab("table", tmp_path / "out.json", "-o", tmp_path / "table.md").status == 0
    assert "| no_attention | mine" in (tmp_path / "table.md").read_text()


def test_a_trained_network_can_be_evaluated_again(srlab, tmp_path):
    trained = srlab("train", "--profile", "smoke", "--model", "lcoan", SRLAB_RESULTS=str(tmp_path))
    assert trained.status == 0, trained.errors
    [weights] = tmp_path.glob("*/runs/*/weights.safetensors")
    options = ("evaluate", "--model", "lcoan", "--weights", weights, "--json", tmp_path / "out.json")
    done = srlab(*options, "--scale", "2")
    assert done.status == 0, done.errors
    recorded = (weights.parent / "images.csv").read_text().splitlines()[1].split(",")
    image = json.loads((tmp_path / "out.json").read_text())[0]["images"][0]
    assert image["psnr_y"] == pytest.approx(float(recorded[2]), abs=1e-3)
    assert srlab(*options, "--scale", "4").status == 2


def test_profile_prints_measurements(srlab):
    size = ("--size", "16", "--repeats", "2", "--warmup", "1", "--set", "channels=8", "--set", "groups=2")
    done = srlab("profile", "--model", "lcoan", *size, "--device", "cpu")
    assert done.status == 0 and "non-local layers" in done.output and "peak_mib" in done.output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--profile", "nosuch"], "nosuch"),
        (["run", "--profile", "smoke", "--only", "zzz*"], "zzz*"),
        (["train", "--profile", "smoke", "--model", "nosuch"], "nosuch"),
        (["train", "--profile", "smoke", "--set", "clusters"], "--set clusters"),
        (["evaluate", "--data", "/nonexistent"], "/nonexistent"),
        (["evaluate", "--model", "lcoan"], "--weights"),
        (["evaluate", "--weights", "w.pth"], "w.pth"),
        (["evaluate", "--tile", "0"], "tile 0"),
        (["evaluate", "--lr", "files"], "held-out"),
        (["table", "/nonexistent.json"], "/nonexistent.json"),
        (["evaluate", "--scale", "5"], "scale is 5"),
        (["evaluate", "--y-rounding", "up"], "'up'"),
        (["profile", "--device", "tpu"], "'tpu'"),
        (["redraw", "/nonexistent"], "/nonexistent"),
        (["pack", "/nonexistent"], "/nonexistent"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(srlab, arguments, named, tmp_path):
    done = srlab(*arguments, SRLAB_RESULTS=str(tmp_path))
    sentence = done.errors.strip().splitlines()[-1]  # before it there may be a progress bar
    assert done.status == 2 and sentence.startswith("srlab: ") and named in sentence and "Traceback" not in done.errors
    assert not list(tmp_path.iterdir())


def test_weights_are_listed_and_checked(srlab, tmp_path):
    listed = srlab("weights", "list")
    assert listed.status == 0 and "elan_light_x4.pth" in listed.output and "433400f0b3182d1c" in listed.output
    save_network(tmp_path / "own.safetensors", build("no_attention", 2, 0, **OPTIONS), "no_attention", 2, OPTIONS)
    good = srlab("weights", "check", tmp_path)
    assert good.status == 0 and "no_attention ×2" in good.output
    (tmp_path / "hit_srf_x4.pth").write_bytes(b"cut off")
    assert srlab("weights", "check", tmp_path).status == 1
