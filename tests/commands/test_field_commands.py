"""Reach and kinds of the field from a shell: measured, gone on with, and drawn."""

import pytest
import typer.testing
from images import write_png

from srlab.analysis import field_kinds, field_reach
from srlab.analysis.kinds import kinds
from srlab.commands.field import app
from srlab.data.sources import embedded
from srlab.models import build
from srlab.weights.checkpoints import save_network

SMALL = {
    "no_attention": {"channels": 8, "groups": 1, "blocks": 1},
    "trunk_nla": {"channels": 8, "groups": 1, "blocks": 1},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two small networks, four small images, and crops and kinds small enough for a test."""
    for name, config in SMALL.items():
        save_network(tmp_path / f"weights/{name}.safetensors", build(name, 4, 0, **config), name, 4, config)
    photographs = embedded().benchmarks["held-out"]
    for number, ref in enumerate(photographs[:4]):
        write_png(tmp_path / f"data/benchmark/Urban100/HR/{number}.png", ref.read()[:, :96, :96])
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path))
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(field_reach, "SIDE", 16)
    monkeypatch.setattr(field_reach, "STEPS", 1)
    found = {kind: refs[-1:] for kind, refs in kinds(embedded()).items()}
    monkeypatch.setattr(field_kinds, "kinds", lambda data: found)
    return tmp_path / "weights"


def call(*words):
    done = typer.testing.CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def test_reach_and_kinds_are_measured_and_drawn(folder):
    results = folder.parent / "released-weights"
    call("quality", folder, "--data", "Urban100", "--device", "cpu")
    call("costs", folder, "--repeats", 1, "--warmup", 0, "--device", "cpu")
    assert "reach.png" not in call("draw")
    assert "reach.csv" in call("reach", folder, "--places", 2, "--device", "cpu")
    first = (results / "reach.csv").read_text()
    call("reach", folder, "--places", 4, "--device", "cpu")
    assert (results / "reach.csv").read_text().startswith(first) and first.count("\n") == 5
    told = call("kinds", folder, "--data", "Urban100", "--device", "cpu")
    assert "similarity.csv" in told and "kinds.csv" in told
    told = call("draw")
    for name in ("field", "reach", "similarity"):
        assert f"{name}.png" in told
        assert all((results / "figures" / f"{name}.{end}").is_file() for end in ("png", "svg", "json"))
