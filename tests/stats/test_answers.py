"""Answers say what their data hold: of kinds of image, units and photographs, with seeds as the unit."""

import re

import numpy as np
import pandas as pd
import pytest

from srlab.stats import answers, looking
from srlab.stats.statistics import over_seeds

KINDS = ("text", "tiles", "faces")


def gains(seeds=3, sign=-1):
    """Kinds that repeat more gain more; within each, an image that repeats more gains less (or more, by `sign`).

    In the last seed the other way round within kinds.
    """
    rows = [
        {
            "model": "lcoan",
            "seed": seed,
            "kind": kind,
            "name": f"{kind} {i}",
            "self_similarity": number + i / 10,
        }
        | {"gain_db": number + 0.01 * seed + sign * (-1 if seed == 2 else 1) * i / 100}
        for seed in range(seeds)
        for number, kind in enumerate(KINDS)
        for i in range(5)
    ]
    return pd.DataFrame(rows)


def test_within_kinds_and_between_them_are_told_apart_and_seeds_may_differ():
    told = answers.kinds(gains())
    within = over_seeds(np.array([-1.0, -1.0, 1.0]))
    assert within.low < -1 and within.high > 1  # but no correlation is
    assert f"self-similarity {within.value:+.2f} [-1.00, +1.00] within kinds and +1.00 [+1.00, +1.00] between" in told
    assert "`lcoan` gains from +0.003 [" in told and "(text) to +2.0" in told and "(faces)" in told
    assert "verdict" not in told and "tiles" not in told


def test_gains_of_kinds_are_simultaneous_over_models_and_kinds():
    [low, high] = re.search(r"to \+2\.\d+ \[([+-][\d.]+), ([+-][\d.]+)\] dB \(faces", answers.kinds(gains())).groups()
    means = gains().query("kind == 'faces'").groupby("seed")["gain_db"].mean().to_numpy()
    expected = over_seeds(means, family=3)
    assert (float(low), float(high)) == pytest.approx(expected[1:], abs=6e-4)


def test_of_one_seed_there_are_numbers_without_intervals_and_no_verdict():
    told = answers.kinds(gains(1))
    assert "self-similarity -1.00 within kinds and +1.00 between them" in told
    assert "With 1 seed no verdict is drawn." in told and "inf" not in told


def varied(option, values, models, seeds=3):
    rows = [
        {
            "model": model,
            option: value,
            "seed": seed,
            "benchmark": "A",
            "name": name,
            "run": f"{model}{value}{seed}",
        }
        | {"psnr_y": 30 + value / 10 * (1 + (model == "lcoan")) + 0.01 * seed * value}
        for model in models
        for value in values
        for seed in range(seeds)
        for name in "ab"
    ]
    return pd.DataFrame(rows)


def test_units_are_compared_within_each_network_and_attention_at_each_number_of_units():
    quality = varied("groups", [1, 2, 4], ["no_attention", "lcoan"])
    costs = quality.drop_duplicates(["model", "groups"]).assign(part="network", median_ms=lambda f: 5.0 * f["groups"])
    told = answers.units(quality, costs)
    assert "`no_attention` with 4 units instead of 1: +0.330 [" in told and "at 4.0 times the latency" in told
    assert "`lcoan` with 4 units instead of 1: +0.630 [" in told
    assert "1: +0.100 [+0.100, +0.100], 2: +0.200 [+0.200, +0.200], 4: +0.400 [+0.400, +0.400] dB" in told
    one = answers.units(quality.query("seed == 0"), costs)
    assert "[" not in one and "1: +0.100, 2: +0.200, 4: +0.400 dB" in one and "no verdict" in one


def test_photographs_are_compared_within_each_network():
    told = answers.photographs(varied("photographs", [5, 20], ["no_attention", "lcoan"]))
    assert "From 5 to 20 photographs: `no_attention` +1.650 [" in told and "`lcoan` +3.150 [" in told
    assert "(95 %, over seeds, simultaneous)" in told


def test_where_layers_look_is_a_sentence_a_network():
    rows = [("lcoan", "a", 100, 50, 8.0), ("lcoan", "b", 100, 97, 9.0), ("trunk_nla", "a", 400, 396, 20.0)]
    reach = pd.DataFrame(rows, columns=["model", "layer", "keys_seen", "keys_effective", "distance"])
    told = looking(pd.concat([reach.assign(distance_even=30.0)] * 3))
    assert told.startswith("2 of 3 layers weigh the keys that they see almost evenly") and told.endswith("3 queries.)")
    assert (
        "`lcoan` sees 100 keys and weighs them as an even spread over 50% to 97% of them would (a to b), 8 px" in told
    )
    assert "`trunk_nla` sees 400 keys and weighs them as an even spread over 99% of them would, 20 px away" in told
