"""The papers' claims about time and memory, as curves over the size of the map, on both codes.

Each was measured in several fresh processes; intervals are Student's t over the processes, on logarithms of
ratios of each one's medians.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy
from jaxtyping import Float
from numpy.typing import ArrayLike

from srlab.stats.statistics import Estimate
from srlab.study.claims_timing import OURS, PUBLISHED, label_on
from srlab.study.records import Record
from srlab.study.rules import CostClaim, rules
from srlab.study.study import Study

#: Where the networks of a claim were measured, by whom it is about.
MEASURED_FOR = {"lcoan": "layers", "fused windows": "windows", "esc": "networks", "trunk_fgca": "routing"}
#: In words, what that was.
WORK = {
    "layers": "ten non-local layers of 128 channels",
    "windows": "one layer of 32×32 windows, 64 channels",
    "networks": "whole networks, ×4",
    "routing": "one layer of 64 channels",
}
GROWTH = "growth_exponent"
ENDS = ("value", "low", "high")
CURVES = (
    *("id", "against", "code", "height", "width", "quantity", "claimed", "value", "low", "high", "processes"),
    *("judged", "from_no_effect", "from_claim", "device", "workload", "run"),
)
SLOPES = (
    *("id", "model", "code", "from_px", "to_px", "slope", "low", "high", "within", "processes"),
    *("device", "workload", "run"),
)


def curves(study: Study) -> pd.DataFrame:
    """Every claim that compares two costs, against each rival, on each code, on each size of map.

    Returns
    -------
    DataFrame
        id (of srlab/study/claims.yaml), against (the rival), code ("as published" or "ours"), height, width (of
        the map or LR image, px), quantity, claimed (NaN where the paper names a direction only), value, low,
        high (the quantity and its interval at the rules' level; the interval of one process is infinite, that of
        memory has no width where every process held the same), processes, judged (bool, one row of each claim, rival
        and code: the size that the claim names, or else the largest that both sides were measured on),
        from_no_effect, from_claim (the pixels from which on the claimed side of "no effect", or the claim itself, is
        reached and not left again, interpolated on logarithms; NaN if never, the smallest size if always), device,
        workload, run (hash). Empty where the profile measures nothing for claims.
    """
    rows = []
    for name, claim, record in _measured(study):
        if claim.quantity == GROWTH:
            continue
        for code in (PUBLISHED, OURS):
            for rival in claim.against:
                rows += [
                    {"id": name, "against": rival, "code": code, **row} for row in _curve(record, claim, rival, code)
                ]
    return pd.DataFrame(rows, columns=CURVES)


def slopes(study: Study) -> pd.DataFrame:
    """How time grows between successive ones of the rules' `growth_sides`: cost ∝ pixels^slope.

    Returns
    -------
    DataFrame
        id, model ("trunk_fgca", "trunk_bra"), code, from_px, to_px, slope, low, high (Student's t over processes, at the
        rules' level), within (bool: the interval lies within the claimed exponent ± the rules'
        `growth_margin`), processes, device, workload, run (hash).
    """
    law, rows = rules().costs, []
    for name, claim, record in _measured(study):
        if claim.quantity != GROWTH:
            continue
        sides = study.profile.claims.growth_sides or law.growth_sides
        for model in (claim.arm, *claim.against):
            for code in (PUBLISHED, OURS):
                medians = _medians(record, model, code, "ms")
                there = [(side, side) for side in sides if (side, side) in medians]
                for small, large in itertools.pairwise(there):
                    pixels = [height * width for height, width in (small, large)]
                    grown = np.log(medians[large] / medians[small]) / np.log(pixels[1] / pixels[0])
                    found = over_processes(grown, law.level)
                    least, most = claim.claimed - law.growth_margin, claim.claimed + law.growth_margin
                    rows.append(
                        {
                            "id": name,
                            "model": model,
                            "code": code,
                            "from_px": pixels[0],
                            "to_px": pixels[1],
                            **dict(zip(("slope", "low", "high"), found, strict=True)),
                            "within": least <= found.low and found.high <= most,
                            "processes": len(grown),
                            **_facts(record),
                        }
                    )
    return pd.DataFrame(rows, columns=SLOPES)


def over_processes(values: Float[np.ndarray, " processes"], level: float) -> Estimate:
    """The mean, and the interval of Student's t in which it lies; infinite where there is but one value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, -np.inf, np.inf)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    margin = float(scipy.stats.t.ppf((1 + level) / 2, len(values) - 1) * error)
    return Estimate(mean, mean - margin, mean + margin)


def reached_from(pixels: ArrayLike, ratios: ArrayLike, goal: float) -> float:
    """The pixels from which on a ratio is at least `goal` and stays so: a straight line on logarithms between sizes.

    Parameters
    ----------
    pixels, ratios : array_like
        By rising pixels.
    goal : float

    Returns
    -------
    float
        NaN if the last is below; the smallest size if none is.
    """
    x, y = np.log(pixels), np.log(ratios) - np.log(goal)
    below = np.flatnonzero(y < 0)
    if len(below) == 0:
        return float(pixels[0])
    last = below[-1]
    if last == len(x) - 1:
        return float("nan")
    return float(np.exp(x[last] - y[last] * (x[last + 1] - x[last]) / (y[last + 1] - y[last])))


def _measured(study: Study) -> Iterator[tuple[str, CostClaim, Record]]:
    """The claims about costs, each with the record that it is judged by."""
    runs = {run.about: run for run in study.claims_timing()}
    for name, claim in rules().costs.claims.items():
        if run := runs.get(f"claims-{MEASURED_FOR[claim.arm]}"):
            yield name, claim, study.obtain(run)


def _curve(record: Record, claim: CostClaim, rival: str, code: str) -> list[dict]:
    """Rows of a claim against one rival on one code, by size."""
    level = rules().costs.level
    column = "peak_mib" if claim.quantity == "memory_ratio" else "ms"
    own, other = (_medians(record, label, code, column) for label in (claim.arm, rival))
    places = [place for place in own if place in other]
    if not places:
        return []
    # How many times as much the rival takes as what the claim is about.
    logarithms = [np.log(other[place] / own[place]) for place in places]
    found = [Estimate(*np.exp(over_processes(each, level)).tolist()) for each in logarithms]
    pixels, ratios = [height * width for height, width in places], [each.value for each in found]
    judged = claim.size if claim.size in places else places[-1]
    goals = {"from_no_effect": 1.0}
    if claim.claimed is not None:
        goals["from_claim"] = as_ratio(claim.claimed, claim.quantity)
    return [
        {
            "height": place[0],
            "width": place[1],
            "quantity": claim.quantity,
            "claimed": np.nan if claim.claimed is None else claim.claimed,
            **{name: from_ratio(end, claim.quantity) for name, end in zip(ENDS, each, strict=True)},
            "processes": len(own[place]),
            "judged": place == judged,
            "from_claim": np.nan,
            **{column: reached_from(pixels, ratios, goal) for column, goal in goals.items()},
            **_facts(record),
        }
        for place, each in zip(places, found, strict=True)
    ]


def from_ratio(ratio: float, quantity: str) -> float:
    """A ratio of the rival's cost to one's own, as the claim puts it."""
    if quantity == "time_reduction_percent":
        return 100 - 100 / ratio if ratio > 0 else -np.inf
    return ratio


def as_ratio(value: float, quantity: str) -> float:
    """The other way round."""
    if quantity == "time_reduction_percent":
        return 100 / (100 - value) if value < 100 else np.inf
    return value


def _medians(
    record: Record, label: str, code: str, column: str
) -> dict[tuple[int, int], Float[np.ndarray, " processes"]]:
    """Of each size, the median of each process: time in ms, of layers that are all alike that of ten, or memory in MiB."""
    label = _timed_as(record, label, code)
    costs = record.profile[record.profile["label"] == label].set_index("size")
    times = record.times[record.times["label"] == label]
    groups = {name: network.options.get("groups", 1) for name, network in record.run.networks.items()}
    alike = max(groups.values()) / groups[label] if column == "ms" else 1
    each = times.groupby(["size", "process"])[column].median()
    return {
        (int(costs.loc[size, "height"]), int(costs.loc[size, "width"])): alike * own.to_numpy()
        for size, own in each.groupby("size")
    }


def _timed_as(record: Record, label: str, code: str) -> str:
    """The label on a code; of what has but one code, that."""
    return label_on(label, code) if label_on(label, code) in record.run.networks else label


def _facts(record: Record) -> dict[str, str]:
    on = record.facts["environment"]
    device = f"CPU {on['name']}, {on['threads']} threads" if on["kind"] == "cpu" else on["name"]
    work = WORK[record.run.about.removeprefix("claims-")]
    return {"device": device, "workload": f"{work}, float32, batch 1", "run": record.run.hash}
