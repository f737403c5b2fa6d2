"""Estimates and their intervals, against simulated studies whose truth is known, and against scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kept import ROOT
from scipy import stats

from srlab.errors import InputError
from srlab.stats.intervals import (
    Estimate,
    equivalent,
    growth_exponent,
    half_width,
    matrix,
    over_seeds,
    ratio_of_medians,
    seed_difference,
    seeds_needed,
    spearman,
)


def simulated(seeds=5, images=20):
    """Differences of two networks: what each seed, each image and both together add to the truth, 0.1."""
    draw = np.random.default_rng(0).normal
    return 0.1 + 0.05 * draw(size=(seeds, 1)) + 0.2 * draw(size=(1, images)) + 0.05 * draw(size=(seeds, images))


def width(estimate):
    return estimate.high - estimate.low


class TestSeedDifference:
    @pytest.mark.parametrize("images", [1, 20])
    @pytest.mark.parametrize("family", [1, 2, 13])
    def test_it_is_students_simultaneous_interval_of_the_seeds_means(self, family, images):
        means = simulated(images=images).mean(1)
        oracle = stats.ttest_1samp(means, 0).confidence_interval(0.95 ** (1 / family))
        found = seed_difference(simulated(images=images), family)
        assert found == pytest.approx((means.mean(), oracle.low, oracle.high))
        assert half_width(float(means.std(ddof=1)), 5, family) == pytest.approx(width(found) / 2)

    @given(hnp.arrays(float, (4, 6), elements=st.floats(-1, 1)), st.floats(-9, 9))
    def test_what_images_add_to_every_seed_only_moves_it(self, differences, shift):
        """Images are not replicates: that they differ widens nothing, and another order of them changes nothing."""
        found = seed_difference(differences)
        moved = seed_difference(differences + np.linspace(-5, 5, 6) + shift)
        assert moved == pytest.approx(tuple(np.array(found) + shift), abs=1e-9)
        assert seed_difference(differences[:, ::-1].copy()) == pytest.approx(found)
        assert seed_difference(differences[::-1].copy()) == pytest.approx(found)

    def test_one_seed_tells_nothing(self):
        one = simulated(seeds=1)
        assert seed_difference(one) == (pytest.approx(one.mean()), -np.inf, np.inf)
        assert not seed_difference(one).excludes_zero and not equivalent(seed_difference(one), 1e9)
        assert half_width(0.1, 1, 7) == np.inf

    def test_equal_differences_leave_nothing_open(self):
        assert seed_difference(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5)
        assert seed_difference(np.full((3, 4), 0.5)).excludes_zero
        assert not seed_difference(np.zeros((3, 4))).excludes_zero

    @pytest.mark.parametrize("hole", [np.nan, np.inf])
    def test_a_hole_is_told(self, hole):
        differences = simulated()
        differences[1, 2] = hole
        with pytest.raises(InputError, match="finite"):
            seed_difference(differences)


class TestEquivalence:
    def test_only_what_lies_wholly_within_the_margin(self):
        within, beyond = [(-0.04, 0.03), (0.01, 0.04)], [(-0.05, 0.03), (-0.04, 0.06), (0.06, 0.07)]
        equal = [ends for ends in within + beyond if equivalent(Estimate(0.0, *ends), 0.05)]
        assert equal == within

    @pytest.mark.parametrize("mean", [-0.06, -0.01, 0.0, 0.02])
    def test_it_is_two_one_sided_tests_at_half_the_intervals_error(self, mean):
        means = mean + np.array([-0.012, 0.001, 0.011, 0.0])
        above, below = (
            stats.ttest_1samp(means, side * 0.05, alternative=way).pvalue
            for side, way in ((-1, "greater"), (1, "less"))
        )
        assert equivalent(over_seeds(means), 0.05) == (max(above, below) < 0.025)


class TestPower:
    @given(st.floats(0.001, 0.5), st.floats(0.01, 0.2), st.integers(1, 20))
    def test_one_seed_less_would_be_too_few(self, spread, wanted, family):
        needed = seeds_needed(spread, wanted, family)
        if needed is None:
            assert half_width(spread, 100, family) > wanted
        else:
            assert half_width(spread, needed, family) <= wanted
            assert needed == 3 or half_width(spread, needed - 1, family) > wanted

    def test_no_spread_still_needs_as_many_as_give_a_verdict(self):
        assert seeds_needed(0.0, 0.05, 13) == 3
        assert seeds_needed(10.0, 0.05, 13) is None


class TestRatioOfMedians:
    def test_what_slows_both_calls_does_not_widen_it(self):
        """On a machine that gets three times slower meanwhile; one call takes twice as long."""
        draw = np.random.default_rng(0).normal
        machine, calls = np.linspace(1, 3, 30), 1 + 0.002 * draw(size=(2, 30))
        slow, fast = 20 * machine * calls[0], 10 * machine * calls[1]
        found = ratio_of_medians(slow, fast)
        assert found.value == pytest.approx(2, rel=0.01) and width(found) < 0.05
        # The same times, but not those of one round beside each other.
        assert width(ratio_of_medians(slow, np.random.default_rng(1).permutation(fast))) > 10 * width(found)

    def test_the_ratio_is_of_medians_of_as_many_rounds(self):
        assert ratio_of_medians([1.0, 2.0, 90.0], [1.0, 1.0, 1.0]) == (2.0, 1.0, 90.0)
        assert ratio_of_medians([3.0], [2.0]) == (1.5, -np.inf, np.inf)
        with pytest.raises(InputError, match="times"):
            ratio_of_medians([1.0, 2.0, 3.0], [1.0, 2.0])


class TestGrowthExponent:
    PIXELS = (2.0 ** np.arange(8, 20, 2)).tolist()

    @pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
    def test_known_powers_are_found(self, power):
        found = growth_exponent(self.PIXELS, [3 * pixels**power for pixels in self.PIXELS])
        assert found == pytest.approx((power, power, power), abs=1e-6)

    def test_the_interval_is_students(self):
        logs = np.log(self.PIXELS)
        costs = np.exp(1.5 * logs + np.random.default_rng(0).normal(0, 0.3, len(logs)))
        (slope, _), covariance = np.polyfit(logs, np.log(costs), 1, cov=True)
        low, high = stats.t.interval(0.95, len(logs) - 2, slope, covariance[0, 0] ** 0.5)
        assert growth_exponent(self.PIXELS, costs.tolist()) == pytest.approx((slope, low, high))

    def test_two_sizes_have_a_slope_but_no_interval_and_one_has_none(self):
        assert growth_exponent([4, 16], [1.0, 4.0]) == (pytest.approx(1), -np.inf, np.inf)
        with pytest.raises(InputError, match="pixels"):
            growth_exponent([64, 64, 64], [1.0, 2.0, 3.0])


class TestRankCorrelation:
    def test_it_is_scipys(self):
        x, y = np.random.default_rng(0).normal(size=(2, 8))
        assert spearman(x, y).value == pytest.approx(stats.spearmanr(x, y).statistic)
        assert np.isnan(spearman(x, np.ones(8)).value)

    def test_its_interval_covers_as_often_as_it_should(self):
        random, covered = np.random.default_rng(0), 0
        for _ in range(400):
            first = random.normal(size=40)
            second = 0.6 * first + 0.8 * random.normal(size=40)
            found = spearman(first, second)
            covered += found.low < 6 / np.pi * np.arcsin(0.3) < found.high  # Spearman's ρ of such a pair
        assert 0.92 < covered / 400 < 0.98
        assert spearman([1, 2, 3], [1, 3, 2]).high == np.inf
        assert spearman(first, second, 6).low < found.low < found.high < spearman(first, second, 6).high

    def test_a_control_is_held_equal(self):
        random = np.random.default_rng(1)
        third = random.normal(size=300)
        first, second = (third + 0.5 * random.normal(size=300) for _ in range(2))
        assert spearman(first, second).low > 0.6
        ranks = [stats.rankdata(side) for side in (first, second, third)]
        left = [side - np.polyval(np.polyfit(ranks[2], side, 1), ranks[2]) for side in ranks[:2]]
        assert spearman(first, second, given=third).value == pytest.approx(np.corrcoef(*left)[0, 1])


@pytest.mark.parametrize("seeds", [3, 6])
def test_simultaneous_intervals_cover_in_studies_with_the_spreads_of_our_records(seeds):
    """Simulated without a true difference, from results/pilots/intervals_spreads.csv."""
    spreads = pd.read_csv(ROOT / "results" / "pilots" / "intervals_spreads.csv")
    arms, images, draw = len(spreads) - 1, int(spreads["images"].iloc[0]), np.random.default_rng(0).normal
    of_seeds, noise = (spreads[column].to_numpy()[:, None, None] for column in ("seed_db", "interaction_db"))
    covered = 0
    for _ in range(studies := 400):
        psnr = of_seeds * draw(size=(arms + 1, seeds, 1)) + noise * draw(size=(arms + 1, seeds, images))
        found = [seed_difference(arm - psnr[0], arms) for arm in psnr[1:]]
        covered += all(each.low <= 0 <= each.high for each in found)
    assert covered / studies >= 0.93


def test_a_matrix_has_seeds_in_rows_and_images_in_columns():
    """However the rows of the frame are ordered, and though benchmarks have images of one name."""
    rows = [
        {"seed": seed, "benchmark": benchmark, "name": name, "gain_db": 100 * seed + number}
        for seed in (0, 1)
        for number, (benchmark, name) in enumerate([("A", "x"), ("A", "y"), ("B", "x")])
    ]
    frame = pd.DataFrame(rows).sample(frac=1, random_state=1)
    assert np.array_equal(matrix(frame), [[0, 1, 2], [100, 101, 102]])
    with pytest.raises(InputError, match="finite"):  # an image that one seed has not met
        seed_difference(matrix(frame.iloc[1:]))


def test_an_estimate_in_words():
    assert f"{Estimate(0.1234, -0.05, 0.3):+.2f}" == "+0.12 [-0.05, +0.30]"
    assert f"{Estimate(0.1234, -np.inf, np.inf):+.2f}" == "+0.12"
