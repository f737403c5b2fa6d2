"""The command line, as a person uses it: real processes, sentences and exit statuses."""

import json
import subprocess
import sys
from typing import NamedTuple

import pytest
from kept import ROOT

from srlab.cli import app, main


class Done(NamedTuple):
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def srlab(monkeypatch, capsys):
    """`srlab("evaluate", …, SRLAB_DATA=…)`: the command line's entry point, in this process."""

    def call(*arguments: str, **environment: str) -> Done:
        monkeypatch.chdir(ROOT)
        for name, setting in {"SRLAB_DATA": "", **environment}.items():
            monkeypatch.setenv(name, setting)
        monkeypatch.setattr(sys, "argv", ["srlab", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Done(left.value.code or 0, *capsys.readouterr())

    return call


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "srlab", "run", "--profile", "nosuch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("srlab: profile 'nosuch' is unknown") and done.stderr.count("\n") == 1


def test_models_lists_the_registry(srlab):
    done = srlab("models")
    assert done.returncode == 0
    assert "lcoan" in done.stdout and "14.34" in done.stdout and "arXiv:2404.04922" in done.stdout


def test_plan_prints_a_table_and_hours(srlab):
    done = srlab("plan", "--profile", "cpu", "--half-width", "0.1", "--cores", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| network ") and "| seeds for ±0.1 dB " in done.stdout
    assert "| no_attention " in done.stdout and "On 3 cores, a run each" in done.stdout


def test_evaluate_bicubic_writes_records(srlab, tmp_path):
    done = srlab("evaluate", "--scale", "2", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    [record] = json.loads((tmp_path / "out.json").read_text())
    assert {"model", "dataset", "scale", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"} <= record.keys()
    assert record["convention"]["border"] == 2 and record["convention"]["y_rounding"] == "matlab"
    assert len(record["images"]) == 8
    mean = sum(image["psnr_y"] for image in record["images"]) / 8
    assert record["psnr_y"] == pytest.approx(mean)
    assert f"{mean:.3f}" in done.stdout


def test_several_models_and_data_sets_in_one_call_and_their_table(srlab, tmp_path):
    from images import write_png

    from srlab.data.sources import embedded
    from srlab.models import build
    from srlab.weights.checkpoints import save_network

    for name, ref in zip(("Set5", "mine"), embedded().benchmarks["held-out"], strict=False):
        write_png(tmp_path / "data/benchmark" / name / "HR/a.png", ref.read()[:, :64, :48])
    config = {"channels": 8, "groups": 1, "blocks": 1}
    save_network(tmp_path / "w.safetensors", build("no_attention", 4, 0, **config), "no_attention", 4, config)
    done = srlab(
        "evaluate", "--model", "bicubic",
        "--model", "no_attention", "--weights", str(tmp_path / "w.safetensors"),
        "--data", "set5", "--data", str(tmp_path / "data/benchmark/mine"), "--scale", "4", "--ensemble",
        "--tile", "8", "--y-rounding", "none", "--json", str(tmp_path / "out.json"),
        SRLAB_DATA=str(tmp_path / "data"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "out.json").read_text())
    assert [(r["model"], r["dataset"]) for r in records] == [
        ("bicubic", "Set5"),
        ("bicubic", "mine"),
        ("no_attention", "Set5"),
        ("no_attention", "mine"),
    ]
    assert len(records[2]["weights"]["sha256"]) == 64 and "weights" not in records[0]
    assert "8×8" in records[2]["convention"]["tiling"] and "8 flips" in records[2]["convention"]["ensemble"]
    for told in ("bicubic on mine", "rounding of Y: none", "Tiling changed no_attention by"):
        assert told in done.stdout
    table = srlab("table", str(tmp_path / "out.json"), "--format", "csv")
    assert table.returncode == 0 and table.stdout.count("\n") == 5
    written = srlab("table", str(tmp_path / "out.json"), "-o", str(tmp_path / "table.md"))
    assert written.returncode == 0 and "| no_attention | mine" in (tmp_path / "table.md").read_text()


def test_a_trained_network_can_be_evaluated_again(srlab, tmp_path):
    trained = srlab("train", "--profile", "smoke", "--model", "lcoan", SRLAB_RESULTS=str(tmp_path))
    assert trained.returncode == 0, trained.stderr
    [weights] = tmp_path.glob("*/runs/*/weights.safetensors")
    options = [
        "evaluate",
        "--model",
        "lcoan",
        "--weights",
        str(weights),
        "--json",
        str(tmp_path / "out.json"),
    ]
    done = srlab(*options, "--scale", "2")
    assert done.returncode == 0, done.stderr
    recorded = (weights.parent / "images.csv").read_text().splitlines()[1].split(",")
    image = json.loads((tmp_path / "out.json").read_text())[0]["images"][0]
    assert image["psnr_y"] == pytest.approx(float(recorded[2]), abs=1e-3)
    wrong = srlab(*options, "--scale", "4")
    assert wrong.returncode == 2 and "are of lcoan ×2, not lcoan ×4" in wrong.stderr


def test_profile_prints_what_was_measured_and_on_what(srlab):
    done = srlab(
        "profile", "--model", "lcoan", "--size", "16", "--repeats", "2", "--warmup", "1",
        "--set", "channels=8", "--set", "groups=2", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "non-local layers" in done.stdout and "peak_mib" in done.stdout and "float32" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--profile", "smoke", "--only", "zzz*"], "no run of profile 'smoke' matches 'zzz*'"),
        (["train", "--profile", "smoke", "--model", "nosuch"], "model 'nosuch' is unknown"),
        (["train", "--profile", "smoke", "--set", "clusters"], "expected OPTION=VALUE"),
        (["evaluate", "--data", "/nonexistent"], "/nonexistent: no such folder"),
        (["evaluate", "--model", "lcoan"], "--weights is missing"),
        (["evaluate", "--model", "lcoan", "--weights", "/nonexistent.safetensors"], "there is no such file"),
        (["evaluate", "--weights", "w.pth"], "--weights w.pth: there is no --model for it"),
        (["evaluate", "--tile", "0"], "tile 0 with an overlap of 32 pixels"),
        (["evaluate", "--lr", "files"], "no LR files"),
        (["table", "/nonexistent.json"], "/nonexistent.json: cannot be read"),
        (["evaluate", "--scale", "5"], "scale is 5; allowed are 2, 3, 4, 8"),
        (["evaluate", "--y-rounding", "up"], "y_rounding 'up': 'matlab' or 'none' is expected"),
        (["profile", "--device", "tpu"], "device 'tpu' is not known"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(srlab, arguments, told, tmp_path):
    done = srlab(*arguments, SRLAB_RESULTS=str(tmp_path))
    assert done.returncode == 2
    sentence = done.stderr.strip().splitlines()[-1]  # before it there may be a progress bar
    assert sentence.startswith("srlab: ") and told in sentence and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_command_explains_itself():
    for command in app.registered_commands:
        assert command.callback.__doc__.strip()


def test_weights_are_listed_and_checked(srlab, tmp_path):
    from srlab.models import build
    from srlab.weights.checkpoints import save_network

    listed = srlab("weights", "list")
    assert listed.returncode == 0
    for told in ("elan_light_x4.pth", "433400f0b3182d1c", "MIT", "https://github.com/zengkun301/DCTLSA"):
        assert told in listed.stdout
    config = {"channels": 8, "groups": 1, "blocks": 1}
    save_network(tmp_path / "own.safetensors", build("no_attention", 2, 0, **config), "no_attention", 2, config)
    good = srlab("weights", "check", str(tmp_path))
    assert good.returncode == 0, good.stdout
    assert "no_attention ×2" in good.stdout and "not in the catalogue" in good.stdout and "errors: 0" in good.stdout
    (tmp_path / "hit_srf_x4.pth").write_bytes(b"cut off")
    bad = srlab("weights", "check", str(tmp_path))
    assert bad.returncode == 1 and "cannot be opened" in bad.stdout and "errors: 1" in bad.stdout
