"""Gains: paired by image and seed, with the interval of the seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from srlab.stats.gains import ALL, NO_RUN, differences, late_gains, means, over_bicubic, paired, pareto, pooled


def quality(gain=0.1, seeds=3, noise=0.02):
    keys = pd.MultiIndex.from_product(
        [["no_attention", "trunk_nla", "lcoan"], range(seeds), ["Set5", "B100"], ["a", "b"]],
        names=["model", "seed", "benchmark", "name"],
    ).to_frame(index=False)
    drawn = noise * np.random.default_rng(0).normal(size=len(keys))
    run = keys["model"] + keys["seed"].astype(str)
    return keys.assign(run=run, psnr_y=30 + gain * (keys["model"] == "lcoan") + drawn, ssim_y=0.9)


def test_differences_are_students_over_seeds_simultaneous_per_benchmark():
    images = quality()
    found = differences(images).set_index(["benchmark", "model"])
    assert set(found.index.get_level_values(0)) == {"Set5", "B100", ALL}
    own = images.pivot_table(index="seed", columns="model", values="psnr_y")
    gains = own["lcoan"] - own["no_attention"]
    row = found.loc[ALL, "lcoan"]
    half = stats.t.ppf((1 + 0.95**0.5) / 2, 2) * stats.sem(gains)
    printed = (row.gain_db, row.low_db, row.high_db, row.spread_db)
    assert printed == pytest.approx((gains.mean(), gains.mean() - half, gains.mean() + half, gains.std()))
    assert (row.images, row.seeds, row.images_higher) == (4, 3, 4) and row.significant and not row.equal
    assert row.run.split() == [f"lcoan{seed}" for seed in range(3)]


@pytest.mark.parametrize(
    ("gain", "seeds", "verdict"),
    [(0.03, 3, (True, True)), (0.0, 3, (False, True)), (0.2, 3, (True, False)), (0.2, 1, (False, False))],
)
def test_a_gain_may_be_significant_and_smaller_than_the_margin_and_one_seed_is_neither(gain, seeds, verdict):
    row = differences(quality(gain, seeds, noise=0.001)).query("model == 'lcoan' and benchmark == 'all'").iloc[0]
    assert (row.significant, row.equal) == verdict and np.isinf(row.high_db) == (seeds == 1)


def test_each_value_within_a_column_has_its_own_reference():
    images = pd.concat([quality(0.1).assign(groups=1), quality(0.5).assign(groups=2)])
    found = differences(images, within="groups").query("model == 'lcoan' and benchmark == 'all'")
    assert found["gain_db"].round(1).tolist() == [0.1, 0.5]
    assert len(paired(images, "model", "no_attention", "groups")) == 2 * len(images) // 3


def test_means_are_over_images_then_seeds_and_bicubic_has_no_seed():
    bicubic = quality().query("model == 'no_attention' and seed == 0").assign(model="bicubic", run=NO_RUN, psnr_y=29.0)
    table = means(pd.concat([bicubic, quality()])).set_index(["benchmark", "model"])
    assert table.loc["Set5", "bicubic"][["seeds", "images", "psnr_y"]].tolist() == [0, 2, 29.0]
    own = quality().query("model == 'lcoan' and benchmark == 'Set5'").groupby("seed")["psnr_y"].mean()
    assert table.loc["Set5", "lcoan"][["lowest_db", "psnr_y", "highest_db"]].tolist() == pytest.approx(
        [own.min(), own.mean(), own.max()]
    )
    assert over_bicubic(quality(), bicubic)["gain_db"].tolist() == pytest.approx((quality()["psnr_y"] - 29).tolist())


def test_pooled_rows_are_of_all_benchmarks_or_of_the_only_one():
    for images, name in ((quality(), ALL), (quality().query("benchmark == 'Set5'"), "Set5")):
        assert set(pooled(differences(images))["benchmark"]) == {name}


def test_late_gains_are_those_of_the_last_quarter():
    curve = pd.DataFrame({"step": [10, 20, 30, 40], "validation_psnr": [1.0, 3.0, 4.0, 4.5]})
    found = late_gains(curve.assign(run="a", model="lcoan", seed=0))
    assert found[["run", "late_db"]].values.tolist() == [["a", 0.5]]


def test_the_pareto_front_is_what_no_row_beats_in_both():
    rows = pd.DataFrame({"cost": [1, 2, 3, 4], "gain_db": [0.1, 0.3, 0.2, 0.4]})
    assert pareto(rows, "cost")["cost"].tolist() == [1, 2, 4]
