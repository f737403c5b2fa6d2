"""Words for numbers: signs, ranges, lists, and the verdict that each gain gets."""

import numpy as np
import pandas as pd
import pytest

from srlab.stats.words import between, count, estimate, listed, number, percent, say, signed


def test_numbers_have_true_signs_and_no_negative_zero():
    assert (number(-0.001), number(-1234.5, 1), signed(0.02), signed(-0.126)) == ("0.00", "−1,234.5", "+0.02", "−0.13")
    assert (signed(-0.001), signed(0.001), signed(0.0, 0), signed(-10.0, 0)) == ("0.00", "0.00", "0", "−10")
    assert (count(1, "seed"), count(1200, "image"), percent(0.654)) == ("1 seed", "1,200 images", "65 %")
    assert (between([0.123, 0.98]), between([0.5, 0.501]), between([np.nan])) == ("0.12 to 0.98", "0.50", "")
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"
    assert estimate(0.1, -np.inf, np.inf) == "+0.100" and estimate(0.1, -0.1, 0.3, 1) == "+0.1 [−0.1, +0.3]"


def gains(*ends, seeds=3):
    rows = [
        {"name": f"arm{i}", "value": (low + high) / 2, "low": low, "high": high} for i, (low, high) in enumerate(ends)
    ]
    return pd.DataFrame(rows).assign(seeds=seeds)


@pytest.mark.parametrize(
    ("ends", "group"),
    [
        ((0.06, 0.2), 0),  # higher
        ((0.001, 0.2), 0),
        ((0.001, 0.044), 1),  # higher, by less than the margin
        ((-0.04, 0.04), 2),  # no effect
        ((-0.04, -0.01), 3),
        ((-0.2, -0.01), 4),
        ((-0.2, 0.2), 5),  # undecided
        ((-0.04, 0.06), 5),
    ],
)
def test_each_gain_stands_in_the_group_of_its_interval(ends, group):
    """All six groups are there, in this order, and the gain makes the length of one differ."""
    every = [(0.06, 0.2), (0.01, 0.04), (-0.04, 0.04), (-0.04, -0.01), (-0.2, -0.1), (-0.2, 0.2)]
    lines = say(gains(*every, ends), margin=0.05).splitlines()
    assert len(lines) == 6 and [i for i, line in enumerate(lines) if "arm6" in line] == [group]


def test_few_seeds_give_no_verdict_and_many_names_are_counted():
    words = say(gains((0.1, 0.3), seeds=1), margin=0.05)
    assert "+0.200" in words and "\n" not in words and not words.startswith("-")
    assert "7 of 7" in say(gains(*7 * [(0.1, 0.3)]), margin=0.05)
