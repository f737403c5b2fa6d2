"""Branched: gains over two controls, changes since the start, and the figure of both."""

import numpy as np
import pandas as pd
import pytest

from srlab.chapters import branched
from srlab.chapters.branched import gains as frames
from srlab.files import write_table
from srlab.study.chapter import Tables

#: Y-PSNR of each arm above that of the trunk at the start, for the mean trunk.
CHANGE = {"no_attention": -0.03, "trunk_conv7": -0.028, "lcoan": -0.01, "trunk_window side=8": -0.04}


def evaluated(change, seeds=3):
    """Two images of one benchmark, one of another; trunks differ by their seed, arms by a little of it."""
    rows = [
        {"run": f"{arm}{seed}", "arm": arm, "seed": seed, "benchmark": benchmark, "name": name}
        | {"psnr_y": 30 + seed + number + gain + 0.001 * seed * (arm == "lcoan")}
        for arm, gain in change.items()
        for seed in range(seeds)
        for number, (benchmark, name) in enumerate((("Set5", "a"), ("Set5", "b"), ("B100", "a")))
    ]
    return pd.DataFrame(rows)


def made(seeds=3):
    images, trunks = evaluated(CHANGE, seeds), evaluated({frames.START: 0.0}, seeds).drop(columns="arm")
    gates = pd.DataFrame(
        {"arm": ["lcoan", "trunk_conv7"], "seed": 0, "layer": "groups.0", "open": [1.5, 0.5], "run": "a"}
    )
    return {
        "branched_gains": frames.gains(images),
        "branched_seeds": frames.seeds(images),
        "branched_start": frames.start(images, trunks, 72.0),
        "branched_gates": pd.DataFrame(gates),
    }


def test_gains_are_over_both_controls_and_the_best_stands_first():
    gains = made()["branched_gains"].set_index("arm")
    assert list(gains.index) == ["lcoan", "trunk_conv7", "trunk_window side=8"]
    assert gains["gain_db"].to_numpy() == pytest.approx([0.021, 0.002, -0.01])
    assert gains["over_local_db"].to_numpy() == pytest.approx([0.019, np.nan, -0.012], nan_ok=True)
    assert (gains["low_db"] <= gains["gain_db"]).all() and (gains["images"] == 3).all()
    assert gains.loc["lcoan", "significant"] and gains.loc["lcoan", "equal"]
    assert gains.columns[-1] == "run"


def test_without_the_second_control_there_is_no_gain_over_it():
    gains = frames.gains(evaluated({arm: CHANGE[arm] for arm in ("no_attention", "lcoan")}))
    assert gains["over_local_db"].isna().all()


def test_every_run_is_compared_with_the_trunk_of_its_seed():
    start = made()["branched_start"]
    assert start.groupby("arm")["change_db"].mean().to_dict() == pytest.approx(CHANGE | {"lcoan": -0.009})
    assert len(start) == 3 * len(CHANGE) and set(start["lr_side"]) == {72.0}


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_and_the_answer_are_made_of_the_tables(tmp_path, seeds):
    for name, frame in made(seeds).items():
        write_table(tmp_path / "tables" / f"{name}.csv", frame)
    since, over = branched.FIGURES["branched"](Tables(tmp_path)).axes
    assert len(since.get_yticks()) == len(CHANGE)
    assert len(over.collections) == len(CHANGE) + (len(CHANGE) - 1) * (seeds > 1)  # dots, and bars but of the control
    values = [line.get_xdata()[0] for line in since.lines if line.get_marker() not in ("None", None)]
    assert values == pytest.approx(since_start(seeds))
    text = branched.answer(Tables(tmp_path))
    assert f"{4 * seeds} of {4 * seeds}" in text and "72×72" in text


def since_start(seeds):
    """Means in the order of the rows: arms by gain, then both controls."""
    return [-0.01 + 0.001 * (seeds - 1) / 2, -0.04, -0.028, -0.03]
