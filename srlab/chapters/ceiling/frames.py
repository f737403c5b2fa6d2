"""Tables of ceiling: gains by image, their intervals, verdicts, and how good the matches are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from srlab.chapters.ceiling.run import OWN
from srlab.stats.intervals import over_seeds
from srlab.stats.rules import rules
from srlab.study.records import Record

RULES = rules().ceiling
#: What tells one control from another.
SETTING = ["benchmark", "base", "fuser", "distance"]


def images(records: list[Record]) -> pd.DataFrame:
    """Return a row per SR, fuser, cell and image, means over seeds.

    Columns: benchmark, base, fuser, distance (LR px), match, content, name, gain_db (over the fuser of its own
    neighbourhood), own_db (that fuser's gain over the SR), run.
    """
    rows = []
    for record in records:
        errors = record.table("errors")
        own = errors["match"] == OWN[0]
        keys = ["name", "distance", "seed"]
        both = errors[~own].merge(errors.loc[own, [*keys, "mse"]], on=keys, suffixes=("", "_own"))
        both["gain_db"] = 10 * np.log10(both["mse_own"] / both["mse"])
        both["own_db"] = 10 * np.log10(both["sr_mse"] / both["mse_own"])
        cells = ["distance", "match", "content", "name"]
        found = both.groupby(cells, sort=False, as_index=False)[["gain_db", "own_db"]].mean()
        run = record.run
        rows.append(found.assign(benchmark=run.benchmark, base=run.base.name, fuser=run.fuser, run=run.hash))
    found = pd.concat(rows, ignore_index=True)
    return found[[*SETTING, "match", "content", "name", "gain_db", "own_db", "run"]]


def gains(images: pd.DataFrame) -> pd.DataFrame:
    """Average gains over images, with simultaneous intervals over all cells of a benchmark and fuser.

    Columns: benchmark, base, fuser, distance, match, content, gain_db, low_db, high_db, spread_db (over images),
    own_db, images, run.
    """
    rows = []
    for _, family in images.groupby(["benchmark", "fuser"], sort=False):
        keys = [*SETTING, "match", "content"]
        cells = list(family.groupby(keys, sort=False))
        for values, cell in cells:
            gain = over_seeds(cell["gain_db"].to_numpy(), len(cells))
            known = {"gain_db": gain.value, "low_db": gain.low, "high_db": gain.high}
            known |= {"spread_db": cell["gain_db"].std(ddof=1), "own_db": cell["own_db"].mean()}
            known |= {"images": len(cell), "run": " ".join(cell["run"].unique())}
            rows.append(dict(zip(keys, values, strict=True)) | known)
    return pd.DataFrame(rows)


def verdicts(gains: pd.DataFrame) -> pd.DataFrame:
    """Judge each SR, fuser and distance, for each size of a claim, by the rules of the chapter.

    Columns: benchmark, base, fuser, distance, claim_db, verdict ("blind", "not from far matches", "possible",
    "undecided"), available_db (the upper end of perfect match, SR content), usable_db (the lower end of seen, SR),
    images.
    """
    rows = []
    for values, own in gains.groupby(SETTING, sort=False):
        cells = own.set_index(["match", "content"])
        control, available = cells["low_db"]["perfect", "HR"], cells["high_db"]["perfect", "SR"]
        usable = cells["low_db"]["seen", "SR"]
        for claim in RULES.claims_db:
            conditions = {"blind": not control > 0, "not from far matches": available < claim}
            conditions |= {"possible": usable > claim / 2, "undecided": True}
            verdict = next(verdict for verdict, holds in conditions.items() if holds)
            known = {"claim_db": claim, "verdict": verdict, "available_db": available, "usable_db": usable}
            rows.append(dict(zip(SETTING, values, strict=True)) | known | {"images": int(own["images"].min())})
    return pd.DataFrame(rows)


def matches(records: list[Record]) -> pd.DataFrame:
    """Average how much of the HR of places their matches explain.

    Columns: benchmark, base ("HR": the perfect match), distance, explained (0 to 1, mean over images), images, run.
    """
    tables = [
        record.table("matches").assign(benchmark=record.run.benchmark, base=record.run.base.name, run=record.run.hash)
        for record in records
    ]
    by = pd.concat(tables).query("places > 0").groupby(["benchmark", "base", "distance"], sort=False, as_index=False)
    return by.agg(
        explained=("explained", "mean"), images=("name", "size"), run=("run", lambda runs: " ".join(runs.unique()))
    )
