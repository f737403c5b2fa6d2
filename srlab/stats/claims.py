"""The papers' headline claims against what this study measured, by rules that are older than its runs.

What is claimed and on what it is judged: srlab/study/claims.yaml. The five verdicts: srlab/stats/verdicts.py.
Differences in quality are those of small networks after a small budget; what released networks of full size show stands
beside them where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from srlab.measure.published import PUBLISHED_AS, published, read_records
from srlab.stats import cost_claims
from srlab.stats.cost_claims import GROWTH
from srlab.stats.frames import ALL, NO_RUN, count, paired
from srlab.stats.statistics import Estimate, matrix, seed_difference, seeds_needed
from srlab.stats.tables import whole
from srlab.stats.verdicts import (
    CONFIRMED,
    LOOKS,
    NOTHING,
    UNDECIDED,
    Verdict,
    deciding_half_width,
    judge,
    judge_growth,
    unmeasured,
)
from srlab.study.records import Record, check_rules
from srlab.study.rules import Claim, Contrast, CostClaim, rules
from srlab.study.runs import TrainingRun
from srlab.study.study import Study

#: Where more seeds than this would be needed, it is not said how many.
MANY = 100
#: Columns of what `examine` returns.
COLUMNS = (
    *("id", "claim", "claimed", "quantity", "arm", "against", "basis", "measured", "low", "high", "spread", "device"),
    *("workload", "margin", "verdict", "sentence", "share", "share_low", "share_high", "full_size", "source", "run"),
)


def published_claims() -> dict[str, Claim]:
    """Every claim of the rules by its id, paper by paper."""
    both = {**rules().quality.claims, **rules().costs.claims}
    return dict(sorted(both.items(), key=lambda named: named[1].source))


def examine(study: Study) -> pd.DataFrame:
    """Every claim by each of its contrasts, or against each rival on each code, and the verdict.

    Returns
    -------
    DataFrame
        id, claim, claimed (NaN where the paper names a direction only), quantity, arm and against (what is compared),
        basis (the experiment, "branched" or "from scratch", or the code, "as published" or "ours"), measured, low, high
        (95 % interval; of growth the median of local slopes, and how far their intervals reach; NaN where nothing was
        measured), spread (over what: seeds or processes), device, workload, margin (within which there is no effect),
        verdict (a key of `srlab.stats.verdicts.LOOKS`), sentence, share, share_low, share_high (0 is no effect, 1
        the claim; NaN without a number), full_size (what released networks show), source, run (hashes).

    Raises
    ------
    InputError
        If a run began under other rules than those in force.
    """
    rows = [*_quality(study), *_costs(study)]
    order = {name: number for number, name in enumerate(published_claims())}
    rows.sort(key=lambda row: order[row["id"]])
    return pd.DataFrame(rows, columns=COLUMNS)


def summary(rows: pd.DataFrame) -> str:
    """Which claims are confirmed in every comparison, in some and in none; sentences and numbers are in the table."""
    verdicts = rows["verdict"].where(rows["run"] != NO_RUN, "not measured")
    told: dict[str, list[str]] = {"every comparison": [], "some": [], "none": []}
    for claim, own in verdicts.groupby(rows["claim"].map(whole), sort=False):
        counts = own.value_counts()
        each = ", ".join(f"{counts[kind]} {kind}" for kind in (*LOOKS, "not measured") if kind in counts)
        where = "every comparison" if (own == CONFIRMED).all() else "some" if (own == CONFIRMED).any() else "none"
        told[where].append(f"{claim} ({each})")
    lines = [f"- **Confirmed in {where}:** {'; '.join(claims)}." for where, claims in told.items() if claims]
    counted = f"{count(len(rows), 'comparison')} of {count(rows['id'].nunique(), 'claim')}, counted by verdict:"
    return "\n".join([counted, "", *lines])


def claim_row(name: str, claim: Claim, verdict: Verdict, found: Estimate | None, **facts: object) -> dict:
    none = {"spread": "", "device": "", "workload": "", "full_size": "", "run": NO_RUN, "margin": np.nan}
    return {
        **none,
        "id": name,
        "claim": claim.claim,
        "claimed": np.nan if claim.claimed is None else claim.claimed,
        "quantity": claim.quantity,
        "source": f"https://arxiv.org/abs/{claim.source.removeprefix('arXiv:')}",
        **dict(zip(("measured", "low", "high"), found or 3 * [np.nan], strict=True)),
        "verdict": verdict.kind,
        "sentence": verdict.sentence,
        **dict(zip(("share", "share_low", "share_high"), verdict.share, strict=True)),
        **facts,
    }


def on(record: Record) -> str:
    """The machine of a record, in words."""
    machine = record.facts["environment"]
    if machine["kind"] != "cpu":
        return machine["name"]
    return f"CPU {machine['name']}, {count(machine['threads'], 'thread')}"


# --- quality --------------------------------------------------------------------------------------------------------


def _quality(study: Study) -> Iterator[dict]:
    claims = rules().quality.claims
    family = len({contrast for claim in claims.values() for contrast in claim.contrasts})
    trained: dict[tuple[str, str], list[TrainingRun]] = {}
    for experiment, runs in (("from scratch", study.comparison()), ("branched", study.branches())):
        for run in runs:
            trained.setdefault((experiment, study.label(run)), []).append(run)
    for name, claim in claims.items():
        for contrast in claim.contrasts:
            networks = {"arm": contrast.arm, "against": contrast.against, "basis": contrast.experiment}
            facts = networks | {"margin": rules().quality.margin_db, "full_size": full_size(study.root, contrast)}
            labels = (contrast.arm, contrast.against)
            lacking = [label for label in labels if (contrast.experiment, label) not in trained]
            if lacking or contrast.benchmark not in (ALL, *study.data.benchmarks):
                why = f"this profile trains no {lacking[0]}, {contrast.experiment}" if lacking else ""
                verdict = unmeasured(why or f"this study has no {contrast.benchmark}")
                yield claim_row(name, claim, verdict, None, **facts)
                continue
            sides = [[study.obtain(run) for run in trained[contrast.experiment, label]] for label in labels]
            records = sides[0] + sides[1]
            check_rules(records, "quality")
            gains = _gains(sides, contrast.benchmark)
            found = seed_difference(gains, family)
            facts |= {
                "spread": f"{count(gains.shape[0], 'seed')}, {count(gains.shape[1], 'image')}",
                "device": on(records[0]),
                "workload": _training(study, contrast, sides),
                "run": " ".join(record.run.hash for record in records),
            }
            yield claim_row(name, claim, _of_quality(claim, found, gains, family), found, **facts)


def _gains(sides: list[list[Record]], benchmark: str) -> Float[np.ndarray, "seeds images"]:
    """By how many dB the networks of the first side are better than those of the second, seed by seed."""
    images = pd.concat(
        record.images.assign(run=record.run.hash, seed=record.run.seed, side=side)
        for side, own in enumerate(sides)
        for record in own
    )
    return matrix(paired(images if benchmark == ALL else images[images["benchmark"] == benchmark], "side", 1))


def _of_quality(claim: Claim, found: Estimate, gains: Float[np.ndarray, "seeds images"], family: int) -> Verdict:
    """The verdict, and where it is undecided how many seeds would decide."""
    law, seeds = rules().quality, len(gains)
    measures = (claim.claimed, NOTHING[claim.quantity], law.margin_db, law.margin_db)
    verdict = judge(*found, *measures)
    if seeds >= law.seeds and verdict.kind == UNDECIDED:
        half = deciding_half_width(found.value, *measures)
        needed = seeds_needed(gains.mean(1).std(ddof=1), half, family, MANY)
        told = f"even {MANY} seeds would not decide" if needed is None else f"{needed} seeds would decide"
        return verdict._replace(sentence=f"{verdict.sentence}; {told} if mean and spread stay as they are")
    return _enough(verdict, seeds, law.seeds, "seeds")


def _enough(verdict: Verdict, number: int, needed: int, what: str) -> Verdict:
    """The verdict, or undecided if it rests on too few."""
    if number >= needed:
        return verdict
    return verdict._replace(kind=UNDECIDED, sentence=f"{number} of the {needed} {what} that a verdict needs")


def _training(study: Study, contrast: Contrast, sides: list[list[Record]]) -> str:
    """What was trained and tested, in words."""
    run = sides[0][0].run
    sizes = " and ".join(f"{own[0].facts['parameters'] / 1e3:.0f}" for own in sides)
    photographs, steps = run.photographs or len(study.data.train), _steps(run)
    if run.start_from:
        steps += f" after the trunk's {_steps(study.start_of(run))}"
    tested = "all benchmarks" if contrast.benchmark == ALL else contrast.benchmark
    return (
        f"×{run.scale}, networks of {sizes} thousand parameters, {photographs} photographs, {steps}, of "
        f"{run.budget.patch}×{run.budget.patch} px; {tested}"
    )


def _steps(run: TrainingRun) -> str:
    return f"{run.budget.steps:,} steps of {run.budget.batch} patches"


def full_size(root: Path, contrast: Contrast) -> str:
    """What a contrast comes to with networks of the papers' size: one as released and tested here, one as published.

    Returns
    -------
    str
        Empty where no released network of the rival was tested.
    """
    if not {contrast.arm, contrast.against} <= set(PUBLISHED_AS):
        return ""
    own, rival, told = PUBLISHED_AS[contrast.arm], PUBLISHED_AS[contrast.against], []
    for record in read_records(sorted(root.glob("results/released-weights/*.json"))):
        if (record["model"], record["dataset"]) == (contrast.against, contrast.benchmark):
            known = published().set_index(["dataset", "scale", "method"])["psnr_y"].sort_index()
            known, here = known[record["dataset"].lower(), record["scale"]], record["psnr_y"]
            told.append(
                f"of full size, ×{record['scale']}: {rival} as released reaches {here:.2f} dB here ({known[rival]:.2f} "
                f"published), {own} {known[own]:.2f} dB as published, {known[own] - here:+.2f} dB"
            )
    return "; ".join(told)


# --- time and memory ------------------------------------------------------------------------------------------------


def _costs(study: Study) -> Iterator[dict]:
    law, why = rules().costs, _why_not(study)
    curves, slopes = cost_claims.curves(study), cost_claims.slopes(study)
    for name, claim in law.claims.items():
        for rival in claim.against:
            growth = claim.quantity == GROWTH
            rows = list(_growth(name, claim, slopes) if growth else _curves(name, claim, rival, curves))
            yield from rows or [claim_row(name, claim, unmeasured(why), None, arm=claim.arm, against=rival, basis="")]


def _why_not(study: Study) -> str:
    """Why a claim about costs has no row; refuse measurements that began under other rules than those in force."""
    runs = study.claims_timing()
    check_rules([study.obtain(run) for run in runs], "costs")
    return "the limits of time or memory came first" if runs else "this profile measures no costs for claims"


def _curves(name: str, claim: CostClaim, rival: str, curves: pd.DataFrame) -> Iterator[dict]:
    """A row for each code, judged on one size; the sentence tells from which on there is an effect."""
    law, nothing = rules().costs, NOTHING[claim.quantity]
    margin = law.margin * (100 if claim.quantity == "time_reduction_percent" else 1)
    within = 0.0 if claim.claimed is None else law.within * (claim.claimed - nothing)
    for code, sizes in curves[(curves["id"] == name) & (curves["against"] == rival)].groupby("code", sort=False):
        [row] = sizes[sizes["judged"]].itertuples()
        found = Estimate(row.value, row.low, row.high)
        verdict = judge(*found, claim.claimed, nothing, margin, within)
        verdict = _enough(verdict, row.processes, law.processes, "processes")
        yield claim_row(
            name,
            claim,
            verdict._replace(sentence=f"{verdict.sentence}; {_crossings(row, claim, sizes)}"),
            found,
            arm=claim.arm,
            against=rival,
            basis=code,
            spread=f"{row.processes} processes",
            device=row.device,
            workload=f"{row.workload}, input of {row.width}×{row.height} px",
            margin=margin,
            run=row.run,
        )


def _crossings(row: object, claim: CostClaim, sizes: pd.DataFrame) -> str:
    """From which size on there is an effect, and from which as much as claimed."""
    pixels, told = sizes["height"] * sizes["width"], []
    starts = {"ahead": row.from_no_effect} | ({} if claim.claimed is None else {"as claimed": row.from_claim})
    for words, start in starts.items():
        if np.isnan(start):
            told.append(f"not {words} at the largest size, {pixels.max():,} px")
            break
        always = start <= pixels.min()
        told.append(f"{words} at every size" if always else f"{words} from about {start:,.0f} px on")
    return ", ".join(told)


def _growth(name: str, claim: CostClaim, slopes: pd.DataFrame) -> Iterator[dict]:
    """A row for each code: the median of local slopes, and how far their intervals reach."""
    law, [rival] = rules().costs, claim.against
    slopes = slopes[slopes["id"] == name]
    for code, own in slopes[slopes["model"] == claim.arm].groupby("code", sort=False):
        local = [Estimate(row.slope, row.low, row.high) for row in own.itertuples()]
        processes = int(own["processes"].min())
        verdict = judge_growth(local, claim.claimed, law.growth_margin)
        verdict = _enough(verdict, processes, law.processes, "processes")
        other = slopes.loc[(slopes["model"] == rival) & (slopes["code"] == code), "slope"]
        told = f"; those of {rival} are {other.min():.2f} to {other.max():.2f}" if len(other) else ""
        yield claim_row(
            name,
            claim,
            verdict._replace(sentence=f"{verdict.sentence}{told}"),
            Estimate(own["slope"].median(), own["low"].min(), own["high"].max()),
            arm=claim.arm,
            against=rival,
            basis=code,
            spread=f"{processes} processes",
            device=own["device"].iloc[0],
            workload=f"{own['workload'].iloc[0]}, maps of {own['from_px'].min():,} to {own['to_px'].max():,} px",
            margin=law.growth_margin,
            run=" ".join(own["run"].unique()),
        )
