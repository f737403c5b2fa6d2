"""Claims about time and memory as curves over the size of the map, on both codes.

Intervals are Student's t over fresh processes, on logarithms of ratios of each process's medians.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from srlab.chapters.claims.timed import OURS, PUBLISHED, label_on
from srlab.chapters.claims.verdicts import GROWTH, REDUCTION
from srlab.stats.intervals import Estimate, over_seeds
from srlab.stats.rules import CostClaim, rules
from srlab.study.frames import machine
from srlab.study.records import Record

#: The measurement of each claim, by its arm.
MEASURED_FOR = {"lcoan": "layers", "fused windows": "windows", "esc": "networks", "trunk_fgca": "routing"}
#: Words for each measurement.
WORK = {
    "layers": "ten non-local layers of 128 channels",
    "windows": "one layer of 32×32 windows, 64 channels",
    "networks": "whole networks, ×4",
    "routing": "one layer of 64 channels",
}
ENDS = ("value", "low", "high")
SLOPES = ("id", "model", "code", "from_px", "to_px", "slope", "low", "high", "within", "processes")


def curves(records: Mapping[str, Record]) -> pd.DataFrame:
    """Compare the two costs of every claim, against each rival, on each code and size; records are by measurement.

    Columns: id (of claims.yaml), against (the rival), code, height, width (of the map or LR image, px), quantity,
    claimed (NaN without a number), value, low, high (the quantity and its interval; infinite for one process),
    processes, judged (true for the size that the claim names, or else the largest that both were measured on),
    from_no_effect, from_claim (:func:`reached_from`, pixels), device, workload, run.
    """
    rows = [
        {"id": name, "against": rival, "code": code, **row}
        for name, claim in rules().costs.claims.items()
        if claim.quantity != GROWTH
        for code in (PUBLISHED, OURS)
        for rival in claim.against
        for row in _curve(records[MEASURED_FOR[claim.arm]], claim, rival, code)
    ]
    return pd.DataFrame(rows)


def slopes(records: Mapping[str, Record], sides: tuple[int, ...] = ()) -> pd.DataFrame:
    """Fit time ∝ pixels^slope between successive maps of these sides, by default the rules' `growth_sides`.

    Columns: id, model, code, from_px, to_px, slope, low, high (interval), within (the interval lies within the claimed
    exponent ± the rules' `growth_margin`), processes, device, workload, run.
    """
    law, rows = rules().costs, []
    for name, claim in law.claims.items():
        models = (claim.arm, *claim.against) if claim.quantity == GROWTH else ()
        for model, code in itertools.product(models, (PUBLISHED, OURS)):
            record = records[MEASURED_FOR[claim.arm]]
            medians = _medians(record, model, code, "ms")
            there = [(side, side) for side in sides or law.growth_sides if (side, side) in medians]
            for small, large in itertools.pairwise(there):
                pixels = [height * width for height, width in (small, large)]
                grown = np.log(medians[large] / medians[small]) / np.log(pixels[1] / pixels[0])
                found, margin = over_seeds(grown), law.growth_margin
                within = found.low >= claim.claimed - margin and found.high <= claim.claimed + margin
                facts = (name, model, code, *pixels, *found, within, len(grown))
                rows.append(dict(zip(SLOPES, facts, strict=True)) | _facts(record))
    return pd.DataFrame(rows, columns=None if rows else SLOPES)


def reached_from(pixels: ArrayLike, ratios: ArrayLike, goal: float) -> float:
    """Return the pixels from which on a ratio stays at least `goal`, by straight lines on logarithms.

    The smallest size if no ratio is below; NaN if the last ratio is below, or without a goal. Pixels rise.
    """
    x, y = np.log(pixels), np.log(ratios) - np.log(goal)
    below = np.flatnonzero(~(y >= 0))
    if len(below) == 0:
        return float(pixels[0])
    if (last := below[-1]) == len(x) - 1:
        return np.nan
    return float(np.exp(x[last] - y[last] * (x[last + 1] - x[last]) / (y[last + 1] - y[last])))


def _curve(record: Record, claim: CostClaim, rival: str, code: str) -> list[dict]:
    column = "peak_mib" if claim.quantity == "memory_ratio" else "ms"
    own, other = (_medians(record, label, code, column) for label in (claim.arm, rival))
    places = [place for place in own if place in other]
    if not places:
        return []
    # Times as much for the rival as for the claim's arm.
    logarithms = [np.log(other[place] / own[place]) for place in places]
    found = [Estimate(*np.exp(over_seeds(each)).tolist()) for each in logarithms]
    pixels, ratios = [height * width for height, width in places], [each.value for each in found]
    claimed = np.nan if claim.claimed is None else claim.claimed
    goals = {"from_no_effect": 1.0, "from_claim": as_ratio(claimed, claim.quantity)}
    starts = {name: reached_from(pixels, ratios, goal) for name, goal in goals.items()}
    judged = claim.size if claim.size in places else places[-1]
    return [
        {"height": place[0], "width": place[1], "quantity": claim.quantity, "claimed": claimed}
        | {name: from_ratio(end, claim.quantity) for name, end in zip(ENDS, each, strict=True)}
        | {"processes": len(own[place]), "judged": place == judged, **starts, **_facts(record)}
        for place, each in zip(places, found, strict=True)
    ]


def from_ratio(ratio: float, quantity: str) -> float:
    """Return a ratio of the rival's cost to one's own in the claim's quantity."""
    if quantity != REDUCTION:
        return ratio
    return 100 - 100 / ratio if ratio > 0 else -np.inf


def as_ratio(value: float, quantity: str) -> float:
    """Invert :func:`from_ratio`; NaN stays NaN."""
    if quantity != REDUCTION:
        return value
    return np.inf if value >= 100 else 100 / (100 - value)


def _medians(record: Record, label: str, code: str, column: str) -> dict[tuple, Float[np.ndarray, " processes"]]:
    """Return medians by (height, width): memory in MiB, or time in ms, ten times that of a layer if ten are alike."""
    label = label_on(label, code) if label_on(label, code) in record.run.networks else label
    costs, times = (table[table["label"] == label] for table in (record.table("profile"), record.table("times")))
    groups = {name: network.options.get("groups", 1) for name, network in record.run.networks.items()}
    alike = max(groups.values()) / groups[label] if column == "ms" else 1
    places = costs.set_index("size")[["height", "width"]].astype(int)
    each = times.groupby(["size", "process"])[column].median().groupby("size")
    return {tuple(places.loc[size].tolist()): alike * own.to_numpy() for size, own in each}


def _facts(record: Record) -> dict[str, str]:
    work = WORK[record.run.about.removeprefix("claims-")]
    return {"device": machine(record), "workload": f"{work}, float32, batch 1", "run": record.run.hash}
