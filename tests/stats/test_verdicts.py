"""The five verdicts: each rule by examples, and what holds of all intervals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlab.errors import InputError
from srlab.stats.statistics import Estimate
from srlab.stats.verdicts import (
    CONFIRMED,
    CONTRADICTED,
    LOOKS,
    NO_EFFECT,
    SMALLER,
    UNDECIDED,
    deciding_half_width,
    in_words,
    judge,
    judge_growth,
)

#: What a claim of +0.4 dB is judged by.
GAIN = (0.4, 0.0, 0.05, 0.05)
#: What one of 16 times as fast is.
FASTER = (16.0, 1.0, 0.05, 1.5)
INF = math.inf


def kind(low, high, claimed=0.4, nothing=0.0, margin=0.05, within=0.05, value=None):
    if value is None:
        value = (low + high) / 2 if math.isfinite(high - low) else max(low, min(high, 0.0))
    return judge(value, low, high, claimed, nothing, margin, within).kind


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.40, 0.50, CONFIRMED),
        (0.45, INF, CONFIRMED),
        (0.36, 0.50, CONFIRMED),
        (0.36, 0.40, CONFIRMED),
        (0.34, 0.50, UNDECIDED),  # reaches too far below the claim
        (0.01, 0.90, UNDECIDED),
        (0.36, 0.39, SMALLER),
        (0.01, 0.30, SMALLER),
        (0.01, 0.05, NO_EFFECT),  # before smaller
        (-0.05, 0.05, NO_EFFECT),
        (-0.04, -0.01, NO_EFFECT),  # before contradicted
        (-0.01, 0.06, UNDECIDED),
        (-0.06, 0.00, UNDECIDED),
        (-0.06, -0.01, CONTRADICTED),
        (-INF, -0.01, CONTRADICTED),
        (-0.01, 0.40, UNDECIDED),
        (-INF, INF, UNDECIDED),
    ],
)
def test_a_gain_of_0_4_db(low, high, verdict):
    assert kind(low, high) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (19.7, 19.7, CONFIRMED),
        (14.6, 16.1, CONFIRMED),
        (14.4, 16.1, UNDECIDED),
        (1.3, 1.3, SMALLER),
        (1.0, 1.0, NO_EFFECT),
        (0.96, 1.04, NO_EFFECT),
        (0.6, 0.8, CONTRADICTED),
        (0.9, 20.0, UNDECIDED),
    ],
)
def test_sixteen_times_as_fast(low, high, verdict):
    assert kind(low, high, *FASTER) == verdict


@pytest.mark.parametrize("claimed", [None, math.nan])
@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.06, 9.0, CONFIRMED),
        (1.04, 9.0, UNDECIDED),
        (0.5, 1.5, UNDECIDED),
        (1.0, 1.0, NO_EFFECT),
        (0.5, 0.99, CONTRADICTED),
    ],
)
def test_a_claim_without_a_number(claimed, low, high, verdict):
    found = judge((low + high) / 2, low, high, claimed, 1.0, 0.05, 0.0)
    assert found.kind == verdict and math.isnan(found.share.value)


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ([(0.95, 1.05), (0.9, 1.1)], CONFIRMED),
        ([(0.95, 1.05), (0.9, 1.11)], UNDECIDED),
        ([(0.2, 1.9)], UNDECIDED),
        ([(0.95, 1.05), (1.11, 1.3)], CONTRADICTED),
        ([(0.5, 0.89), (-INF, INF)], CONTRADICTED),
        ([], UNDECIDED),
    ],
)
def test_growth(slopes, verdict):
    local = [Estimate((low + high) / 2 if low > -INF else 1.0, low, high) for low, high in slopes]
    assert judge_growth(local, 1.0, 0.1).kind == verdict


def test_growth_tells_the_slope_that_contradicts():
    found = judge_growth([Estimate(1.0, 0.9, 1.1), Estimate(1.2, 1.15, 1.25), Estimate(1.9, 1.8, 2.0)], 1.0, 0.1)
    assert found.sentence == "a local slope is 1.90 [1.80, 2.00]"


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.1, 0.3, "50 % [25 to 75 %] of what is claimed"),
        (-0.1, 0.3, "less than claimed; whether anything at all is not decided"),
        (0.1, 0.5, "more than nothing; whether as much as claimed is not decided"),
        (-0.1, 0.5, "it may be nothing, and may be as much as claimed"),
        (-INF, 0.3, "less than claimed; whether anything at all is not decided"),
    ],
)
def test_it_says_what_is_left_out(low, high, sentence):
    assert judge(0.2, low, high, *GAIN).sentence == sentence


def test_no_effect_is_said_with_its_margin():
    assert in_words(NO_EFFECT, 0.05, "psnr_gain_db") == "no effect beyond ±0.05 dB"
    assert in_words(NO_EFFECT, 5.0, "time_reduction_percent") == "no effect beyond ±5 %"
    assert in_words(NO_EFFECT, 0.05, "memory_ratio") == "no effect beyond ±5 %"
    assert in_words(SMALLER, 0.05, "memory_ratio") == "smaller"


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.3, 0.4, 0.5, *GAIN), "does not hold its value"),
        ((math.nan, 0.4, 0.5, *GAIN), "does not hold its value"),
        ((0.3, 0.2, 0.5, 0.05, 0.0, 0.05, 0.05), "above 0.05 is expected"),
    ],
)
def test_what_cannot_be_judged_is_told(numbers, said):
    with pytest.raises(InputError, match=said):
        judge(*numbers)


@st.composite
def claims(draw):
    """claimed, nothing, margin, within."""
    nothing = draw(st.sampled_from([0.0, 1.0]))
    margin = draw(st.floats(0.01, 1))
    effect = draw(st.floats(1.01, 50)) * margin
    return nothing + effect, nothing, margin, effect * draw(st.floats(0, 0.5))


#: Where a value lies, and how far its interval reaches down and up.
VALUES, REACHES = st.floats(-60, 60), st.floats(0, 60) | st.just(INF)


@given(claims(), VALUES, REACHES, REACHES)
def test_every_interval_has_one_verdict_and_it_is_what_the_rules_say(claim, value, down, up):
    claimed, nothing, margin, within = claim
    low, high = value - down, value + up
    found = judge(value, low, high, *claim)
    equivalent = low >= nothing - margin and high <= nothing + margin
    rules = {
        NO_EFFECT: equivalent,
        CONFIRMED: low >= claimed or (low > nothing and low >= claimed - within and high >= claimed),
        SMALLER: low > nothing and high < claimed and not equivalent,
        CONTRADICTED: high < nothing and not equivalent,
    }
    met = [kind for kind, holds in rules.items() if holds] or [UNDECIDED]
    assert [found.kind] == met and found.kind in LOOKS
    assert found.share.low <= found.share.value <= found.share.high


@given(claims(), VALUES, REACHES, REACHES)
def test_what_reaches_far_below_the_claim_never_confirms_it(claim, value, down, up):
    claimed, _, _, within = claim
    if judge(value, value - down, value + up, *claim).kind == CONFIRMED:
        assert value - down >= claimed - within


@given(claims(), VALUES, REACHES, REACHES, st.floats(0, 60))
def test_a_higher_interval_has_no_worse_verdict(claim, value, down, up, higher):
    order = [CONTRADICTED, NO_EFFECT, SMALLER, CONFIRMED]
    kinds = [judge(v, v - down, v + up, *claim).kind for v in (value, value + higher)]
    if UNDECIDED not in kinds:
        assert order.index(kinds[0]) <= order.index(kinds[1])


@given(claims(), VALUES, st.floats(0.01, 0.99))
def test_an_interval_narrow_enough_decides_wherever_it_lies(claim, value, part):
    half = deciding_half_width(value, *claim)
    assert half > 0
    narrow = part * half
    assert judge(value, value - narrow, value + narrow, *claim).kind != UNDECIDED


@given(claims(), VALUES, st.floats(1.01, 100))
def test_a_wider_one_does_not(claim, value, times):
    wide = times * deciding_half_width(value, *claim)
    assert judge(value, value - wide, value + wide, *claim).kind == UNDECIDED
