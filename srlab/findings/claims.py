"""The papers' headline claims against what this study measured, by rules that are written down here.

A claim **holds** where the 95 % interval reaches the claimed value; it **holds in direction** where the
interval leaves out "no effect" but falls short of the claimed value; it **does not hold** where the interval
lies on the other side; and it is **not testable at this budget** where the interval has "no effect" inside,
where fewer than three seeds were trained, or where training had so little settled that what its last quarter
still gained is more than what is claimed. Differences in quality are those of small networks after an equal,
small number of steps: never the papers' fully trained results.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import pandas as pd

from srlab.findings.frames import ALL, curves, differences, late_gains, quality
from srlab.findings.statistics import SEEDS, Estimate, growth_exponent, ratio_of_medians
from srlab.measure.limits import MEASURED
from srlab.study.records import Record
from srlab.study.study import Study

HOLDS, DIRECTION, NOT = "holds", "holds in direction", "does not hold"
UNTESTED = "not testable at this budget, because"

#: The baselines of LCoA's claims; its paper's summary names none.
RIVALS = ("nlan", "nlsn", "enlcn", "lspn")
LAYERS = "non-local layers"
#: Ratios of memory nearer to 1 than this are no difference: allocators round.
SAME = 0.05
#: Maps smaller than this, in pixels, are left out of growth: there fixed costs hide it.
LARGE = 128**2


def published_claims() -> pd.DataFrame:
    """The claims as the papers print them: id, source, claim, quantity, claimed, compared_with, workload."""
    return pd.read_csv(files("srlab.findings") / "claims.csv")


def examine(study: Study) -> pd.DataFrame:
    """Every claim against every plausible baseline.

    Returns
    -------
    DataFrame
        id, claim, claimed, against (the baseline), quantity, measured, low, high (95 % interval), spread
        (what it is over), device, workload, verdict, source, share, share_low, share_high (measured in units
        of the claim, where it is a number), run (hashes). The ratio to the baseline of a time is that of
        medians of calls made in turn in one process.
    """
    claims = published_claims().set_index("id")
    rows = []
    for name, found in [
        *_times(study),
        *_memory(study),
        *_growth(study),
        *_quality(study, claims["claimed"]),
    ]:
        claim = claims.loc[name]
        row = {
            "id": name,
            "claim": claim["claim"],
            "claimed": claim["claimed"],
            "quantity": claim["quantity"],
            "source": f"https://arxiv.org/abs/{claim['source'].removeprefix('arXiv:')}",
            **found,
        }
        # A ratio of 1 is no effect, and so are 0 % and 0 dB. Growth has no such point.
        nothing = 1.0 if claim["quantity"].endswith("ratio") else 0.0
        for share, end in (("share", "measured"), ("share_low", "low"), ("share_high", "high")):
            row[share] = (row[end] - nothing) / (claim["claimed"] - nothing)
            if claim["quantity"] == "growth_exponent":
                row[share] = None
        rows.append({"verdict": judge(row), **row})
    order = {name: number for number, name in enumerate(claims.index)}
    table = pd.DataFrame(rows).sort_values("id", key=lambda ids: ids.map(order), kind="stable")
    columns = ["id", "claim", "claimed", "against", "quantity", "measured", "low", "high", "spread", "device"]
    columns += ["workload", "verdict", "source", "share", "share_low", "share_high", "run"]
    return table[columns].reset_index(drop=True)


def judge(row: dict) -> str:
    """The verdict on one measured claim, by the rules above.

    Parameters
    ----------
    row : dict
        quantity, claimed, measured, low, high; untested (a reason, or None); for growth also other, the
        baseline's exponent.
    """
    if row.get("untested"):
        return f"{UNTESTED} {row['untested']}"
    low, high, claimed = row["low"], row["high"], row["claimed"]
    if row["quantity"] == "growth_exponent":
        if low <= claimed:
            return HOLDS
        return DIRECTION if high < row["other"] else NOT
    nothing = 1.0 if row["quantity"].endswith("ratio") else 0.0
    if low <= nothing <= high and low < high:
        return f"{UNTESTED} the interval holds no effect"
    if high <= nothing or (low == high and abs(high - nothing) < SAME):
        return NOT
    return HOLDS if high >= claimed else DIRECTION


def summary(rows: pd.DataFrame) -> str:
    """How many claims hold, and against whom each one's verdict is what."""
    told = []
    for name, own in rows.groupby("id", sort=False):
        verdicts = "; ".join(f"{row.verdict} (against {row.against})" for row in own.itertuples())
        told.append(f"- **{name}**, {own['claim'].iloc[0]}: {verdicts}.")
    kinds = rows["verdict"].where(~rows["verdict"].str.startswith(UNTESTED), "not testable at this budget")
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.value_counts().items())
    return f"{len(rows)} comparisons of {rows['id'].nunique()} claims: {counts}.\n\n" + "\n".join(told)


def _row(against: str, found: Estimate, **facts: object) -> dict:
    return {"against": against, "measured": found.value, "low": found.low, "high": found.high, **facts}


def _on(record: Record) -> str:
    on = record.facts["environment"]
    return f"{on['name']}, {on['threads']} threads" if on["kind"] == "cpu" else on["name"]


def _work(record: Record, part: str) -> str:
    """What was timed, in words, on the largest input."""
    place = record.profile.sort_values("size").iloc[-1]
    return f"{part}, input of {place['width']:.0f}×{place['height']:.0f} px, float32, batch 1"


def _rounds(record: Record, label: str, part: str) -> pd.Series:
    """Times on the largest input, round by round."""
    times = record.times[(record.times["label"] == label) & (record.times["part"] == part)]
    return times[times["size"] == times["size"].max()].sort_values("repeat")["ms"]


def _ratio(record: Record, slow: str, fast: str, part: str) -> Estimate:
    return ratio_of_medians(_rounds(record, slow, part), _rounds(record, fast, part))


def _peak(record: Record, label: str, part: str) -> float:
    costs = record.profile[(record.profile["label"] == label) & (record.profile["part"] == part)]
    return costs.sort_values("size")["peak_mib"].iloc[-1]


def _times(study: Study) -> Iterator[tuple[str, dict]]:
    """LCoA's ten layers, 32×32 windows by two back-ends, ESC against HiT-SRF."""
    layers = study.obtain(study.layers_timing())
    work = f"10 {_work(layers, LAYERS)}, 128 channels"
    for rival in RIVALS:
        found = _ratio(layers, "lcoan", rival, LAYERS)
        # A reduction turns the interval round.
        less = Estimate(100 * (1 - found.value), 100 * (1 - found.high), 100 * (1 - found.low))
        yield "lcoa-time", _timed_row(layers, rival, less, work)
    windows = study.obtain(study.windows_timing())
    if {"32 reference", "32 sdpa"} <= set(windows.run.networks):
        found = _ratio(windows, "32 reference", "32 sdpa", LAYERS)
        work = f"one layer of 32×32 windows, {_work(windows, LAYERS)}"
        yield "esc-flash-latency", _timed_row(windows, "plain formula, position table", found, work)
    else:
        yield "esc-flash-latency", _absent("plain formula", "this profile times no 32×32 windows", windows)
    both = study.obtain(study.published_timing())
    found = _ratio(both, "hit_srf", "esc", "network")
    work = f"published sizes, ×4, {_work(both, 'whole network')}"
    yield "esc-hit-latency", _timed_row(both, "hit_srf", found, work)


def _timed_row(record: Record, against: str, found: Estimate, workload: str) -> dict:
    spread = f"{record.run.repeats} rounds in turn"
    return _row(against, found, spread=spread, device=_on(record), workload=workload, run=record.run.hash)


def _memory(study: Study) -> Iterator[tuple[str, dict]]:
    """Peak memory, which does not vary from call to call."""
    windows = study.obtain(study.windows_timing())
    routing = study.obtain(study.routing_timing())
    both = study.obtain(study.published_timing())
    top = max(study.profile.timing.tops)
    asked = [
        ("esc-flash-memory", windows, "32 reference", "32 sdpa", LAYERS, "plain formula, position table"),
        ("esc-hit-memory", both, "hit_srf", "esc", "network", "hit_srf"),
        ("sscan-memory", routing, f"bran top={top}", f"fgcan M=8 top={top}", LAYERS, "bran"),
    ]
    for name, record, other, own, part, against in asked:
        if not {other, own} <= set(record.run.networks):
            yield name, _absent(against, f"this profile does not time `{other}`", record)
            continue
        ratio = _peak(record, other, part) / _peak(record, own, part)
        facts = {"spread": "none: the same in each call", "device": _on(record), "run": record.run.hash}
        yield name, _row(against, Estimate(ratio, ratio, ratio), workload=_work(record, part), **facts)


def _growth(study: Study) -> Iterator[tuple[str, dict]]:
    """How the time of one FGCA layer grows with the map, and BRA's."""
    record = study.obtain(study.limits())
    done = record.limits[record.limits["state"] == MEASURED]
    done = done.assign(pixels=done["height"] * done["width"])
    large = {label: own[own["pixels"] >= LARGE] for label, own in done.groupby("label")}
    if "fgcan" not in large or large["fgcan"]["pixels"].nunique() < 3:
        few = f"fewer than three maps of {LARGE:,} px or more were measured"
        yield "sscan-linear", _absent("bran", few, record)
        return
    own = growth_exponent(large["fgcan"]["pixels"], large["fgcan"]["median_ms"])
    other, against = None, "bran, which took too few sizes for an exponent"
    if "bran" in large and large["bran"]["pixels"].nunique() > 1:
        other = growth_exponent(large["bran"]["pixels"], large["bran"]["median_ms"])
        against = f"bran, whose exponent is {other.value:.2f} over {len(large['bran'])} sizes"
    sizes = large["fgcan"]["pixels"]
    yield (
        "sscan-linear",
        _row(
            against,
            own,
            other=other.value if other else -np.inf,
            spread=f"{len(sizes)} sizes",
            device=_on(record),
            workload=f"one layer, maps of {sizes.min():,} to {sizes.max():,} px, float32, batch 1",
            run=record.run.hash,
        ),
    )


def _quality(study: Study, claimed: pd.Series) -> Iterator[tuple[str, dict]]:
    """Differences in Y-PSNR at equal budget."""
    trained = study.comparison()
    sides = study.side_sweep()
    for rival in RIVALS[:3]:
        for name in ("lcoa-psnr-low", "lcoa-psnr-high"):
            yield name, _gain(study, trained, "model", "lcoan", rival, ALL, claimed[name])
    name = "esc-flash-psnr"
    yield name, _gain(study, sides, "side", 32, 8, "Urban100", claimed[name])
    name = "esc-hit-psnr"
    yield name, _gain(study, trained, "model", "esc", "hit_srf", "Urban100", claimed[name])
    name = "sscan-psnr"
    yield name, _gain(study, trained, "model", "sscan", "nlsn", "Urban100", claimed[name])
    on_trunk = _gain(study, trained, "model", "fgcan", "bran", "Urban100", claimed[name])
    yield name, on_trunk | {"against": "bran, by fgcan on the trunk"}


def _gain(
    study: Study, runs: list, by: str, own: object, rival: object, benchmark: str, claimed: float
) -> dict:
    """The difference of two trained networks on a benchmark, or on all where the study has not that one."""

    def value(run: object) -> object:
        return run.network.model if by == "model" else run.network.options[by]

    chosen = [run for run in runs if value(run) in (own, rival)]
    against = f"{rival}" if by == "model" else f"windows of {rival}×{rival}"
    if {value(run) for run in chosen} != {own, rival}:
        return _absent(against, f"this profile does not train both {own} and {rival}")
    records = [study.obtain(run) for run in chosen]
    table = differences(quality(records, *([] if by == "model" else [by])), by, rival)
    benchmark = benchmark if (table["benchmark"] == benchmark).any() else table["benchmark"].iloc[-1]
    row = table[table["benchmark"] == benchmark].iloc[0]
    late = late_gains(curves(records)).groupby("run")["late_db"].mean().max()
    untested = None
    if row["seeds"] < SEEDS:
        untested = f"{row['seeds']} seed tells nothing of the spread between seeds"
    elif late >= claimed:
        untested = (
            f"training had not settled: the last quarter of its steps still gained up to {late:.2f} dB, more "
            f"than the claim"
        )
    budget, facts = runs[0].budget, records[0].facts
    return {
        **_row(against, Estimate(row["gain_db"], row["low_db"], row["high_db"])),
        "untested": untested,
        "spread": f"{row['images']} images, {row['seeds']} seeds",
        "device": _on(records[0]),
        "workload": (
            f"{own if by == 'model' else f'windows of {own}×{own}'} at equal budget: ×{study.profile.scale}, "
            f"{budget.steps} steps of {budget.batch} patches, about {facts['parameters'] / 1e3:.0f} thousand "
            f"parameters; {'all benchmarks' if benchmark == ALL else benchmark}"
        ),
        "run": " ".join(record.run.hash for record in records),
    }


def _absent(against: str, why: str, record: Record | None = None) -> dict:
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    facts = {"device": _on(record), "run": record.run.hash} if record else {"device": "", "run": "none"}
    return {**_row(against, nothing), "untested": why, "spread": "", "workload": "", **facts}
