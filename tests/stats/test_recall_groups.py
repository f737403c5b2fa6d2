"""Who finds the other tile: groups that no interval crosses, and sentences that say what the table says."""

import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from srlab.stats import recall

DISTANCES = (4.0, 16.0)


def images(of: dict[str, list[float]], seen: dict[str, float] | None = None) -> pd.DataFrame:
    """Two images of each seed and setting, 0.01 above and below; `arm` may be "model option=value"."""
    rows = []
    for arm, seeds in of.items():
        for seed, share in enumerate(seeds):
            for dial, value in [("beside", 4.0), *(("distance", d) for d in DISTANCES)]:
                for image, other in enumerate((-0.01, 0.01)):
                    looks = {"found": (seen or {}).get(arm, 1.0), "weight": 0.5, "seen": 96.0}
                    if arm == "no_attention":
                        looks = dict.fromkeys(looks, np.nan)
                    facts = {"arm": arm, "model": arm.split()[0], "seed": seed, "run": f"{arm}-{seed}"}
                    facts |= {"dial": dial, "value": value, "image": image, "recall": share + other, "invented": -0.1}
                    rows.append(facts | looks)
    return pd.DataFrame(rows)


THREE = {
    "lcoan": [0.97, 0.98, 0.99],
    "trunk_nla": [0.96, 0.97, 1.0],
    "trunk_bra": [0.4, 0.42, 0.44],
    "no_attention": [0.0, 0.0, 0.01],
}


def test_recall_is_the_mean_over_images_with_students_interval_over_seeds():
    own = recall.recalled(images(THREE)).set_index(["arm", "dial", "value"]).loc[("trunk_bra", "distance", 16.0)]
    low, high = scipy.stats.t.interval(0.95, 2, 0.42, scipy.stats.sem([0.4, 0.42, 0.44]))
    assert (own["recall"], own["low"], own["high"]) == pytest.approx((0.42, low, high))
    assert (own["seeds"], own["images"], own["run"]) == (3, 2, "trunk_bra-0 trunk_bra-1 trunk_bra-2")


def test_groups_end_where_no_interval_crosses():
    groups = recall.groups(recall.recalled(images(THREE | {"lcoan window=24": [0.5, 0.5, 0.6]})))
    assert dict(zip(groups["arm"], groups["group"], strict=True)) == {
        "lcoan": 1,
        "trunk_nla": 1,
        "trunk_bra": 2,
        "no_attention": 3,
    }
    wide = recall.groups(recall.recalled(images(THREE | {"trunk_fgca": [0.0, 0.7, 0.9]})))
    assert set(wide["group"]) == {1}, "one wide interval bridges what would be three"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_no_interval_of_a_group_touches_one_of_another(shares):
    made = images({f"m{i}": share for i, share in enumerate(shares)})
    groups = recall.groups(recall.recalled(made))
    assert groups["group"].iloc[0] == 1 and groups["group"].diff().dropna().isin([0, 1]).all()
    for number, own in groups.groupby("group"):
        below = groups[groups["group"] > number]
        assert below.empty or own["low"].min() > below["high"].max()


def test_the_answer_names_groups_and_what_parts_them():
    table = recall.recalled(images(THREE, {"trunk_bra": 0.3}))
    told = recall.answer(recall.groups(table), table)
    assert (
        "make 3 groups" in told
        and "1. `lcoan` 0.98, `trunk_nla` 0.98. 1.00 of damaged pixels see their copy in a layer" in told
    )
    assert (
        "2. `trunk_bra` 0.42. Only 0.30 see it in a layer; what `trunk_bra` gives back came by several layers in turn."
        in told
    )
    assert "3. `no_attention` 0.00. They have no layer that looks far." in told
    assert "most find, but not `trunk_bra` 0.42, `no_attention` 0.00" in told
    assert "none gives back more than -0.10" in told


def test_one_seed_makes_no_groups_and_no_verdict():
    table = recall.recalled(images({"lcoan": [0.9], "no_attention": [0.0]}))
    groups = recall.groups(table)
    assert set(groups["group"]) == {1} and "gives no interval" in recall.answer(groups, table)
    assert recall.headline(groups).endswith("0.00 to 0.90, of 1 seed, which gives no verdict.")


def test_the_headline_goes_group_by_group():
    told = recall.headline(recall.groups(recall.recalled(images(THREE))))
    assert "`lcoan`, `trunk_nla` 0.98; `trunk_bra` 0.42; `no_attention` 0.00 (3 groups;" in told
