"""Estimates with 95 % intervals: differences in quality, ratios of times, growth, rank correlation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy  # and not its `stats`, which takes half a second and is loaded when first used
from jaxtyping import Float

from srlab.errors import InputError

Numbers: TypeAlias = Sequence[float | int] | np.ndarray | pd.Series
LEVEL = 0.95
RESAMPLES = 4000
#: Fewer seeds than this give no verdict: their spread is not known.
SEEDS = 3


class Estimate(NamedTuple):
    """A number and its 95 % interval, in the same unit; the ends are infinite without an interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __format__(self, form: str) -> str:
        """Format the number and its interval, if any: "+0.023 [+0.001, +0.044]"."""
        if not np.isfinite(self.high - self.low):
            return f"{self.value:{form}}"
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def seed_difference(differences: Float[np.ndarray, "seeds images"], family: int = 1) -> Estimate:
    """Estimate the mean difference of two networks trained from the same seeds and tested on the same images.

    The unit of analysis is the seed: the mean over images per seed, then Student's t over seeds, with infinite ends for
    one seed. Images are not resampled. Intervals of a `family` of so many comparisons are simultaneous at 95 % or more
    (Šidák). InputError if a number is not finite.
    """
    if not np.isfinite(differences).all():
        raise InputError("differences hold numbers that are not finite: an interval needs every seed and image")
    return over_seeds(differences.mean(1), family)


def over_seeds(found: Float[np.ndarray, " seeds"], family: int = 1) -> Estimate:
    """Estimate a mean over seeds with its interval by Student's t; see `seed_difference`."""
    mean, seeds = float(found.mean()), len(found)
    spread = float(found.std(ddof=1)) if seeds > 1 else np.nan
    half = half_width(spread, seeds, family)
    return Estimate(mean, mean - half, mean + half)


def equivalent(estimate: Estimate, margin: float) -> bool:
    """Test equivalence: the interval lies wholly within ±margin (two one-sided tests at 2.5 % each)."""
    return -margin < estimate.low and estimate.high < margin


@cache
def _quantile(seeds: int, family: int) -> float:
    level = LEVEL ** (1 / family)
    return float(scipy.stats.t.ppf((1 + level) / 2, seeds - 1))


def half_width(spread: float, seeds: int, family: int) -> float:
    """Return half the width of a simultaneous interval; infinite for one seed.

    `spread` is the standard deviation over seeds of the mean difference, in dB, as the result is.
    """
    if seeds < 2:
        return np.inf
    return _quantile(seeds, family) * spread / seeds**0.5


def seeds_needed(spread: float, half_width: float, family: int, most: int = 100) -> int | None:
    """Return the fewest seeds (`SEEDS` or more) that reach a half-width at this spread; None above `most`."""
    enough = (n for n in range(SEEDS, most + 1) if _quantile(n, family) * spread / n**0.5 <= half_width)
    return next(enough, None)


def ratio_of_medians(times: Numbers, reference: Numbers) -> Estimate:
    """Estimate the ratio of two calls' median times (ms, round by round), measured interleaved.

    Rounds are resampled in pairs (percentile bootstrap), since both calls of a round met the same machine state.
    InputError if the numbers of rounds differ.
    """
    times, reference = np.asarray(times, float), np.asarray(reference, float)
    if len(times) != len(reference):
        counts = f"{len(times)} rounds against {len(reference)} of the reference"
        raise InputError(f"times: {counts}; calls must be interleaved")

    def ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray | float:
        return np.median(a, axis) / np.median(b, axis)

    value = float(ratio(times, reference))
    if len(times) < 2:
        return Estimate(value, -np.inf, np.inf)
    found = scipy.stats.bootstrap(
        (times, reference),
        ratio,
        paired=True,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high))


def growth_exponent(pixels: Numbers, costs: Numbers) -> Estimate:
    """Estimate the exponent e of cost ∝ pixels^e: least squares on logarithms, interval by Student's t.

    All numbers are positive. InputError for fewer than two different numbers of pixels; an interval needs three.
    """
    if len(set(pixels)) < 2:
        raise InputError(f"pixels: {len(set(pixels))} size; growth needs two or more")
    line = scipy.stats.linregress(np.log(pixels), np.log(costs))
    free = len(pixels) - 2
    error = np.nan_to_num(line.stderr)  # scipy gives none where all costs are alike
    margin = scipy.stats.t.ppf((1 + LEVEL) / 2, free) * error if free > 0 else np.inf
    return Estimate(float(line.slope), float(line.slope - margin), float(line.slope + margin))


def spearman(first: Numbers, second: Numbers, family: int = 1, given: Numbers | None = None) -> Estimate:
    """Estimate Spearman's ρ, by Fisher's z with the variance (1 + ρ²/2) / (n − 3).

    `family` is the number of simultaneous correlations (Šidák). With a control `given`, ρ is the partial correlation of
    ranks, and n is less by one. Ends are infinite for n < 4; ρ is NaN if one variable is constant or fully determined
    by `given`. Source: D. G. Bonett, T. A. Wright, "Sample size requirements for estimating Pearson, Kendall and
    Spearman correlations", Psychometrika 65(1), 2000.
    """
    sides = [np.asarray(side, float) for side in (first, second, given) if side is not None]
    rho, *others = (pd.Series(one).corr(pd.Series(other), "spearman") for one, other in combinations(sides, 2))
    number = len(first)
    if others:
        with np.errstate(invalid="ignore"):
            rho = float((rho - np.prod(others)) / np.sqrt(np.prod(1 - np.square(others))))
        number -= 1
    if number < 4 or not abs(rho) < 1:
        return Estimate(rho, -np.inf, np.inf)
    level = LEVEL ** (1 / family)
    half = scipy.stats.norm.ppf((1 + level) / 2) * np.sqrt((1 + rho**2 / 2) / (number - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Estimate(rho, float(low), float(high))


def matrix(gains: pd.DataFrame, column: str = "gain_db") -> Float[np.ndarray, "seeds images"]:
    """Arrange a column of a tidy frame (seed, benchmark, name) for `seed_difference`."""
    return gains.pivot_table(index="seed", columns=["benchmark", "name"], values=column).to_numpy()
