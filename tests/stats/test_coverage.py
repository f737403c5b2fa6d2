"""Intervals cover the truth as often as they promise, in studies simulated from the spreads of kept records."""

import numpy as np
import pandas as pd
import pytest
from kept import results
from scipy import stats

from srlab.stats.coverage import (
    BOOTSTRAP,
    DUNNETT,
    OURS,
    OWN_NETWORKS,
    _intervals,
    coverage_with,
    markdown,
    simulated,
    spreads,
)

PILOTS = results() / "pilots"
#: Of all intervals of a study at once.
ENOUGH = 0.93


@pytest.fixture(scope="module")
def measured():
    return pd.read_csv(PILOTS / "intervals_spreads.csv")


@pytest.mark.parametrize("seeds", [3, 6])
def test_ours_cover_all_at_once_and_dunnett_and_the_bootstrap_do_not(measured, seeds):
    found = coverage_with(measured, seeds, studies=800).set_index("way")["all_at_once"]
    assert found[OURS] >= ENOUGH
    assert found[DUNNETT] < ENOUGH and found[BOOTSTRAP] < ENOUGH


def test_dunnett_is_right_where_seeds_move_all_networks_equally(measured):
    alike = measured[~measured["model"].isin(OWN_NETWORKS)].assign(seed_db=0.02, interaction_db=0.04)
    found = coverage_with(alike, 5, studies=800).set_index("way")["all_at_once"]
    assert found[DUNNETT] >= ENOUGH and found[OURS] >= ENOUGH


def test_dunnetts_intervals_are_scipys_in_every_study(measured):
    """Though scipy is asked for one alone."""
    means, gains, _ = simulated(measured, 5, 3)
    _, half = _intervals(means, gains)[DUNNETT]
    for study in range(3):
        control, *arms = means[study]
        found = stats.dunnett(*arms, control=control, rng=1).confidence_interval(0.95)
        assert (found.high - found.low) / 2 == pytest.approx(half[study], rel=0.02)


def quality_of(networks, seeds, images, of_seeds, noise):
    draw = np.random.default_rng(0).normal
    psnr = 30 + draw(size=(1, 1, images)) + 0.3 * draw(size=(1, seeds, 1))
    psnr = psnr + np.array(of_seeds)[:, None, None] * draw(size=(networks, seeds, 1))
    psnr = psnr + np.array(noise)[:, None, None] * draw(size=(networks, seeds, images))
    keys = [[f"m{i}" for i in range(networks)], range(seeds), ["A"], [f"i{i}" for i in range(images)]]
    frame = pd.MultiIndex.from_product(keys, names=["model", "seed", "benchmark", "name"]).to_frame(index=False)
    return frame.assign(psnr_y=psnr.ravel(), run=frame["model"] + frame["seed"].astype(str))


def test_spreads_are_found_again_whatever_a_seed_does_to_all():
    of_seeds, noise = [0.02, 0.05, 0.1, 0.03, 0.04, 0.06], [0.05, 0.05, 0.1, 0.2, 0.1, 0.1]
    found = spreads(quality_of(6, 3000, 20, of_seeds, noise), "m2")
    order = [2, 0, 1, 3, 4, 5]
    assert found["model"].tolist() == [f"m{i}" for i in order]
    assert found["seed_db"].to_numpy() == pytest.approx(np.array(of_seeds)[order], abs=0.004)
    assert found["interaction_db"].to_numpy() == pytest.approx(np.array(noise)[order], abs=0.004)
    both = np.hypot(found["seed_db"], found["interaction_db"] / 20**0.5)
    assert found["paired_db"].iloc[1:].to_numpy() == pytest.approx(np.hypot(both, both[0])[1:], rel=0.1)
    assert found["paired_db"].iloc[0] == found["image_db"].iloc[0] == 0
    assert found["run"].iloc[1].split()[:2] == ["m00", "m01"]


def test_the_pilots_page_shows_its_table():
    found = pd.read_csv(PILOTS / "intervals.csv")
    assert markdown(found) in (PILOTS / "intervals.md").read_text(encoding="utf-8")
