"""The five verdicts on a claim, by its interval.

Every rule speaks of an interval of 95 %, of "nothing", the point of no effect (0 dB, 0 %, a ratio of 1), and of the
claim, which lies above it. An interval is judged by the first rule that it meets:

- **no effect** beyond a margin: it lies wholly within nothing ± margin. This is what equivalence means; that it may
  leave out nothing itself, or lie below it, matters no more.
- **confirmed**: it lies at or above the claim; or it holds the claim, leaves out nothing, and reaches no further below
  the claim than `within`. A wide interval confirms nothing.
- **smaller**: it lies above nothing and below the claim. The share of the claim is told with its interval.
- **contradicted**: it lies below nothing.
- **undecided**: all else. What it does leave out is told.

A claim without a number says that there is an effect: it is *confirmed* by an interval beyond the margin on its side.
A claim about growth is *confirmed* where every local slope is equivalent to the claimed one within a margin,
*contradicted* where one lies wholly outside, and *undecided* else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from srlab.errors import InputError
from srlab.stats.statistics import Estimate

CONFIRMED, SMALLER, NO_EFFECT = "confirmed", "smaller", "no effect"
CONTRADICTED, UNDECIDED = "contradicted", "undecided"
#: The verdicts, the best for a claim first, each with a colour of Okabe and Ito and a marker.
LOOKS = {
    CONFIRMED: ("#0072B2", "o"),
    SMALLER: ("#56B4E9", "s"),
    NO_EFFECT: ("#000000", "D"),
    CONTRADICTED: ("#D55E00", "X"),
    UNDECIDED: ("#999999", "v"),
}
#: What a quantity is when there is no effect.
NOTHING = {"psnr_gain_db": 0.0, "time_reduction_percent": 0.0, "latency_ratio": 1.0, "memory_ratio": 1.0}


class Verdict(NamedTuple):
    """What an interval says of a claim.

    Attributes
    ----------
    kind : str
        One of the five.
    share : Estimate
        The measured effect in units of the claimed one: 0 is no effect, 1 the claim; NaN where that is no number.
    sentence : str
        Without a full stop.
    """

    kind: str
    share: Estimate
    sentence: str


NO_SHARE = Estimate(math.nan, math.nan, math.nan)


def unmeasured(why: str) -> Verdict:
    """Undecided, for the lack of any measurement."""
    return Verdict(UNDECIDED, NO_SHARE, f"not measured: {why}")


def judge(
    value: float, low: float, high: float, claimed: float | None, nothing: float, margin: float, within: float
) -> Verdict:
    """The verdict on a claim that something is more than nothing, or as much as claimed.

    Parameters
    ----------
    value, low, high : float
        What was measured, with its interval, whose ends may be infinite.
    claimed : float or None
        Above nothing + margin; None (or NaN) of a claim that names no number.
    nothing : float
        No effect.
    margin, within : float
        In the unit of the measured value; see the rules above.

    Raises
    ------
    InputError
        If the interval does not hold its value, or the claim is within the margin.
    """
    if not low <= value <= high:
        raise InputError(f"interval [{low}, {high}] does not hold its value {value}")
    if claimed is None or math.isnan(claimed):
        return _without_number(low, high, nothing, margin)
    if not claimed > nothing + margin:
        raise InputError(f"claimed {claimed}: above {nothing + margin} is expected, or it is no effect")
    share = Estimate(*((end - nothing) / (claimed - nothing) for end in (value, low, high)))
    if nothing - margin <= low and high <= nothing + margin:
        return Verdict(NO_EFFECT, share, "less than claimed")
    if low >= claimed:
        return Verdict(CONFIRMED, share, "as much as claimed, or more")
    if low > nothing and high >= claimed and low >= claimed - within:
        return Verdict(CONFIRMED, share, "about as much as claimed")
    if low > nothing and high < claimed:
        told = " to ".join(f"{100 * end:.0f}" for end in (share.low, share.high))
        return Verdict(SMALLER, share, f"{100 * share.value:.0f} % [{told} %] of what is claimed")
    if high < nothing:
        return Verdict(CONTRADICTED, share, "the effect is the other way")
    return Verdict(UNDECIDED, share, _left_open(low, high, claimed, nothing))


def _left_open(low: float, high: float, claimed: float, nothing: float) -> str:
    if low > nothing:
        return "more than nothing; whether as much as claimed is not decided"
    if high < claimed:
        return "less than claimed; whether anything at all is not decided"
    return "it may be nothing, and may be as much as claimed"


def _without_number(low: float, high: float, nothing: float, margin: float) -> Verdict:
    if nothing - margin <= low and high <= nothing + margin:
        return Verdict(NO_EFFECT, NO_SHARE, "where the claim is that there is one")
    if low > nothing + margin:
        return Verdict(CONFIRMED, NO_SHARE, "an effect, as claimed; the claim names no number")
    if high < nothing:
        return Verdict(CONTRADICTED, NO_SHARE, "the effect is the other way")
    if low > nothing:
        return Verdict(UNDECIDED, NO_SHARE, "more than nothing; whether beyond the margin is not decided")
    return Verdict(UNDECIDED, NO_SHARE, "whether anything at all is not decided")


def judge_growth(slopes: Sequence[Estimate], claimed: float, margin: float) -> Verdict:
    """The verdict on a claim that cost grows as the number of pixels to a power.

    Parameters
    ----------
    slopes : sequence of Estimate
        The local exponent between each two successive sizes.
    claimed, margin : float
        The exponent, and how far from it is still the same.
    """
    if not slopes:
        return unmeasured("too few sizes for a slope")
    least, most = claimed - margin, claimed + margin
    outside = [slope for slope in slopes if slope.high < least or slope.low > most]
    if outside:
        farthest = max(outside, key=lambda slope: abs(slope.value - claimed))
        return Verdict(CONTRADICTED, NO_SHARE, f"a local slope is {farthest:.2f}")
    if all(least <= slope.low and slope.high <= most for slope in slopes):
        return Verdict(CONFIRMED, NO_SHARE, "every local slope is as claimed, within the margin")
    wide = sum(not (least <= slope.low and slope.high <= most) for slope in slopes)
    return Verdict(UNDECIDED, NO_SHARE, f"{wide} of {len(slopes)} local slopes may lie outside the margin")


def deciding_half_width(value: float, claimed: float, nothing: float, margin: float, within: float) -> float:
    """How narrow an interval about `value` has to be for a verdict other than undecided: half its width.

    Above zero, wherever the value lies; any narrower interval decides too. Parameters are as of `judge`.
    """
    effect, most = value - nothing, claimed - nothing
    found = [margin - abs(effect), -effect, effect - most, min(effect, most - effect)]
    confirming = min(effect - most + within, effect)
    if confirming >= most - effect:  # else it would not hold the claim
        found.append(confirming)
    return max(found)


def in_words(kind: str, margin: float, quantity: str) -> str:
    """A verdict as people read it, with its margin where that is what it says."""
    return f"{kind} beyond ±{margin_in_words(margin, quantity)}" if kind == NO_EFFECT else kind


def margin_in_words(margin: float, quantity: str) -> str:
    """0.05 dB, or 5 % of a ratio or a reduction."""
    if quantity == "psnr_gain_db":
        return f"{margin:g} dB"
    return f"{margin if quantity == 'time_reduction_percent' else 100 * margin:g} %"
