"""The five verdicts on a claim, by its 95 % interval.

No effect ("nothing") is 0 dB, 0 % or a ratio of 1; the claim lies above. The first rule that an interval meets holds:

- **no effect** beyond a margin: the interval lies within no effect ± margin, even if it excludes no effect.
- **confirmed**: it lies at or above the claim; or it contains the claim, excludes no effect, and reaches less than
  `within` below the claim.
- **smaller**: it lies above no effect and below the claim.
- **contradicted**: it lies below no effect.
- **undecided**: all else.

A claim without a number is *confirmed* by an interval beyond the margin on its side. A claim about growth is
*confirmed* if every local slope is equivalent to the claimed one within a margin, *contradicted* if one lies outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from srlab.errors import InputError
from srlab.stats.intervals import Estimate

#: The verdicts, the best for a claim first.
VERDICTS = ("confirmed", "smaller", "no effect", "contradicted", "undecided")
CONFIRMED, SMALLER, NO_EFFECT, CONTRADICTED, UNDECIDED = VERDICTS
GAIN, REDUCTION, GROWTH = "psnr_gain_db", "time_reduction_percent", "growth_exponent"
#: The value of a quantity without an effect.
NOTHING = {GAIN: 0.0, REDUCTION: 0.0, "latency_ratio": 1.0, "memory_ratio": 1.0}


class Verdict(NamedTuple):
    """One of `VERDICTS`, the effect as share of the claimed one (NaN without a number), and a clause of explanation."""

    kind: str
    share: Estimate
    sentence: str


NO_SHARE = Estimate(math.nan, math.nan, math.nan)


def unmeasured(why: str) -> Verdict:
    """Return the verdict without a measurement."""
    return Verdict(UNDECIDED, NO_SHARE, f"not measured: {why}")


def judge(
    value: float, low: float, high: float, claimed: float | None, nothing: float, margin: float, within: float
) -> Verdict:
    """Judge a claim that there is an effect, or as much as claimed (None or NaN for a claim without a number).

    Raises InputError if the interval does not contain its value, or the claim is not above nothing + margin.
    """
    if not low <= value <= high:
        raise InputError(f"interval [{low}, {high}] does not contain its value {value}")
    named = claimed is not None and not math.isnan(claimed)
    if named and not claimed > nothing + margin:
        raise InputError(f"claimed {claimed}: more than {nothing + margin} is expected, or it is no effect")
    goal = claimed if named else math.inf
    share = Estimate(*((end - nothing) / (goal - nothing) for end in (value, low, high))) if named else NO_SHARE
    if nothing - margin <= low and high <= nothing + margin:
        return Verdict(NO_EFFECT, share, "less than claimed" if named else "an effect is claimed")
    if not named and low > nothing + margin:
        return Verdict(CONFIRMED, share, "an effect; the claim has no number")
    if low >= goal:
        return Verdict(CONFIRMED, share, "as much as claimed, or more")
    if named and low > nothing and high >= goal and low >= goal - within:
        return Verdict(CONFIRMED, share, "about as much as claimed")
    if named and low > nothing and high < goal:
        ends = " to ".join(f"{100 * end:.0f}" for end in (share.low, share.high))
        return Verdict(SMALLER, share, f"{100 * share.value:.0f} % [{ends} %] of the claim")
    if high < nothing:
        return Verdict(CONTRADICTED, share, "the effect is the other way")
    some = "an effect" if low > nothing else "an effect is not shown"
    most = "as much as claimed is not excluded" if high >= goal else "less than claimed"
    most = most if named else "no number is claimed"
    return Verdict(UNDECIDED, share, f"{some}; {most}")


def judge_growth(slopes: Sequence[Estimate], claimed: float, margin: float) -> Verdict:
    """Judge a claim about the exponent of growth, by the local exponents between successive sizes."""
    if not slopes:
        return unmeasured("too few sizes for a slope")
    least, most = claimed - margin, claimed + margin
    if outside := [slope for slope in slopes if slope.high < least or slope.low > most]:
        farthest = max(outside, key=lambda slope: abs(slope.value - claimed))
        return Verdict(CONTRADICTED, NO_SHARE, f"a local slope is {farthest:.2f}")
    open_ = sum(not (least <= slope.low and slope.high <= most) for slope in slopes)
    if not open_:
        return Verdict(CONFIRMED, NO_SHARE, "every local slope is as claimed, within the margin")
    return Verdict(UNDECIDED, NO_SHARE, f"{open_} of {len(slopes)} local slopes may lie outside the margin")


def deciding_half_width(value: float, claimed: float, nothing: float, margin: float, within: float) -> float:
    """Return the half-width below which an interval about `value` is never undecided; parameters as of `judge`."""
    effect, most = value - nothing, claimed - nothing
    found = [margin - abs(effect), -effect, effect - most, min(effect, most - effect)]
    confirming = min(effect - most + within, effect)
    if confirming >= most - effect:  # else it would not contain the claim
        found.append(confirming)
    return max(found)
