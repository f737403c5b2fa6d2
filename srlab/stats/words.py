"""Words for numbers: one voice for verdicts, counts, ranges and lists, used by every answer and figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from srlab.stats.intervals import SEEDS

#: Lists of at most this many names are written out; longer ones are counted.
FEW = 4
MINUS = "−"


def count(number: int, noun: str) -> str:
    """Return "1 seed", "1,200 images"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def number(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign, and never "−0.00"."""
    return f"{value:z,.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign: "+0.02", "−0.30"; "0.00" has none, since rounding hides it."""
    text = f"{value:+z.{digits}f}".replace("-", MINUS)
    return text if text.strip("+0.") else text[1:]


def percent(share: float) -> str:
    """Return "65 %"."""
    return f"{100 * share:.0f} %"


def between(values: Iterable[float], digits: int = 2, sign: bool = False) -> str:
    """Return "0.12 to 0.98", or one number if both ends are printed the same; empty without values."""
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return ""
    low, high = ((signed if sign else number)(end, digits) for end in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def images_and_seeds(images: pd.DataFrame) -> str:
    """Return "8 images and 3 seeds", counted in a frame with benchmark, name and seed."""
    number = len(images[["benchmark", "name"]].drop_duplicates())
    return f"{count(number, 'image')} and {count(images['seed'].nunique(), 'seed')}"


def bar_note(seeds: int, family: str = "simultaneous") -> str:
    """Return the note on a figure's bars: "bars: 95 % intervals over seeds, simultaneous", or "no interval"."""
    return f"bars: 95 % intervals over seeds, {family}" if seeds > 1 else "no interval"


def listed(names: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def estimate(value: float, low: float, high: float, digits: int = 3) -> str:
    """Return "+0.023 [+0.001, +0.044]", or the value alone without a finite interval."""
    if not np.isfinite(high - low):
        return signed(value, digits)
    return f"{signed(value, digits)} [{signed(low, digits)}, {signed(high, digits)}]"


def say(gains: pd.DataFrame, margin: float) -> str:
    """Return the verdicts on some gains as a Markdown list, the same way everywhere.

    Gains (dB) have a row each: name, value, low, high (interval), seeds; `margin` is in dB. A gain is *significant* if
    its interval excludes zero, and has *no effect* if the interval lies within ±margin. A gain may be both: it is then
    reported as significant but smaller than the margin.
    """
    seeds = int(gains["seeds"].min())
    if seeds < SEEDS:
        return (
            f"Gains: {between(gains['value'], 3, sign=True)} dB. "
            f"A verdict needs {SEEDS} seeds; there {'is 1' if seeds == 1 else f'are {seeds}'}."
        )
    above, below = gains["low"] > 0, gains["high"] < 0
    small = (gains["low"] > -margin) & (gains["high"] < margin)
    groups = {
        "Higher": above & ~small,
        f"Higher, by less than ±{margin:g} dB": above & small,
        f"No effect beyond ±{margin:g} dB": small & ~above & ~below,
        f"Lower, by less than ±{margin:g} dB": below & small,
        "Lower": below & ~small,
        "Undecided": ~(above | below | small),
    }
    found = {words: gains[chosen] for words, chosen in groups.items() if chosen.any()}
    return "\n".join(f"- {words}: {_named(own, len(gains))}." for words, own in found.items())


def _named(gains: pd.DataFrame, total: int) -> str:
    if len(gains) > FEW:
        return f"{len(gains)} of {total} ({between(gains['value'], 3, sign=True)})"
    return ", ".join(f"{row.name} {estimate(row.value, row.low, row.high)}" for row in gains.itertuples(index=False))
