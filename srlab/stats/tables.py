"""Tables to look at: rounded numbers, readable headers, the best value in bold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from srlab.models.registry import label

#: Names of columns on axes and in tables, with units.
NAMES = {
    "psnr_y": "Y-PSNR (dB)",
    "ssim_y": "Y-SSIM",
    "median_ms": "median time (ms)",
    "peak_mib": "peak memory (MiB)",
    "clusters": "number of clusters k",
    "window": "window w (tokens)",
    "spread_db": "spread between seeds (dB)",
    "paired_spread_db": "spread of the difference (dB)",
    "change_db": "change of their mean (dB)",
    "uniform_cost_db": "uniform weights cost (dB)",
    "largest": "share of tokens in the largest cluster",
    "empty": "clusters without a token",
    "gini": "Gini coefficient of cluster sizes",
    "pure_windows": "share of windows of one cluster",
}
#: Decimals of columns; two by default.
DIGITS = {
    "ssim_y": 4,
    **dict.fromkeys(("clusters", "empty"), 0),
    **dict.fromkeys(("gain_db", "low_db", "high_db", "spread_db", "paired_spread_db", "drop_db", "Mparameters"), 3),
    **dict.fromkeys(("uniform_cost_db", "uniform_low_db", "uniform_high_db"), 3),
    **dict.fromkeys(("median_ms", "q25_ms", "q75_ms", "peak_mib"), 1),
}
#: Columns of code names, which are shown as names for people.
CODED = ("model", "arm", "network", "base", "against", "first", "second", "mechanism")
#: Units at the end of a column's name.
UNITS = {"db": "dB", "ms": "ms", "mib": "MiB", "px": "px", "s": "s"}
#: The better end of a column.
BETTER = {"psnr_y": "max", "ssim_y": "max", "median_ms": "min", "peak_mib": "min"}


def styled(frame: pd.DataFrame, within: Sequence[str] = ()) -> Styler:
    """Format a table for a notebook, without the hashes of its runs; the best values of `BETTER`'s columns are bold.

    Networks have their names for people; their code names appear under the pointer. `within` names columns that group
    the rows to compare; by default all rows are compared.
    """
    shown = frame.drop(columns=["run", "run_reference"], errors="ignore").reset_index(drop=True)
    shown = shown.replace([np.inf, -np.inf], np.nan)
    groups = shown[list(within)].agg(tuple, axis=1) if within else pd.Series("all", shown.index)

    def bold(column: pd.Series) -> list[str]:
        printed = column.round(DIGITS.get(column.name, 2))
        best = printed.groupby(groups).transform(BETTER[column.name])
        return ["font-weight: bold" if each else "" for each in printed == best]

    coded = [column for column in CODED if column in shown]
    numbers, flags = (shown.select_dtypes(kind).columns for kind in ("float", "bool"))
    formats: dict = {column: f"{{:.{DIGITS.get(column, 2)}f}}" for column in numbers}
    formats |= dict.fromkeys(flags, {True: "yes", False: "no"}.get) | dict.fromkeys(coded, label)
    styler = shown.style.hide(axis="index").format(formats, na_rep="–")
    styler = styler.apply(bold, subset=[column for column in shown if column in BETTER])
    codes = shown[coded].fillna("")
    styler = styler.set_tooltips(codes.where(codes.map(label) != codes, ""))
    inside = {"selector": "td", "props": "position: relative"}  # tooltips stay in their cell: they widened pages
    styler = styler.set_table_styles([inside], overwrite=False)
    return styler.format_index(header, axis=1)


def header(column: str) -> str:
    """Return the name of a column for people, with its unit.

    >>> header("gain_db"), header("median_ms"), header("images_higher")
    ('gain (dB)', 'median time (ms)', 'images higher')
    """
    words, _, unit = column.rpartition("_")
    readable = f"{words} ({UNITS[unit]})" if words and unit in UNITS else column
    return NAMES.get(column, readable.replace("_", " "))
