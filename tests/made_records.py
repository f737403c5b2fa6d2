"""Studies and records made by hand: what runs leave, without their cost."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kept import ROOT

from srlab.measure.evaluation import convention
from srlab.stats.rules import rules
from srlab.study.records import Record
from srlab.study.study import Study

#: The sizes of networks that no test trains for long.
TINY = {
    "device": "cpu",
    "network": {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16},
    "training": {"steps": 1000, "batch": 2, "patch": 16, "learning_rate": 1.0e-3},
}
#: For tests that train: four steps, and two small images.
FEW = {"seeds": [0], "images": 2, "side": 96, "timing": {"repeats": 1, "warmup": 1}}
FEW |= {"training": TINY["training"] | {"steps": 4, "log_every": 2, "checkpoint_every": 2}}


def study_of(root: Path, profile: dict, patch: pytest.MonkeyPatch, device: str = "") -> Study:
    """Return the study of a profile that lies in `root`, with results there; records made by hand have a device."""
    (root / "profiles").mkdir(exist_ok=True)
    (root / "profiles" / "made.yaml").write_text(yaml.safe_dump(TINY | profile, sort_keys=False))
    if not (root / "notebooks").exists():
        (root / "notebooks").symlink_to(ROOT / "notebooks")
    patch.setenv("SRLAB_RESULTS", str(root / "results"))
    patch.setenv("SRLAB_DEVICE", device)
    return Study("made", root)


def write(record: Record, laws: dict | None = None, **tables: pd.DataFrame) -> None:
    """Write a finished record: its tables, and the facts of a run on two threads of a CPU."""
    run = record.run
    record.folder.mkdir(parents=True, exist_ok=True)
    for file in record.files:
        file.write_bytes(b" ")  # an empty file is none
    for name, table in tables.items():
        record.write(name, table)
    facts = {"name": run.name, "hash": run.hash, "config": run.model_dump(mode="json"), "finished": "2026-01-01"}
    facts |= {"environment": {"kind": "cpu", "name": "Abacus", "threads": 2}, "parameters": 43210, "gates": {}}
    facts |= {"convention": convention(run.scale), "ceilings": {"gflops_per_s": 100.0, "gib_per_s": 10.0}}
    (record.folder / "run.json").write_text(json.dumps(facts | {"rules": rules().hashes() if laws is None else laws}))


def images(psnr_y: float, benchmarks: tuple[str, ...], number: int = 3) -> pd.DataFrame:
    """Return evaluated images with this mean PSNR."""
    rows = [
        {"benchmark": benchmark, "name": f"image{image}", "psnr_y": psnr_y + image - (number - 1) / 2, "ssim_y": 0.9}
        for benchmark in benchmarks
        for image in range(number)
    ]
    return pd.DataFrame(rows)
