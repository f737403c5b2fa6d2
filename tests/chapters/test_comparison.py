"""Comparison: quality beside costs, the spread of seeds, and figures with the numbers of the tables."""

import numpy as np
import pandas as pd
import pytest
from legible import faults
from made_records import FEW, study_of

from srlab.chapters import comparison
from srlab.chapters.comparison import figures, frames
from srlab.errors import InputError
from srlab.models.registry import label
from srlab.plots.estimates import BAND
from srlab.stats.gains import NO_RUN, differences

TRAINED = {"no_attention": [30.0, 30.1, 30.05], "trunk_nla": [30.2, 30.05, 30.1], "hit_srf": [30.4, 30.3, 30.35]}
TIMES = {"no_attention": 2.0, "trunk_nla": 9.0, "hit_srf": 4.0}


def quality(means: dict[str, list[float]]) -> pd.DataFrame:
    """Return six images of two benchmarks for each seed."""
    rows = [
        {"run": f"{model}-{seed}", "model": model, "seed": seed, "benchmark": benchmark, "name": f"image{i}"}
        | {"psnr_y": psnr + i + 0.02 * np.sin(7 * i + seed), "ssim_y": 0.9}
        for model, seeds in means.items()
        for seed, psnr in enumerate(seeds)
        for benchmark in ("Set5", "Set14")
        for i in range(6)
    ]
    return pd.DataFrame(rows)


BICUBIC = quality({"bicubic": [29.0]}).drop(columns=["model", "run", "seed"])


def costs() -> pd.DataFrame:
    rows = [
        {"run": "timing", "model": model, "part": part, "width": 64, "height": 64, "median_ms": ms, "q25_ms": 0.9 * ms}
        | {"q75_ms": 1.1 * ms, "repeats": 5, "warmup": 1, "peak_mib": ms, "gflops": 1.0, "parameters": 1000 * i + 1000}
        for i, (model, ms) in enumerate(TIMES.items())
        for part in ("network", "non-local layers")
    ]
    return pd.DataFrame(rows)


def curves(means: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        (f"{model}-{seed}", model, seed, step, 0.1, psnr - 9 / step)
        for model, seeds in means.items()
        for seed, psnr in enumerate(seeds)
        for step in range(1, 41)
    ]
    return pd.DataFrame(rows, columns=["run", "model", "seed", "step", "loss", "validation_psnr"])


def tables(seeds: int = 3) -> dict[str, pd.DataFrame]:
    trained = {model: psnr[:seeds] for model, psnr in TRAINED.items()}
    images = quality(trained)
    return {
        "comparison_images": images,
        "comparison_costs": costs(),
        "comparison_curves": curves(trained),
        "comparison_gains": differences(images),
        "comparison_pairing": frames.spreads(images),
        "bicubic_images": BICUBIC,
    }


def test_the_overview_has_bicubic_first_and_the_costs_of_whole_networks():
    table = frames.overview(quality(TRAINED), costs(), BICUBIC)
    assert table["benchmark"].tolist() == ["Set5"] * 4 + ["Set14"] * 4
    assert table["model"].tolist() == ["bicubic", *TRAINED] * 2 and table["run"][0] == NO_RUN
    assert table["median_ms"][1:4].tolist() == list(TIMES.values()) and np.isnan(table["median_ms"][0])
    assert table["Mparameters"][1:4].tolist() == pytest.approx([0.001, 0.002, 0.003])


def test_the_difference_to_the_reference_excludes_the_spread_that_seeds_share():
    rows = [("no_attention", 0, 30.0), ("no_attention", 1, 31.0), ("lcoan", 0, 30.5), ("lcoan", 1, 31.7)]
    images = pd.DataFrame(rows, columns=["model", "seed", "psnr_y"])
    images = images.assign(benchmark="Set5", name="a", run=images["model"] + images["seed"].astype(str))
    [found] = frames.spreads(images).to_dict("records")
    assert (found["model"], found["seeds"], found["run"]) == ("lcoan", 2, "lcoan0 lcoan1")
    assert (found["spread_db"], found["paired_spread_db"]) == pytest.approx((1.2 / 2**0.5, 0.2 / 2**0.5))
    assert frames.spreads(images[images["seed"] == 0])[["spread_db", "paired_spread_db"]].isna().all(axis=None)


def test_the_figure_has_every_network_at_its_costs_with_the_front_behind():
    figure = figures.comparison(tables())
    assert faults(figure) == []
    found = frames.summary(tables())
    assert found.loc["hit_srf", "gain_db"] == pytest.approx(1.35, abs=0.02)
    for ax, cost in zip(figure.axes, frames.COSTS, strict=True):
        front, *markers = ax.lines
        places = np.array([line.get_xydata()[0] for line in markers])
        assert places == pytest.approx(found[[cost, "gain_db"]].to_numpy())
        assert {text.get_text() for text in ax.texts} == {label(model) for model in TRAINED}
        best = ["no_attention", "hit_srf"] if cost != "kparameters" else list(TRAINED)
        assert front.get_xdata().tolist() == [*found.loc[best, cost], found[cost].max()]


@pytest.mark.parametrize("seeds", [1, 3])
def test_gains_have_a_panel_a_benchmark_and_bars_with_several_seeds(seeds):
    figure = figures.gains(tables(seeds))
    assert faults(figure) == [] and len(figure.axes) == 2
    gains = differences(quality({model: psnr[:seeds] for model, psnr in TRAINED.items()}))
    for ax, benchmark in zip(figure.axes, ("Set5", "Set14"), strict=True):
        own = gains[gains["benchmark"] == benchmark].set_index("model")
        means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() not in ("None", "")]
        assert means == pytest.approx(own.loc[["hit_srf", "trunk_nla"], "gain_db"].tolist())
        bars = [each.get_segments()[0][:, 0] for each in ax.collections if hasattr(each, "get_segments")]
        assert len(bars) == (2 if seeds > 1 else 0) and len(ax.patches) == 1
        assert ax.patches[0].get_facecolor()[:3] == pytest.approx([int(BAND[1:3], 16) / 255] * 3)


def test_curves_and_late_gains_share_colours_and_training_has_a_line_a_seed():
    figure = figures.convergence(tables())
    psnr, late = figure.axes
    assert faults(figure) == [] and len(psnr.lines) == 3 and len(psnr.collections) == 3  # lines and bands
    assert len(late.get_yticks()) == 3
    alone = figures.training(curves({"lcoan": [30.0, 31.0]}))
    assert faults(alone) == [] and len(alone.axes[0].lines) == 2 and len(alone.axes[0].texts) == 2


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_answer_names_every_network(seeds):
    text = comparison.answer(tables(seeds))
    assert all(label(model) in text for model in TRAINED) and "nan" not in text and "inf" not in text


def test_networks_need_the_trunk_without_attention_to_be_compared_with(tmp_path, monkeypatch):
    study = study_of(tmp_path, FEW | {"side": 48, "models": ["lcoan"], "chapters": {"comparison": {}}}, monkeypatch)
    with pytest.raises(InputError, match="no_attention"):
        study.chapter("comparison").tables()
