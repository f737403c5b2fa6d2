"""Every claim by each of its contrasts, or against each rival on each code, with its verdict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float

from srlab.chapters.claims import full_size, verdicts
from srlab.chapters.claims.verdicts import GROWTH, NOTHING, REDUCTION, UNDECIDED, Verdict
from srlab.chapters.claims.words import in_words
from srlab.models.registry import label
from srlab.stats.gains import ALL, NO_RUN, paired
from srlab.stats.intervals import Estimate, matrix, seed_difference, seeds_needed
from srlab.stats.rules import Claim, Contrast, CostClaim, rules
from srlab.stats.words import count
from srlab.study.frames import machine, quality
from srlab.study.records import Record, check_rules
from srlab.study.study import Study
from srlab.study.training_run import TrainingRun

#: Larger numbers of seeds are not stated.
MANY = 100


def examine(study: Study, timed: list[Record], curves: pd.DataFrame, slopes: pd.DataFrame) -> pd.DataFrame:
    """Judge every claim; refuse runs that began under other rules than those in force.

    Columns: id, claim, claimed (NaN without a number), quantity, arm, against, basis (the experiment, or the code),
    measured, low, high (95 % interval; for growth the median of local slopes and the outermost ends of their intervals;
    NaN without a measurement), verdict (:data:`srlab.chapters.claims.verdicts.VERDICTS`), sentence, share, share_low,
    share_high (0 is no effect, 1 the claim), spread (seeds, images or processes), device, workload, margin (of no
    effect), run (hashes), source, shown (the verdict for people). A claim about quality has a row on released networks
    first, then a row a contrast of the study's small networks.
    """
    check_rules(timed, "costs")
    rows = [*_quality(study), *_costs(curves, slopes)]
    return pd.DataFrame(sorted(rows, key=lambda row: row["source"]))


def claim_row(
    name: str, networks: tuple[str, str, str], verdict: Verdict, found: Estimate | None, **facts: object
) -> dict:
    """Return a row of `examine`; networks are arm, against and basis."""
    claim = {**rules().quality.claims, **rules().costs.claims}[name]
    claimed = np.nan if claim.claimed is None else claim.claimed
    row = {"id": name, "claim": claim.claim, "claimed": claimed, "quantity": claim.quantity}
    row |= zip(("arm", "against", "basis"), networks, strict=True)
    row |= zip(("measured", "low", "high"), found or 3 * [np.nan], strict=True)
    row |= {"verdict": verdict.kind, "sentence": verdict.sentence}
    row |= zip(("share", "share_low", "share_high"), verdict.share, strict=True)
    none = {"spread": "", "device": "", "workload": "", "margin": np.nan, "run": NO_RUN}
    row |= none | facts | {"source": f"https://arxiv.org/abs/{claim.source.removeprefix('arXiv:')}"}
    return row | {"shown": in_words(row)}


def _enough(verdict: Verdict, number: int, needed: int, noun: str) -> Verdict:
    if number >= needed:
        return verdict
    return verdict._replace(kind=UNDECIDED, sentence=f"{number} of the {needed} {noun} that a verdict needs")


def trained(study: Study) -> dict[tuple[str, str], list[TrainingRun]]:
    """Return the runs that contrasts compare, by experiment and label."""
    contrasts = [contrast for claim in rules().quality.claims.values() for contrast in claim.contrasts]
    asked = {(contrast.experiment, arm) for contrast in contrasts for arm in (contrast.arm, contrast.against)}
    found: dict[tuple[str, str], list[TrainingRun]] = {}
    for experiment, runs in (("from scratch", study.comparison()), ("branched", study.branches())):
        for run in runs:
            if (key := (experiment, study.label(run))) in asked:
                found.setdefault(key, []).append(run)
    return found


def _quality(study: Study) -> Iterator[dict]:
    law, runs = rules().quality, trained(study)
    family = len({contrast for claim in law.claims.values() for contrast in claim.contrasts})
    for name, claim in law.claims.items():
        verdict, found, facts = full_size.judged(study.root, claim)
        networks = (claim.full_size.arm, claim.full_size.against, full_size.FULL_SIZE)
        yield claim_row(name, networks, verdict, found, margin=law.margin_db, **facts)
        for contrast in claim.contrasts:
            networks, facts = (contrast.arm, contrast.against, contrast.experiment), {"margin": law.margin_db}
            sides = [runs.get((contrast.experiment, arm), []) for arm in networks[:2]]
            if not all(sides) or contrast.benchmark not in (ALL, *study.data.benchmarks):
                verdict = verdicts.unmeasured(f"this study lacks a {'benchmark' if all(sides) else 'network'}")
                yield claim_row(name, networks, verdict, None, **facts)
                continue
            sides = [[study.obtain(run) for run in own] for own in sides]
            check_rules([*sides[0], *sides[1]], "quality")
            gains = _gains(sides, contrast.benchmark)
            found = seed_difference(gains, family)
            seeds, images = gains.shape
            facts |= {"spread": f"{count(seeds, 'seed')}, {count(images, 'image')}", "device": machine(sides[0][0])}
            facts |= {"run": " ".join(record.run.hash for record in (*sides[0], *sides[1]))}
            facts |= {"workload": _training(study, contrast, sides)}
            yield claim_row(name, networks, _of_quality(claim, found, gains, family), found, **facts)


def _gains(sides: list[list[Record]], benchmark: str) -> Float[np.ndarray, "seeds images"]:
    images = pd.concat(quality(own).assign(side=side) for side, own in enumerate(sides))
    return matrix(paired(images if benchmark == ALL else images[images["benchmark"] == benchmark], "side", 1))


def _of_quality(claim: Claim, found: Estimate, gains: Float[np.ndarray, "seeds images"], family: int) -> Verdict:
    """Return the verdict and, if undecided, the number of seeds that would decide."""
    law, seeds = rules().quality, len(gains)
    measures = (claim.claimed, NOTHING[claim.quantity], law.margin_db, law.margin_db)
    verdict = verdicts.judge(*found, *measures)
    if seeds >= law.seeds and verdict.kind == UNDECIDED:
        half = verdicts.deciding_half_width(found.value, *measures)
        needed = seeds_needed(gains.mean(1).std(ddof=1), half, family, MANY)
        deciding = f"even {MANY} seeds would not decide" if needed is None else f"{needed} seeds would decide"
        return verdict._replace(sentence=f"{verdict.sentence}; {deciding} at this mean and spread")
    return _enough(verdict, seeds, law.seeds, "seeds")


def _training(study: Study, contrast: Contrast, sides: list[list[Record]]) -> str:
    run = sides[0][0].run
    sizes = " and ".join(f"{own[0].facts['parameters'] / 1e3:.0f}" for own in sides)
    trained = [run, study.start_of(run)] if run.start_from else [run]
    steps = " after the trunk's ".join(
        f"{each.budget.steps:,} steps of {each.budget.batch} patches" for each in trained
    )
    tested = "all benchmarks" if contrast.benchmark == ALL else contrast.benchmark
    words = f"×{run.scale}, networks of {sizes} thousand parameters, {run.photographs or len(study.data.train)} "
    return f"{words}photographs, {steps}, of {run.budget.patch}×{run.budget.patch} px; {tested}"


def _costs(curves: pd.DataFrame, slopes: pd.DataFrame) -> Iterator[dict]:
    none = verdicts.unmeasured("the limits of time or memory came first")
    for name, claim in rules().costs.claims.items():
        for rival in claim.against:
            growth = claim.quantity == GROWTH
            rows = list(_growth(name, claim, slopes) if growth else _curves(name, claim, rival, curves))
            yield from rows or [claim_row(name, (claim.arm, rival, ""), none, None)]


def _curves(name: str, claim: CostClaim, rival: str, curves: pd.DataFrame) -> Iterator[dict]:
    """Judge each code on one size; the sentence states from which size on there is an effect."""
    law, nothing = rules().costs, NOTHING[claim.quantity]
    margin = law.margin * (100 if claim.quantity == REDUCTION else 1)
    within = 0.0 if claim.claimed is None else law.within * (claim.claimed - nothing)
    for code, sizes in curves[(curves["id"] == name) & (curves["against"] == rival)].groupby("code", sort=False):
        [row] = sizes[sizes["judged"]].itertuples()
        found = Estimate(row.value, row.low, row.high)
        verdict = verdicts.judge(*found, claim.claimed, nothing, margin, within)
        verdict = _enough(verdict, row.processes, law.processes, "processes")
        verdict = verdict._replace(sentence=f"{verdict.sentence}; {_crossings(row, claim, sizes)}")
        work = f"{row.workload}, input of {row.width}×{row.height} px"
        facts = {"spread": f"{row.processes} processes", "device": row.device, "workload": work, "margin": margin}
        yield claim_row(name, (claim.arm, rival, code), verdict, found, **facts, run=row.run)


def _crossings(row: object, claim: CostClaim, sizes: pd.DataFrame) -> str:
    """State from which size on there is an effect, and from which as much as claimed."""
    pixels, found = sizes["height"] * sizes["width"], []
    starts = {"ahead": row.from_no_effect} | ({} if claim.claimed is None else {"as claimed": row.from_claim})
    for words, start in starts.items():
        if np.isnan(start):
            found.append(f"not {words} at the largest size, {pixels.max():,} px")
            break
        always = start <= pixels.min()
        found.append(f"{words} at every size measured" if always else f"{words} from about {start:,.0f} px on")
    return ", ".join(found)


def _growth(name: str, claim: CostClaim, slopes: pd.DataFrame) -> Iterator[dict]:
    """Judge each code: the median of local slopes, and the outermost ends of their intervals."""
    law, [rival] = rules().costs, claim.against
    slopes = slopes[slopes["id"] == name]
    for code, own in slopes[slopes["model"] == claim.arm].groupby("code", sort=False):
        local = [Estimate(row.slope, row.low, row.high) for row in own.itertuples()]
        processes, first = int(own["processes"].min()), own.iloc[0]
        verdict = verdicts.judge_growth(local, claim.claimed, law.growth_margin)
        verdict = _enough(verdict, processes, law.processes, "processes")
        other = slopes.loc[(slopes["model"] == rival) & (slopes["code"] == code), "slope"]
        beside = f"; those of {label(rival)} are {other.min():.2f} to {other.max():.2f}" if len(other) else ""
        verdict = verdict._replace(sentence=f"{verdict.sentence}{beside}")
        found = Estimate(own["slope"].median(), own["low"].min(), own["high"].max())
        work = f"{first['workload']}, maps of {own['from_px'].min():,} to {own['to_px'].max():,} px"
        facts = {"spread": f"{processes} processes", "device": first["device"], "workload": work, "run": first["run"]}
        yield claim_row(name, (claim.arm, rival, code), verdict, found, **facts, margin=law.growth_margin)
