"""Frames become sentences that claim no more than the spread allows."""

from __future__ import annotations


import numpy as np
import pandas as pd

from srlab.stats.frames import ALL, count
from srlab.stats.statistics import SEEDS, Estimate
from srlab.study.records import Record


def measured_cost(record: Record) -> str:
    """What a record's times and memory are measurements of."""
    on, costs = record.facts["environment"], record.profile
    sizes = ", ".join(f"1×3×{size}×{size}" for size in sorted(costs["size"].unique().tolist()))
    return (
        f"**How cost is measured.** On {on['name']} ({on['kind']}, {on['threads']} threads, torch "
        f"{on['torch']}), float32, LR inputs of shape {sizes}; {costs['warmup'].iloc[0]:.0f} warm-up and "
        f"{costs['repeats'].iloc[0]:.0f} timed calls, of which median and quartiles are given; peak memory "
        f"is what a call holds beyond what was there before it. The non-local layers alone run one after "
        f"another on random features of their width."
    )


#: What options are called in sentences.
WORDS = {
    "clusters": "k =",
    "window": "w =",
    "update": "centroids with",
    "renewed": "weights computed anew every n layers with n =",
    "side": "windows of side",
}


def verdict(differences: pd.DataFrame, by: str = "model", reference: object = "no_attention") -> str:
    """What may be said about mean gains: which intervals leave out zero, and how far the others reach.

    Of several benchmarks, about all of them together.
    """
    if (differences["benchmark"] == ALL).any():
        differences = differences[differences["benchmark"] == ALL]
    seeds = int(differences["seeds"].min())
    low, high = (f"{gain:+.3f}" for gain in (differences["gain_db"].min(), differences["gain_db"].max()))
    span = f"{low} dB" if low == high else f"between {low} and {high} dB"
    found = f"mean gain in Y-PSNR over {WORDS.get(by, by)} `{reference}` is {span}"
    if seeds < SEEDS:
        return (
            f"**No verdict.** The {found}, but {count(seeds, 'seed')} cannot tell a network from its luck: "
            f"{SEEDS} or more can."
        )
    apart = differences[differences["told_apart"]]
    others = differences[~differences["told_apart"]]
    told = [f"The {found}, over {seeds} seeds."]
    if len(apart):
        each = "; ".join(
            f"`{getattr(row, by)}` is {'better' if row.gain_db > 0 else 'worse'} {_on(row.benchmark)}, {signed(row)} dB"
            for row in apart.itertuples()
        )
        family = count(len(differences), "comparison")
        told.append(f"**Told apart** (95 % intervals over seeds, simultaneous for {family}): {each}.")
    if len(others):
        names = ", ".join(f"`{value}`" for value in others[by])
        widest = np.ceil(1000 * others[["low_db", "high_db"]].abs().to_numpy().max()) / 1000
        told.append(f"**Not told apart** within ±{widest:.3f} dB: {names}.")
    return " ".join(told)


def _on(benchmark: str) -> str:
    return "on all benchmarks" if benchmark == ALL else f"on {benchmark}"


def signed(row: object) -> str:
    """The gain of a row of `srlab.stats.differences` with its interval, where it has one."""
    return f"{Estimate(row.gain_db, row.low_db, row.high_db):+.3f}"
