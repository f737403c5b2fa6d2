"""Claims as people read them: each contrast once, verdicts and numbers in words, the table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from srlab.chapters.claims.full_size import FULL_SIZE
from srlab.chapters.claims.verdicts import CONTRADICTED, GAIN, GROWTH, NO_EFFECT, REDUCTION
from srlab.models.registry import label
from srlab.stats.gains import NO_RUN
from srlab.stats.words import number, signed

#: Without weights of both networks that a claim is about.
NOT_TESTED = "not tested at its size"
#: The strongest words against a claim about quality that the study's small networks allow.
NOT_REPRODUCED = "not reproduced at this size"
NOT_MEASURED = "not measured"


def in_words(row: Mapping[str, object]) -> str:
    """Return the verdict of a row for people: with the margin of no effect, and with the processor of costs."""
    if row["run"] == NO_RUN:
        return NOT_TESTED if row["basis"] == FULL_SIZE else NOT_MEASURED
    verdict, margin, quantity = row["verdict"], row["margin"], row["quantity"]
    if quantity == GAIN and row["basis"] != FULL_SIZE:
        return NOT_REPRODUCED if verdict in (CONTRADICTED, NO_EFFECT) else f"{verdict} at this size"
    if verdict == NO_EFFECT:
        size = f"{margin:g} dB" if quantity == GAIN else f"{margin if quantity == REDUCTION else 100 * margin:g} %"
        verdict = f"{verdict} beyond ±{size}"
    return f"{verdict} (CPU)" if quantity != GAIN and str(row["device"]).startswith("CPU") else verdict


def with_unit(value: float, quantity: str, decimals: int = 2) -> str:
    """Return a number as people write it: "83 %", "+0.10 dB", "L^1.94", "16×"; "–" for NaN."""
    if not np.isfinite(value):
        return "–"
    if quantity == GAIN:
        return f"{signed(value, decimals)} dB"
    if quantity == REDUCTION:
        return f"{number(value, 0)} %"
    return f"L^{number(value)}" if quantity == GROWTH else f"{value:.3g}×"


def contrasts(claims: pd.DataFrame, slopes: pd.DataFrame) -> pd.DataFrame:
    """Return each contrast once, and its words: claimed_words, compared, measured_words.

    A claim with two ends, such as +0.10 to +0.40 dB, is one claim; the lower end judges, and the upper end is noted.
    The measurement of growth is the local slope farthest from the claim.
    """
    rows = claims.astype({"basis": object}).fillna({"basis": ""})
    rows["claim"] = rows["claim"].str.replace(r" \((lower|upper) end\)$", "", regex=True)
    for row in rows[rows["quantity"] == GROWTH].itertuples():
        own = slopes[(slopes["id"] == row.id) & (slopes["model"] == row.arm) & (slopes["code"] == row.basis)]
        if len(own):
            farthest = own.loc[(own["slope"] - row.claimed).abs().idxmax(), ["slope", "low", "high"]]
            rows.loc[row.Index, ["measured", "low", "high"]] = farthest.to_numpy(float)
    once = []
    for _, own in rows.groupby(["claim", "arm", "against", "basis"], sort=False):
        first = own.iloc[0].copy()
        ends = [with_unit(row.claimed, row.quantity) for row in own.itertuples()]
        if own["shown"].nunique() > 1:
            first["sentence"] += f"; of {ends[-1]}: {own['shown'].iloc[-1]}"
        compared = f"{label(first['arm'])} against {label(first['against'])}"
        first["claimed_words"] = " to ".join(ends)
        first["compared"] = f"{compared}, {first['basis']}" if first["basis"] else compared
        first["measured_words"] = _measured(first)
        once.append(first)
    return pd.DataFrame(once).reset_index(drop=True)


def _measured(row: pd.Series) -> str:
    value, low, high = (with_unit(row[end], row["quantity"], 3) for end in ("measured", "low", "high"))
    return value if low == high or not np.isfinite(row["high"] - row["low"]) else f"{value} [{low}, {high}]"


def markdown(once: pd.DataFrame) -> str:
    """Return :func:`contrasts` as a table in Markdown, with a list of the measurements."""
    works = (once["spread"] + "; " + once["workload"] + "; " + once["device"]).str.removesuffix("; ")
    works = works.where(once["run"] != NO_RUN)
    numbers = {work: place for place, work in enumerate(works.dropna().unique(), start=1)}
    columns = {"claimed_words": "claimed", "compared": "compared", "measured_words": "measured [95 % interval]"}
    shown = once[list(columns)].rename(columns=columns)
    shown.insert(0, "claim", "[" + once["claim"] + "](" + once["source"] + ")")
    shown["verdict"] = "**" + once["shown"] + "**: " + once["sentence"].str.removeprefix(f"{NOT_MEASURED}: ")
    shown["on"] = works.map(numbers).map("{:.0f}".format, na_action="ignore")
    table = shown.fillna("–").to_markdown(index=False, disable_numparse=True)
    lists = "\n".join(f"{place}. {work}." for work, place in numbers.items())
    return "\n\n".join([table, "Measured on (column “on”):", lists])
