"""Tables of cost: records of timing become tidy frames, ratios, and exponents of growth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from srlab.stats.intervals import Estimate, growth_exponent, ratio_of_medians
from srlab.study.frames import machine, timings
from srlab.study.records import Record

LAYERS = "non-local layers"
#: The layers that others are compared with, if they are timed.
DENSE = "trunk_nla"
#: Other pairs of layers to compare.
PAIRS = (
    ("lcoan", "trunk_lsp"),
    ("lcoan", "trunk_nla_shared"),
    ("lcoan (stored)", "lcoan"),
    ("trunk_nla_shared (stored)", "trunk_nla_shared"),
)
#: Growth of limits is fitted to maps of at least this many pixels; smaller ones measure fixed costs.
FITTED = 64**2
#: An exponent from fewer sizes counts as not measured: its interval is wider than the question.
SIZES = 4
COSTS = ["median_ms", "q25_ms", "q75_ms", "peak_mib", "gflops", "run"]
#: The columns to look at, of tables NAME_costs.
SHOWN = {
    "backends": ["side", "backend", *COSTS],
    "routing": ["mechanism", "window", "top", "size", *COSTS],
    "limits": ["model", "height", "width", "state", "median_ms", "repeats", "peak_mib", "run"],
    "roofline": ["model", "median_ms", "floor_ms", "gflops", "moved_mib", "energy_j", "peak_mib", "run"],
}


def inside(record: Record) -> pd.DataFrame:
    """Return the stages of non-local layers: model, size, stage, share, ms (share of their median), repeats, run."""
    layers = record.table("profile").query("part == @LAYERS").set_index(["label", "size"])["median_ms"]
    stages = record.table("inside")
    whole = layers.loc[list(zip(stages["label"], stages["size"], strict=True))].to_numpy()
    stages = stages.assign(ms=stages["share"] * whole, run=record.run.hash).rename(columns={"label": "model"})
    return stages[["model", "size", "stage", "share", "ms", "repeats", "run"]]


def backends(record: Record) -> pd.DataFrame:
    """Return the costs of window attention with side and backend; RIB is a backend."""
    rows = _layers(record, "side", "backend", "position")
    return rows.assign(backend=rows["backend"].where(rows["position"] != "rib", "rib"))


def routing(record: Record) -> pd.DataFrame:
    """Return the costs of FGCA and BRA with mechanism, window (M; NaN for BRA) and top."""
    rows = _layers(record, "side", "top")
    return rows.rename(columns={"model": "mechanism", "side": "window"}).astype({"window": float})


def _layers(record: Record, *options: str) -> pd.DataFrame:
    rows = record.table("profile").query("part == @LAYERS")
    networks = [record.run.networks[label] for label in rows["label"]]
    known = {name: [network.options.get(name) for network in networks] for name in options}
    return rows.assign(model=[network.model for network in networks], **known, run=record.run.hash)


def roofline(record: Record) -> pd.DataFrame:
    """Compare layers on the largest input with the device's roofs, measured in the same run.

    The result has gflops_per_s and gib_per_s (the roofs), and floor_ms: the time that the counted operations, or the
    bytes that must move, take at the roofs, whichever is longer.
    """
    rows = timings(record)
    rows = rows[(rows["part"] == LAYERS) & (rows["size"] == rows["size"].max())]
    rows = rows[~rows["model"].str.contains("stored")]
    roofs = record.facts["ceilings"]
    arithmetic = rows["gflops"] / roofs["gflops_per_s"]
    moving = rows["moved_mib"] / 1024 / roofs["gib_per_s"]
    return rows.assign(**roofs, floor_ms=1e3 * np.maximum(arithmetic, moving))


def limits(record: Record) -> pd.DataFrame:
    """Return a limits run's table with model, part and run."""
    return record.table("limits").rename(columns={"label": "model"}).assign(part=LAYERS, run=record.run.hash)


def growth(costs: pd.DataFrame) -> pd.DataFrame:
    """Fit cost ∝ L^exponent with L pixels, over all sizes of each model and part.

    Columns: model, part, sizes, from_px, to_px (pixels), time_exponent, time_low, time_high, memory_exponent,
    memory_low, memory_high (95 % intervals, :func:`srlab.stats.intervals.growth_exponent`), run.
    """
    exponents = [f"{cost}_{end}" for cost in ("time", "memory") for end in ("exponent", "low", "high")]
    rows = []
    for names, own in costs.groupby(["model", "part"], sort=False):
        pixels = own["height"] * own["width"]
        if (sizes := pixels.nunique()) > 1:
            found = [end for column in ("median_ms", "peak_mib") for end in growth_exponent(pixels, own[column])]
            rows.append((*names, sizes, pixels.min(), pixels.max(), *found, own["run"].iloc[0]))
    return pd.DataFrame(rows, columns=["model", "part", "sizes", "from_px", "to_px", *exponents, "run"])


def reference(costs: pd.DataFrame) -> str:
    """Return the model that others are compared with: dense attention, or else the first with non-local layers."""
    models = costs.loc[costs["part"] == LAYERS, "model"].tolist()
    return DENSE if DENSE in models else models[0]


def ratios(growth: Record, windows: Record, routing: Record) -> pd.DataFrame:
    """Compare pairs of layers on the largest input: time and memory of the first ÷ those of the second.

    Columns: about (the run), first, second (labels), size, ratio, low, high (95 % interval,
    :func:`srlab.stats.intervals.ratio_of_medians`; infinite if a kept record lacks its single timed calls),
    memory_ratio, rounds, device, run.
    """
    dense = reference(timings(growth))
    every = dict.fromkeys([*((model, dense) for model in growth.run.networks if model != dense), *PAIRS])
    plain = [(f"{name.split()[0]} reference", name) for name in windows.run.networks if "reference" not in name]
    routed = [(f"trunk_bra {name.split()[-1]}", name) for name in routing.run.networks if "fgca" in name]
    return pd.concat([_ratios(growth, every), _ratios(windows, plain), _ratios(routing, routed)], ignore_index=True)


def _ratios(record: Record, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    costs = record.table("profile").query("part == @LAYERS and size == size.max()").set_index("label")
    rounds, size, rows = {}, costs["size"].iloc[0], []
    if record.has("times.csv"):
        times = record.table("times").query("part == @LAYERS and size == @size").sort_values("repeat")
        rounds = dict(list(times.groupby("label")["ms"]))
    for pair in pairs:
        if set(pair) <= set(costs.index):
            one, other = (costs.loc[label] for label in pair)
            found = Estimate(one["median_ms"] / other["median_ms"], -np.inf, np.inf)
            found = ratio_of_medians(*(rounds[label] for label in pair)) if rounds else found
            rows.append((*pair, size, *found, one["peak_mib"] / other["peak_mib"]))
    found = pd.DataFrame(rows, columns=["first", "second", "size", "ratio", "low", "high", "memory_ratio"])
    facts = {"about": record.run.about, "rounds": record.run.repeats, "device": machine(record), "run": record.run.hash}
    return found.assign(**facts)
