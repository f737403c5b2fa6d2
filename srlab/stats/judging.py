"""What may be said about mean gains, in few words."""

from __future__ import annotations

import pandas as pd

from srlab.stats.frames import ALL, MARGIN, count
from srlab.stats.statistics import SEEDS

#: So many are named; of more it is told how many.
FEW = 3


def judged(gains: pd.DataFrame, by: str) -> str:
    """What may be said about mean gains, in as few words as name every one that is told apart.

    Of several benchmarks, about all of them together. A gain whose whole interval lies within the margin of
    `srlab/study/claims.yaml` is no effect, even if the interval leaves out zero.

    Parameters
    ----------
    gains : DataFrame
        As of `srlab.stats.differences`.
    by : str
        The column that names what is compared.
    """
    if (gains["benchmark"] == ALL).any():
        gains = gains[gains["benchmark"] == ALL]
    seeds = int(gains["seeds"].min())
    if seeds < SEEDS:
        span = _span(*(f"{gain:+.3f}" for gain in gains["gain_db"].agg(["min", "max"])))
        return f"{span}, of {count(seeds, 'seed')}, which gives no verdict"
    none = (gains["low_db"] >= -MARGIN) & (gains["high_db"] <= MARGIN)
    apart = gains["told_apart"] & ~none
    better, worse = gains[apart & (gains["gain_db"] > 0)], gains[apart & (gains["gain_db"] < 0)]
    open_ = gains[~none & ~apart]
    told = [_found(own, by, word) for own, word in ((better, "better"), (worse, "worse")) if len(own)]
    if not told and len(gains) > FEW:
        told.append("none better, none worse")
    if none.any():
        told.append(f"{_these(gains[none], gains, by)}: no effect beyond ±{MARGIN:g} dB")
    if len(open_):
        widest = open_[["low_db", "high_db"]].abs().to_numpy().max()
        told.append(f"{len(open_)} of {len(gains)} not told apart (95 % intervals within ±{widest:.2f} dB)")
    return "; ".join(told)


def _these(own: pd.DataFrame, all_of_them: pd.DataFrame, by: str) -> str:
    """By name, if they are few."""
    return _named(own, by) if len(own) <= FEW else f"{len(own)} of {len(all_of_them)}"


def _found(own: pd.DataFrame, by: str, word: str) -> str:
    span = _span(*(f"{gain:.3f}" for gain in own["gain_db"].abs().agg(["min", "max"])))
    return f"{_named(own, by)} {word}, by {span}"


def _span(low: str, high: str) -> str:
    return f"{low} dB" if low == high else f"{low} to {high} dB"


def _shares(shares: pd.Series) -> str:
    low, high = (f"{max(share, 0):.2f}" for share in shares.agg(["min", "max"]))
    return low if low == high else f"{low} to {high}"


def _named(own: pd.DataFrame, by: str) -> str:
    return ", ".join(f"`{value}`" for value in own[by])
