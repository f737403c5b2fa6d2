"""What altered weights cost: intervals over seeds, verdicts, and the cost beside each gain."""

import numpy as np
import pandas as pd
import pytest

from srlab import plots
from srlab.analysis.at_work import CHANGES, UNIFORM
from srlab.plots.at_work import at_work as at_work_figure
from srlab.stats import at_work
from srlab.stats.statistics import seed_difference

#: Mean drop by uniform weights of each network, and how far seeds are apart.
UNIFORM_DB = {"trunk_nla": (0.4, 0.01), "lcoan": (0.002, 0.001), "esc": (0.1, 0.3), "trunk_bra": (-0.2, 0.01)}
SHARES = {change: share for change, share in zip(CHANGES, (1, 2, 0.5), strict=True)}


def drops(seeds=3, experiment="from scratch"):
    rows = [
        {"experiment": experiment, "model": model, "seed": seed, "run": f"{model}{seed}", "benchmark": benchmark}
        | {"name": name, "change": change, "psnr_y": 30.0}
        | {"drop_db": share * (mean + spread * (seed - (seeds - 1) / 2) + 0.1 * number - 0.15)}
        for model, (mean, spread) in UNIFORM_DB.items()
        for seed in range(seeds)
        for change, share in SHARES.items()
        for number, (benchmark, name) in enumerate((("Set5", "a"), ("Set5", "b"), ("B100", "a"), ("B100", "b")))
    ]
    return pd.DataFrame(rows)


def test_losses_are_means_with_intervals_over_seeds_simultaneous_for_the_networks_of_a_change():
    found = at_work.losses(drops())
    assert len(found) == len(UNIFORM_DB) * len(CHANGES)
    assert (found["images"] == 4).all() and (found["seeds"] == 3).all()
    for row in found.itertuples():
        mean, spread = (SHARES[row.change] * number for number in UNIFORM_DB[row.model])
        expected = seed_difference(mean + spread * np.array([[-1.0], [0.0], [1.0]]), family=4)
    assert (row.drop_db, row.low_db, row.high_db) == pytest.approx(tuple(expected))
    assert row.run == f"{row.model}0 {row.model}1 {row.model}2"


def test_verdicts_lose_gain_nothing_or_undecided():
    found = at_work.losses(drops())
    uniform = found[found["change"] == UNIFORM].set_index("model")
    assert uniform["told_apart"].to_dict() == {"trunk_nla": True, "lcoan": False, "esc": False, "trunk_bra": True}
    assert uniform["equal"].to_dict() == {"trunk_nla": False, "lcoan": True, "esc": False, "trunk_bra": False}
    words = at_work.answer(found)
    for part in (
        "**From scratch**, 4 crops, 3 seeds.",
        "- uniform weights, something is lost: `trunk_nla` +0.400 [",
        "- uniform weights, something is gained: `trunk_bra` -0.200 [",
        "- uniform weights, nothing is lost beyond ±0.05 dB: `lcoan` +0.002 [",
        "- uniform weights, undecided: `esc` +0.100 [",
        "- shuffled keys: -0.400 (`trunk_bra`) to +0.800 dB (`trunk_nla`).",
        "- own 7×7 only: -0.100 (`trunk_bra`) to +0.200 dB (`trunk_nla`).",
    ):
        assert part in words


def test_of_many_networks_only_the_ends_are_named():
    found = at_work.losses(drops())
    none = found[found["model"] == "lcoan"]
    many = [none.assign(model=f"n{number}", drop_db=number / 1000) for number in range(4)]
    told = at_work.answer(pd.concat(many, ignore_index=True))
    assert (
        "nothing is lost beyond ±0.05 dB: 4 networks, +0.000 (`n0`) to +0.003 dB (`n3`)." in told and "n1" not in told
    )


def test_one_seed_draws_no_verdict():
    found = at_work.losses(drops(seeds=1))
    assert not found["told_apart"].any() and not found["equal"].any() and np.isinf(found["high_db"]).all()
    words = at_work.answer(found)
    assert (
        "- uniform weights: -0.200 (`trunk_bra`) to +0.400 dB (`trunk_nla`). With 1 seed no verdict is drawn." in words
    )
    assert "lost" not in words and "[" not in words


def test_experiments_are_told_apart():
    both = pd.concat([drops(), drops(seeds=6, experiment="branched")])
    found = at_work.losses(both)
    assert found.groupby("experiment")["seeds"].unique().to_dict() == {"branched": [6], "from scratch": [3]}
    words = at_work.answer(found)
    assert "**From scratch**, 4 crops, 3 seeds." in words and "**Branched**, 4 crops, 6 seeds." in words


@pytest.mark.parametrize("by", ["model", "arm"])
def test_the_cost_of_uniform_weights_stands_beside_every_gain(by):
    gains = pd.DataFrame(
        {"benchmark": ["all", "Set5", "all", "all"], by: ["trunk_nla", "trunk_nla", "no_attention", "lcoan"]}
        | {"gain_db": [0.1, 0.2, 0.0, 0.3], "run": ["a", "b", "c", "d"]}
    )
    joined = at_work.beside(gains, drops(), by)
    new = ["uniform_cost_db", "uniform_low_db", "uniform_high_db"]
    assert joined.columns.tolist() == ["benchmark", by, "gain_db", *new, "run"]
    pd.testing.assert_frame_equal(joined[gains.columns], gains)
    np.testing.assert_allclose(joined["uniform_cost_db"], [0.4, 0.4, np.nan, 0.002], atol=1e-12)
    losses = at_work.losses(drops()).query("change == @UNIFORM").set_index("model")
    assert joined[new].iloc[0].tolist() == losses.loc["trunk_nla", ["drop_db", "low_db", "high_db"]].tolist()


def test_the_figure_shows_each_seed_and_the_mean():
    figure = at_work_figure(drops())
    shown = plots.shown(figure)["axes"]
    assert [ax["title"] for ax in shown] == list(CHANGES)
    assert [line[0][0] for line in shown[0]["lines"][1:]] == pytest.approx([0.4, 0.002, 0.1, -0.2])
    assert [len(marks) for marks in shown[2]["marks"]] == [3, 3, 3, 3]
