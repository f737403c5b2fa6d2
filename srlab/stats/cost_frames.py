"""Records of timing become tidy frames, and frames summaries of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from srlab.stats.statistics import growth_exponent
from srlab.study.records import Record


def timings(record: Record) -> pd.DataFrame:
    """A network, part and size of a timing run a row: the columns of `Record.profile`, labels called model, and run."""
    return record.profile.rename(columns={"label": "model"}).assign(run=record.run.hash)


def inside(record: Record) -> pd.DataFrame:
    """Where the time inside non-local layers goes: model, size, stage, share, ms (of their median), repeats, run."""
    alone = record.profile[record.profile["part"] == "non-local layers"].set_index(["label", "size"])["median_ms"]
    rows = record.inside
    whole = alone.loc[list(zip(rows["label"], rows["size"], strict=True))].to_numpy()
    told = rows.assign(ms=rows["share"] * whole, run=record.run.hash).rename(columns={"label": "model"})
    return told[["model", "size", "stage", "share", "ms", "repeats", "run"]]


def timed(record: Record, *options: str) -> pd.DataFrame:
    """The non-local layers of a timing run, with model and the named options (NaN where a model has none)."""
    rows = record.profile[record.profile["part"] == "non-local layers"]
    networks = [record.run.networks[label] for label in rows["label"]]
    known = {name: [network.options.get(name) for network in networks] for name in options}
    return rows.assign(model=[network.model for network in networks], **known, run=record.run.hash)


def backends(record: Record) -> pd.DataFrame:
    """The same for window attention: side and backend, of which RIB is one."""
    rows = timed(record, "side", "backend", "position")
    return rows.assign(backend=rows["backend"].where(rows["position"] != "rib", "rib"))


def routing(record: Record) -> pd.DataFrame:
    """The same for FGCA and BRA: mechanism, window (M; NaN for BRA) and top."""
    rows = timed(record, "side", "top")
    return rows.rename(columns={"model": "mechanism", "side": "window"}).astype({"window": float})


def scales(records: Sequence[Record]) -> pd.DataFrame:
    """Whole networks at each scale, from timing runs; ×16 is ×4 of what ×4 makes, where both were measured.

    Returns
    -------
    DataFrame
        model, scale and the columns of `timings`; of ×16 the sum of times and the larger memory.
    """
    rows = pd.concat([timings(record).assign(scale=record.run.scale) for record in records])
    rows = rows[rows["part"] == "network"]
    first = rows["size"] == rows["size"].min()
    steps = rows[rows["scale"] == 4].sort_values("size")
    twice = steps.groupby("model", sort=False).agg(
        {**dict.fromkeys(("median_ms", "q25_ms", "q75_ms", "gflops"), "sum"), "peak_mib": "max"}
    )
    same = rows[first & (rows["scale"] == 4)].set_index("model")
    twice = same.assign(**twice, scale=16).reset_index() if steps["size"].nunique() == 2 else None
    return pd.concat([rows[first], twice], ignore_index=True)


def roofline(record: Record) -> pd.DataFrame:
    """Non-local layers on the largest input against the floor that arithmetic and bytes set on that device.

    Returns
    -------
    DataFrame
        The columns of `timings`, gflops_per_s and gib_per_s (the roofs, measured in the same run), and
        floor_ms: the longer of what the operations and what the bytes take at the roofs.
    """
    rows = timings(record)
    rows = rows[(rows["part"] == "non-local layers") & (rows["size"] == rows["size"].max())]
    roofs = record.facts["ceilings"]
    arithmetic = rows["gflops"] / roofs["gflops_per_s"]
    moving = rows["moved_mib"] / 1024 / roofs["gib_per_s"]
    return rows.assign(**roofs, floor_ms=1e3 * np.maximum(arithmetic, moving))


def limits(record: Record) -> pd.DataFrame:
    """Of a limits run: model instead of label, part, and run."""
    found = record.limits.rename(columns={"label": "model"})
    return found.assign(part="non-local layers", run=record.run.hash)


_EXPONENTS = [f"{what}_{end}" for what in ("time", "memory") for end in ("exponent", "low", "high")]
#: Columns of `growth`.
GROWTH = ["model", "part", "sizes", "from_px", "to_px", *_EXPONENTS, "run"]


def growth(costs: pd.DataFrame) -> pd.DataFrame:
    """How cost grows with the number of pixels L, over all sizes measured: cost ∝ L^exponent.

    Parameters
    ----------
    costs : DataFrame
        model, part, height, width, median_ms, peak_mib, run.

    Returns
    -------
    DataFrame
        model, part, sizes, from_px, to_px (pixels L), time_exponent, time_low, time_high, memory_exponent,
        memory_low, memory_high (95 % intervals, `srlab.stats.statistics.growth_exponent`), run.
    """
    rows = []
    for (model, part), each in costs.groupby(["model", "part"], sort=False):
        pixels = each["height"] * each["width"]
        if pixels.nunique() < 2:
            continue
        time, memory = (growth_exponent(pixels, each[column]) for column in ("median_ms", "peak_mib"))
        rows.append(
            {
                "model": model,
                "part": part,
                "sizes": pixels.nunique(),
                "from_px": pixels.min(),
                "to_px": pixels.max(),
                **dict(zip(("time_exponent", "time_low", "time_high"), time, strict=True)),
                **dict(zip(("memory_exponent", "memory_low", "memory_high"), memory, strict=True)),
                "run": each["run"].iloc[0],
            }
        )
    return pd.DataFrame(rows, columns=GROWTH)
