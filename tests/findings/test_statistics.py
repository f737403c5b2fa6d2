"""Estimates and their intervals, against simulated studies whose truth is known, and against scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from srlab.errors import InputError
from srlab.findings.statistics import (
    Estimate,
    growth_exponent,
    matrix,
    paired_difference,
    rank_correlation,
    ratio_of_medians,
)


def simulated(seeds=5, images=20, truth=0.1, of_seeds=0.05, of_images=0.2, noise=0.05, study=0):
    """Differences of two networks: what each seed, each image and both together add to the truth."""
    draw = np.random.default_rng(study).normal
    return (
        truth
        + of_seeds * draw(size=(seeds, 1))
        + of_images * draw(size=(1, images))
        + noise * draw(size=(seeds, images))
    )


def width(estimate):
    return estimate.high - estimate.low


class TestPairedDifference:
    def test_intervals_cover_the_truth_in_most_studies(self):
        """A little under 95 %, as the docstring says, and never far under it."""
        found = [paired_difference(simulated(study=number)) for number in range(100)]
        assert 85 <= sum(estimate.low <= 0.1 <= estimate.high for estimate in found) <= 99
        assert (
            sum(estimate.low <= 0.4 <= estimate.high for estimate in found) <= 5
        )  # nor because they are wide
        assert all(estimate.low < estimate.value < estimate.high for estimate in found)

    def test_both_seeds_and_images_widen_it(self):
        none = dict.fromkeys(("of_seeds", "of_images"), 0.0)
        neither, seeds, images = (
            width(paired_difference(simulated(**none | more)))
            for more in ({}, {"of_seeds": 0.2}, {"of_images": 0.5})
        )
        assert seeds > 4 * neither and images > 4 * neither

    def test_the_same_differences_give_the_same_interval(self):
        assert paired_difference(simulated()) == paired_difference(simulated())
        assert paired_difference(simulated()).value == pytest.approx(simulated().mean())

    def test_one_seed_has_the_interval_of_scipys_bootstrap_over_images(self):
        one = simulated(seeds=1)
        found = paired_difference(one)
        oracle = stats.bootstrap((one[0],), np.mean, method="BCa", rng=np.random.default_rng(1))
        assert found.value == pytest.approx(one.mean())
        assert found[1:] == pytest.approx(oracle.confidence_interval, abs=0.05 * width(found))

    def test_equal_differences_leave_nothing_open(self):
        assert paired_difference(np.full((3, 4), 0.5)) == (0.5, 0.5, 0.5)
        assert paired_difference(np.full((3, 4), 0.5)).excludes_zero
        assert not paired_difference(np.zeros((3, 4))).excludes_zero

    def test_one_image_tells_nothing(self):
        assert paired_difference(np.array([[0.5], [0.7]])) == (pytest.approx(0.6), -np.inf, np.inf)

    @pytest.mark.parametrize("hole", [np.nan, np.inf])
    def test_a_hole_is_told(self, hole):
        differences = simulated()
        differences[1, 2] = hole
        with pytest.raises(InputError, match="not finite"):
            paired_difference(differences)


class TestRatioOfMedians:
    def drifting(self):
        """Two calls, one of them twice as long, on a machine that gets three times slower meanwhile."""
        draw = np.random.default_rng(0).normal
        machine, calls = np.linspace(1, 3, 30), 1 + 0.002 * draw(size=(2, 30))
        return 20 * machine * calls[0], 10 * machine * calls[1]

    def test_what_slows_both_calls_does_not_widen_it(self):
        slow, fast = self.drifting()
        found = ratio_of_medians(slow, fast)
        assert found.value == pytest.approx(2, rel=0.01) and width(found) < 0.05
        # The same times, but not those of one round beside each other.
        assert width(ratio_of_medians(slow, np.random.default_rng(1).permutation(fast))) > 10 * width(found)

    def test_the_ratio_is_of_medians(self):
        found = ratio_of_medians([1.0, 2.0, 90.0], [1.0, 1.0, 1.0])
        assert found == (2.0, 1.0, 90.0)
        assert ratio_of_medians([3.0], [2.0]) == (1.5, -np.inf, np.inf)

    def test_rounds_that_are_not_in_turn_are_told(self):
        with pytest.raises(InputError, match="3 rounds against 2 of the reference"):
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
        found = growth_exponent(self.PIXELS, costs.tolist())
        assert found.low < 1.5 < found.high
        slope, intercept = np.polyfit(logs, np.log(costs), 1)
        rest = np.log(costs) - slope * logs - intercept
        error = np.sqrt((rest**2).sum() / (len(logs) - 2) / ((logs - logs.mean()) ** 2).sum())
        assert found.value == pytest.approx(slope)
        assert found[1:] == pytest.approx(stats.t.interval(0.95, len(logs) - 2, slope, error))

    def test_two_sizes_have_a_slope_but_no_interval(self):
        assert growth_exponent([4, 16], [1.0, 4.0]) == (pytest.approx(1), -np.inf, np.inf)

    def test_one_size_is_told(self):
        with pytest.raises(InputError, match="pixels: 1 size; growth needs two or more"):
            growth_exponent([64, 64, 64], [1.0, 2.0, 3.0])


class TestRankCorrelation:
    def test_whatever_rises_together_correlates_fully(self):
        x = np.linspace(0, 5, 20)
        assert rank_correlation(x.tolist(), np.exp(x).tolist()) == pytest.approx((1, 1, 1))
        assert rank_correlation(x.tolist(), (-(x**3)).tolist()) == pytest.approx((-1, -1, -1))

    def test_the_interval_tells_noise_from_a_relation(self):
        draw = np.random.default_rng(0).normal
        x, noise = draw(size=(2, 60))
        related, unrelated = rank_correlation(x, x + noise), rank_correlation(x, noise)
        for found, y in ((related, x + noise), (unrelated, noise)):
            assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
            assert -1 <= found.low < found.value < found.high <= 1
        assert related.excludes_zero and not unrelated.excludes_zero

    def test_three_pairs_or_no_spread_have_no_interval(self):
        assert rank_correlation([1, 2, 3], [1, 2, 3]) == (pytest.approx(1), -np.inf, np.inf)


def test_a_matrix_has_seeds_in_rows_and_images_in_columns():
    """However the rows of the frame are ordered, and though benchmarks have images of one name."""
    rows = [
        {"seed": seed, "benchmark": benchmark, "name": name, "gain_db": 100 * seed + number}
        for seed in (0, 1)
        for number, (benchmark, name) in enumerate([("A", "x"), ("A", "y"), ("B", "x")])
    ]
    frame = pd.DataFrame(rows).sample(frac=1, random_state=1)
    assert np.array_equal(matrix(frame), [[0, 1, 2], [100, 101, 102]])
    with pytest.raises(InputError, match="not finite"):  # an image that one seed has not met
        paired_difference(matrix(frame.iloc[1:]))


def test_an_estimate_in_words():
    assert f"{Estimate(0.1234, -0.05, 0.3):+.2f}" == "+0.12 [-0.05, +0.30]"
