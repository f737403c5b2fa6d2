"""Estimates with 95 % intervals: differences in quality, ratios of times, growth, rank correlation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy  # and not its `stats`, which takes half a second and is loaded when first used
from jaxtyping import Float
from numpy.typing import ArrayLike

from srlab.errors import InputError

LEVEL = 0.95
RESAMPLES = 4000
#: Fewer seeds than this give no verdict: their spread is not known.
SEEDS = 3


class Estimate(NamedTuple):
    """A number and its 95 % interval, in the number's unit."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def paired_difference(differences: Float[np.ndarray, "seeds images"]) -> Estimate:
    """The mean difference of two networks that were trained from the same seeds and met the same images.

    Both are resampled with replacement, seeds and, independently, images, since either would be others next
    time; the interval is that of percentiles. Of few seeds such an interval is rather too narrow than too
    wide. With one seed it is that of the images alone (scipy's, bias-corrected and accelerated).

    Parameters
    ----------
    differences : Float[np.ndarray, "seeds images"]
        dB.

    Raises
    ------
    InputError
        If a number is not finite.
    """
    if not np.isfinite(differences).all():
        raise InputError(
            "differences hold numbers that are not finite: an interval needs every seed and image"
        )
    seeds, images = differences.shape
    mean = float(differences.mean())
    if images == 1 or np.ptp(differences) == 0:
        return Estimate(mean, -np.inf, np.inf) if images == 1 else Estimate(mean, mean, mean)
    generator = np.random.default_rng(0)
    if seeds == 1:
        found = scipy.stats.bootstrap(
            (differences[0],), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, rng=generator
        ).confidence_interval
        return Estimate(mean, float(found.low), float(found.high))
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    of_images = generator.multinomial(images, np.full(images, 1 / images), RESAMPLES) / images
    means = np.einsum("rs,si,ri->r", of_seeds, differences, of_images)
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(mean, float(low), float(high))


def ratio_of_medians(times: ArrayLike, reference: ArrayLike) -> Estimate:
    """How many times as long one call takes as another that was timed in turn with it.

    Rounds are resampled in pairs (scipy's bootstrap, percentiles), since both calls of a round met the same
    state of the machine.

    Parameters
    ----------
    times, reference : array_like
        ms, round by round.

    Raises
    ------
    InputError
        If the rounds are not as many.
    """
    times, reference = np.asarray(times, float), np.asarray(reference, float)
    if len(times) != len(reference):
        raise InputError(
            f"times: {len(times)} rounds against {len(reference)} of the reference; calls must be timed in "
            "turn"
        )

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


def growth_exponent(pixels: ArrayLike, costs: ArrayLike) -> Estimate:
    """The exponent e of cost ∝ pixels^e: least squares on logarithms, interval by Student's t.

    Parameters
    ----------
    pixels, costs : array_like
        Positive; at least three different numbers of pixels, or there is no interval.

    Raises
    ------
    InputError
        If there are fewer than two different numbers of pixels.
    """
    if len(set(pixels)) < 2:
        raise InputError(f"pixels: {len(set(pixels))} size; growth needs two or more")
    line = scipy.stats.linregress(np.log(pixels), np.log(costs))
    free = len(pixels) - 2
    error = np.nan_to_num(line.stderr)  # scipy gives none where all costs are alike
    margin = scipy.stats.t.ppf((1 + LEVEL) / 2, free) * error if free > 0 else np.inf
    return Estimate(float(line.slope), float(line.slope - margin), float(line.slope + margin))


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Spearman's ρ by scipy, with a bootstrap over pairs (percentiles)."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    value = float(scipy.stats.spearmanr(x, y).statistic)
    if len(x) < 4 or not np.isfinite(value):
        return Estimate(value, -np.inf, np.inf)
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(x), size=(RESAMPLES, len(x)))
    rank_x, rank_y = (scipy.stats.rankdata(side[drawn], axis=1) for side in (x, y))
    with np.errstate(invalid="ignore"):  # a resample of one pair alone has no correlation
        found = _correlations(rank_x, rank_y)
    low, high = np.nanpercentile(found, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(value, float(low), float(high))


def _correlations(x: Float[np.ndarray, "n m"], y: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    x, y = (side - side.mean(1, keepdims=True) for side in (x, y))
    return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))


def matrix(gains: pd.DataFrame, column: str = "gain_db") -> Float[np.ndarray, "seeds images"]:
    """A column of a tidy frame with seed, benchmark and name, as `paired_difference` wants it."""
    return gains.pivot_table(index="seed", columns=["benchmark", "name"], values=column).to_numpy()
