"""Reach of released networks: only places that all share, pairs with their intervals, and no cause claimed."""

import numpy as np
import pandas as pd
import pytest

from srlab.errors import InputError
from srlab.stats import field_reach
from srlab.stats.statistics import spearman

#: PSNR of the whole data set; the widest is not the best.
PSNR = {"middle": 27.0, "wide": 26.8, "narrow": 26.6}
WIDTH = {"middle": 10.0, "wide": 20.0, "narrow": 10.0}


def records():
    return [{"model": "bicubic", "dataset": "Urban100", "psnr_y": 23.0}] + [
        {"model": model, "dataset": dataset, "psnr_y": psnr, "weights": {"sha256": f"sum of {model}"}}
        for model, psnr in PSNR.items()
        for dataset in ("Set5", "Urban100")
    ]


def reach(number=20):
    random = np.random.default_rng(0)
    tables = []
    for model, width in WIDTH.items():
        table = pd.DataFrame({"model": model, "dataset": "Urban100", "name": [f"img_{n:03d}" for n in range(number)]})
        index = width + random.normal(0, 1, number)
        gain = -index if model == "wide" else random.normal(3, 1, number)
        radii = {"lam_50": 8.0, "lam_90": 2 * width, "erf_50": 7.0, "erf_90": 20.0}
        table = table.assign(diffusion_index=index, gain_db=gain, psnr_y=20.0, side=96, steps=5, **radii)
        tables.append(table.assign(sha256=f"sum of {model}", row=50, col=50, window=16))
    return pd.concat(tables, ignore_index=True)


def test_places_are_those_that_all_networks_share_with_the_weights_of_their_records():
    found = field_reach.places(records(), reach().iloc[:-1])
    assert list(found["model"].unique()) == list(PSNR)  # by falling PSNR
    assert set(found.groupby("model")["name"].nunique()) == {19} and "img_019" not in set(found["name"])
    assert found.groupby("model")["dataset_psnr"].first().to_dict() == PSNR
    other = reach().assign(sha256=lambda table: table["sha256"].where(table["model"] != "wide", "another"))
    assert set(field_reach.places(records(), other)["model"]) == {"middle", "narrow"}
    with pytest.raises(InputError, match="none of the networks with records on Urban100; `srlab field reach`"):
        field_reach.places(records(), reach().assign(sha256="another"))


def test_networks_are_compared_place_by_place():
    pairs = field_reach.pairs(field_reach.places(records(), reach())).set_index(["model", "against"])
    assert list(pairs.index) == [("middle", "wide"), ("middle", "narrow"), ("wide", "narrow")]
    apart, alike = pairs.loc["wide", "narrow"], pairs.loc["middle", "narrow"]
    assert apart["difference"] == pytest.approx(10, abs=1) and apart["low"] > 8 and apart["wider"] == 1
    assert alike["low"] < 0 < alike["high"] and set(pairs["places"]) == {20}


def test_a_network_that_gains_more_where_it_draws_wider_than_another_is_found():
    table = reach()
    wide, narrow = (table["model"] == model for model in ("wide", "narrow"))
    apart = table.loc[wide, "diffusion_index"].to_numpy() - table.loc[narrow, "diffusion_index"].to_numpy()
    table.loc[wide, "gain_db"] = (
        table.loc[narrow, "gain_db"].to_numpy() + apart + np.random.default_rng(2).normal(0, 0.1, 20)
    )
    found = field_reach.places(records(), table)
    pairs = field_reach.pairs(found).set_index(["model", "against"])
    assert pairs.loc[("wide", "narrow"), "rho_low"] > 0.8
    assert pairs.loc[("middle", "narrow"), "rho_low"] < 0 < pairs.loc[("middle", "narrow"), "rho_high"]
    assert "it also leads by more in " in field_reach.answer(found)


def test_within_a_network_gains_are_set_against_reach():
    rho = field_reach.within(field_reach.places(records(), reach())).set_index("model")
    assert rho.loc["wide", "rho"] == pytest.approx(-1)
    assert rho.loc["narrow", "low"] < 0 < rho.loc["narrow", "high"]


def test_the_answer_claims_no_cause():
    told = field_reach.answer(field_reach.places(records(), reach()))
    assert "median of 20 places of Urban100" in told
    assert "`middle` and `narrow` are not told apart" in told
    assert "The order by reach is not that by PSNR (`middle` > `wide` > `narrow`)" in told
    assert "1 in 6 by chance" in told and "nothing is told of reach as a cause" in told


def test_the_interval_of_a_rank_correlation_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        first = random.normal(size=40)
        second = 0.6 * first + 0.8 * random.normal(size=40)
        found = spearman(first, second)
        covered += found.low < 6 / np.pi * np.arcsin(0.3) < found.high  # Spearman's ρ of such a pair
    assert 0.92 < covered / 400 < 0.98
    assert spearman([1, 2, 3], [1, 3, 2]).high == np.inf
    one, all_at_once = spearman(first, second), spearman(first, second, 6)
    assert all_at_once.low < one.low < one.high < all_at_once.high


def test_what_a_third_explains_is_taken_out():
    random = np.random.default_rng(1)
    third = random.normal(size=300)
    first, second = (third + 0.5 * random.normal(size=300) for _ in range(2))
    assert spearman(first, second).low > 0.6
    beyond = spearman(first, second, given=third)
    assert beyond.low < 0 < beyond.high
    ranks = [pd.Series(side).rank() for side in (first, second, third)]
    left = [side - np.polyval(np.polyfit(ranks[2], side, 1), ranks[2]) for side in ranks[:2]]
    assert beyond.value == pytest.approx(np.corrcoef(*left)[0, 1])
