"""Tables: to look at, and into files beside the figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from srlab.files import write_text
from srlab.stats.frames import NO_RUN, means
from srlab.stats.verdicts import in_words

#: What numbers are called on axes and in tables, with units.
NAMES = {
    "psnr_y": "Y-PSNR (dB)",
    "ssim_y": "Y-SSIM",
    "median_ms": "median time (ms)",
    "peak_mib": "peak memory (MiB)",
    "clusters": "number of clusters k",
    "window": "window w (tokens)",
    "here_ms": "time here (ms)",
    "other_ms": "time, reference (ms)",
    "time_ratio": "time, here ÷ reference",
    "here_mib": "peak memory here (MiB)",
    "other_mib": "peak memory, reference (MiB)",
    "spread_db": "spread between seeds (dB)",
    "paired_spread_db": "spread of the difference (dB)",
    "change_db": "change of their mean (dB)",
    "uniform_cost_db": "uniform weights cost (dB)",
    "largest": "share of tokens in the largest cluster",
    "empty": "clusters without a token",
    "gini": "Gini coefficient of cluster sizes",
    "pure_windows": "share of windows of one cluster",
}
#: Decimals of columns of numbers; two where nothing is said.
DIGITS = {
    "ssim_y": 4,
    **dict.fromkeys(("clusters", "empty"), 0),
    **dict.fromkeys(("gain_db", "low_db", "high_db", "spread_db", "paired_spread_db"), 3),
    **dict.fromkeys(("drop_db", "uniform_cost_db", "uniform_low_db", "uniform_high_db"), 3),
    "Mparameters": 3,
    "median_ms": 1,
    "q25_ms": 1,
    "q75_ms": 1,
    "peak_mib": 1,
    **dict.fromkeys(("here_ms", "other_ms", "here_mib", "other_mib"), 1),
}
#: Which end of a column is the better one.
BETTER = {"psnr_y": "max", "ssim_y": "max", "median_ms": "min", "peak_mib": "min"}


def table(frame: pd.DataFrame, study_folder: Path, name: str, within: Sequence[str] = ()) -> Styler:
    """Write tables/NAME.csv, in full, and make of it a table to look at.

    Parameters
    ----------
    frame : DataFrame
        With a column `run`: the hash of the run, or of the runs, that a row comes from; of differences with
        `run_reference` too, of those compared with.
    study_folder : Path
    name : str
    within : sequence of str
        As in `styled`.
    """
    write_text(study_folder / "tables" / f"{name}.csv", frame.to_csv(index=False))
    return styled(frame, within)


def styled(frame: pd.DataFrame, within: Sequence[str] = ()) -> Styler:
    """A table to look at, without the hashes of its runs; of `BETTER`'s columns the best values, as printed, are bold.

    Parameters
    ----------
    frame : DataFrame
    within : sequence of str
        Columns of the groups of rows that compete; all rows, if empty.
    """
    shown = frame.drop(columns=["run", "run_reference"], errors="ignore").reset_index(drop=True)
    shown = shown.replace([np.inf, -np.inf], np.nan)
    groups = shown[list(within)].agg(tuple, axis=1) if within else pd.Series("all", shown.index)

    def bold(column: pd.Series) -> list[str]:
        printed = column.round(DIGITS.get(column.name, 2))
        best = printed.groupby(groups).transform(BETTER[column.name])
        return ["font-weight: bold" if each else "" for each in printed == best]

    numbers = shown.select_dtypes("float").columns
    styler = shown.style.hide(axis="index")
    styler = styler.format({column: f"{{:.{DIGITS.get(column, 2)}f}}" for column in numbers}, na_rep="–")
    styler = styler.apply(bold, subset=[column for column in shown if column in BETTER])
    return styler.format_index(lambda column: NAMES.get(column, column.replace("_", " ")), axis=1)


def overview(quality: pd.DataFrame, costs: pd.DataFrame, bicubic: pd.DataFrame) -> pd.DataFrame:
    """Quality per benchmark beside cost, models in rows, bicubic first.

    Returns
    -------
    DataFrame
        benchmark, model, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, median_ms and peak_mib of
        the whole network, gflops, Mparameters (millions), run.
    """
    whole = costs[costs["part"] == "network"].assign(Mparameters=costs["parameters"] / 1e6)
    cost = whole.groupby("model", sort=False)[["median_ms", "peak_mib", "gflops", "Mparameters"]].mean()
    baseline = means(bicubic.assign(model="bicubic", run=NO_RUN))
    both = pd.concat([baseline, means(quality).merge(cost, on="model")], ignore_index=True)
    order = {name: i for i, name in enumerate(baseline["benchmark"])}
    both = both.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")
    return both[[*(column for column in both if column != "run"), "run"]]


def swept(quality: pd.DataFrame, costs: pd.DataFrame, evenness: pd.DataFrame, option: str) -> pd.DataFrame:
    """The table of a sweep: quality per benchmark beside the cost of the non-local layers and evenness.

    Returns
    -------
    DataFrame
        benchmark, the option, images, seeds, psnr_y (dB), lowest_db, highest_db, ssim_y, of the non-local
        layers median_ms, q25_ms, q75_ms and peak_mib, median gini and pure_windows, run.
    """
    alone = costs[costs["part"] == "non-local layers"].groupby(option)
    cost = alone[["median_ms", "q25_ms", "q75_ms", "peak_mib"]].mean()
    even = evenness.groupby(option)[["gini", "pure_windows"]].median()
    table = means(quality, option).merge(cost, on=option).merge(even, on=option)
    return table[[*(column for column in table if column != "run"), "run"]]


def claims_markdown(rows: pd.DataFrame) -> str:
    """The claims as Markdown: what is claimed, what compared, what was measured, and the verdict.

    Where a claim has two ends that one measurement judges alike, it stands once. What was done on which work, and what
    full-size networks show, stands below in lists.

    Parameters
    ----------
    rows : DataFrame
        As of `srlab.stats.claims.examine`.
    """
    works = (rows["spread"] + "; " + rows["workload"] + "; " + rows["device"]).where(rows["run"] != NO_RUN)
    numbers = {work: number for number, work in enumerate(works.dropna().unique(), start=1)}
    each = list(rows.itertuples())
    shown = pd.DataFrame(
        {
            "claim": [f"[{whole(row.claim)}]({row.source})" for row in each],
            "claimed": [with_unit(row.claimed, row.quantity) for row in each],
            "compared": [compared(row) for row in each],
            "measured [95 % interval]": [measured_claim(row) for row in each],
            "verdict": [f"**{in_words(row.verdict, row.margin, row.quantity)}**: {row.sentence}" for row in each],
            "on": works.map(numbers).map("{:.0f}".format, na_action="ignore"),
        }
    ).fillna("–")
    alike = [column for column in shown if column != "claimed"]
    once = shown.groupby(alike, sort=False)["claimed"].agg(" to ".join).reset_index()[list(shown)]
    table = once.to_markdown(index=False, disable_numparse=True)
    lists = [f"{number}. {work}." for work, number in numbers.items()]
    full = rows[rows["full_size"].notna() & (rows["full_size"] != "")]
    notes = [f"- {row.claim}, {row.full_size}." for row in full.itertuples()]
    return "\n\n".join([table, "On what:", "\n".join(lists), *(["\n".join(notes)] if notes else [])]) + "\n"


def whole(claim: str) -> str:
    """What is claimed, whichever end of it: "LCoAN improves PSNR (lower end)" without the end."""
    return re.sub(r" \((lower|upper) end\)$", "", claim)


def compared(row: object) -> str:
    """What a row compares and, where it was measured, on which experiment or code."""
    basis = f", {row.basis}" if row.basis and row.basis == row.basis else ""  # a file has NaN for ""
    return f"{row.arm} against {row.against}{basis}"


def with_unit(number: float, quantity: str, decimals: int = 2) -> str:
    """A claimed or measured number as people write it: "83 %", "+0.10 dB" with so many decimals, "16×"."""
    if not np.isfinite(number):
        return "–"
    return {
        "time_reduction_percent": f"{number:.0f} %",
        "psnr_gain_db": f"{number:+.{decimals}f} dB",
        "growth_exponent": f"L^{number:.2f}",
    }.get(quantity, f"{number:.3g}×")


def measured_claim(row: object) -> str:
    """What was measured of a claim, with its interval where it has one."""
    value, low, high = (with_unit(end, row.quantity, 3) for end in (row.measured, row.low, row.high))
    if not np.isfinite(row.high - row.low) or row.low == row.high:
        return value
    return f"{value} [{low}, {high}]"
