"""A study without its cost: weights and tables made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kept import ROOT
from torch import nn

from srlab.data.layouts import held_out
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network


def new_study(folder: Path, monkeypatch: pytest.MonkeyPatch, *pictures: str) -> Study:
    """Return the smoke study with its results in `folder`, and perhaps with these photographs of the held-out ones."""
    monkeypatch.setenv("SRLAB_RESULTS", str(folder))
    if pictures:
        refs = {ref.name: ref for ref in held_out().hr}
        monkeypatch.setattr(Study, "pictures", tuple(refs[name] for name in pictures))
    return Study("smoke", ROOT)


def teach(study: Study, model: str) -> nn.Module:
    """Return a network as if the study had trained it: weights of a seed that random ones never have."""
    record = study.record(study.training(model))
    network = record.run.network
    taught = network.build(study.profile.scale, seed=5).eval()
    save_network(record.folder / "weights.safetensors", taught, model, study.profile.scale, network.options)
    for file in record.files:
        if not file.exists():
            file.write_bytes(b" ")  # an empty file is none
    return taught


def write_comparison(folder: Path, models: tuple[str, ...], psnr: float = 31.0) -> None:
    """Write the tables of bicubic (29 dB) and of models; each next one has 0.1 dB and 5.126 ms more."""
    (folder / "tables").mkdir(parents=True)
    n = np.arange(len(models))
    means = pd.DataFrame({"model": models, "psnr_y": psnr + 0.1 * n, "median_ms": 5.126 * (n + 1)})
    means = means.assign(seeds=3, peak_mib=4.0, Mparameters=0.06)
    bicubic = pd.DataFrame({"model": ["bicubic"], "psnr_y": 29.0, "seeds": 0})
    means = pd.concat([bicubic, means]).assign(benchmark="Set5", images=2, lowest_db=28.0, highest_db=33.0)
    images = pd.DataFrame([{"model": model, "name": name} for model in models for name in "ab"])
    images = images.assign(benchmark="Set5", psnr_y=[30.0, 32.0] * len(models))
    tables = {"": means, "_images": images, "_costs": means.assign(size=64)}
    for name, table in tables.items():
        table.to_csv(folder / "tables" / f"comparison{name}.csv", index=False)
    images.drop(columns="model").to_csv(folder / "tables" / "bicubic_images.csv", index=False)
