"""Where a printed number came from: the rows of tables that round to it, and the runs that those rows name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from srlab.errors import InputError
from srlab.report.catalogue import PAGES
from srlab.stats.frames import count

#: So many rows are told in full; of more, how many each table has.
IN_FULL = 6
#: A number as README, answers and tables print it: "+0.053", "36.85", "83 %", "5.71×", "L^1.07", "1,484", "±0.30 dB".
PRINTED = re.compile(r"(?:L\^|±)?([+-]?)(\d[\d,]*)(?:\.(\d+))?\s*(%|×|°|dB|s|ms|MiB|GiB|px)?")
#: Words in a row that do not tell which row it is.
SAID = ("run", "run_reference", "source", "verdict")


@dataclass(frozen=True)
class Match:
    """A row of a table, and those of its columns whose numbers are meant; rows count from 1."""

    file: Path
    row: int
    cells: pd.Series
    columns: tuple[str, ...]


def tables(results: Path, profile: str | None = None) -> Iterator[tuple[Path, pd.DataFrame]]:
    """All tables of all results folders, or of those of a profile."""
    for file in sorted([*results.glob("*/tables/*.csv"), *results.glob("reference/*/tables/*.csv")]):
        if profile is None or file.parents[1].name.startswith(f"{profile}-"):
            yield file, pd.read_csv(file, dtype={"run": str, "run_reference": str})


def trace_number(printed: str, results: Path, profile: str | None = None) -> str:
    """The rows whose numbers round to what is printed; without a sign, of either sign.

    Parameters
    ----------
    printed : str
        With its decimals: they tell how it was rounded. A percentage may be kept as a fraction.
    results : Path
        The folder of all results folders.
    profile : str, optional
        Only of this one.

    Raises
    ------
    InputError
        If it is no number, or no table holds it and no answer says it.
    """
    found = [match for file, table in tables(results, profile) for match in _matches(printed, file, table)]
    said = _answers(printed, results, profile)
    if not found and not said:
        raise InputError(f"number '{printed}': no table under {results} rounds to it and no answer says it")
    if not found:
        return "\n".join(["No table holds it. It is computed from tables, and said in", *said])
    told = [_in_full(match, results) for match in found] if len(found) <= IN_FULL else [_in_short(found, results)]
    return "\n\n".join([*told, *(["\n".join(["It is said in", *said])] if said else [])])


def trace_row(name: str, row: int, results: Path, profile: str | None = None) -> str:
    """One row of a table, in every results folder that has it.

    Raises
    ------
    InputError
        If no table of that name has that row.
    """
    found = [
        Match(file, row, table.iloc[row - 1], tuple(_numbers(table)))
        for file, table in tables(results, profile)
        if file.stem == name and 1 <= row <= len(table)
    ]
    if not found:
        raise InputError(f"row '{name}:{row}': no table of that name under {results} has it; rows count from 1")
    return "\n\n".join(_in_full(match, results) for match in found)


def _numbers(table: pd.DataFrame) -> list[str]:
    return [column for column in table.select_dtypes("number") if column != "seed"]


def _matches(printed: str, file: Path, table: pd.DataFrame) -> list[Match]:
    sign, whole, decimals, unit = PRINTED.fullmatch(printed).groups()
    value = float(f"{sign}{whole.replace(',', '')}.{decimals or 0}")
    half = 0.5 * 10 ** -len(decimals or "") + 1e-9
    numbers = table[_numbers(table)].astype(float)
    rounds = pd.DataFrame(False, numbers.index, numbers.columns)
    for factor in (1, 100) if unit == "%" else (1,):
        kept = factor * (numbers if sign else numbers.abs())
        rounds |= (kept - value).abs() <= half
    return [
        Match(file, row + 1, table.iloc[row], tuple(rounds.columns[rounds.iloc[row]]))
        for row in np.flatnonzero(rounds.any(axis=1)).tolist()
    ]


def _in_full(match: Match, results: Path) -> str:
    numbers = ", ".join(f"{column} = {match.cells[column]}" for column in match.columns)
    names = [f"{column} = {match.cells[column]}" for column in _names(match.cells)]
    hashes = [digits for column in ("run", "run_reference") for digits in str(match.cells.get(column, "")).split()]
    study = match.file.parents[1]
    lines = [f"{match.file.relative_to(results)}, row {match.row}: {numbers}", f"  {', '.join(names)}"]
    return "\n".join([*lines, *(f"  {_run(study, digits)}" for digits in hashes if digits != "none")])


def _names(cells: pd.Series) -> list[str]:
    """Columns that tell which row it is: words, and whole numbers before the first that is measured."""
    measured = [isinstance(cell, float) for cell in cells]
    before = measured.index(True) if any(measured) else len(cells)
    return [
        column
        for place, (column, cell) in enumerate(cells.items())
        if column not in SAID and (isinstance(cell, str) or (place < before and column != "run"))
    ]


def _run(study: Path, digits: str) -> str:
    file = next(study.glob(f"runs/*-{digits}/run.json"), None)
    if file is None:
        return f"run {digits}: not among the finished runs of {study.name}"
    facts = json.loads(file.read_text(encoding="utf-8"))
    on = facts["environment"]
    return f"run {file.parent.name}: commit {on['commit']}, {on['name']}, finished {facts['finished']}"


def _in_short(found: list[Match], results: Path) -> str:
    each: dict[Path, list[Match]] = {}
    for match in found:
        each.setdefault(match.file, []).append(match)
    lines = [
        f"{len(found)} rows of {count(len(each), 'table')} round to it; `srlab trace TABLE:ROW` tells a row's runs:"
    ]
    for file, own in each.items():
        columns = ", ".join(dict.fromkeys(column for match in own for column in match.columns))
        rows = ", ".join(str(match.row) for match in own[:5]) + (", …" if len(own) > 5 else "")
        lines.append(f"  {file.relative_to(results)}: {len(own)} (rows {rows}), {columns}")
    return "\n".join(lines)


def _answers(printed: str, results: Path, profile: str | None) -> list[str]:
    """Of answers that say the number, a line each, with the tables of their pages."""
    said = re.compile(rf"(?<![\d.]){re.escape(printed)}(?![\d]|\.\d)")
    lines = []
    for file in sorted([*results.glob("*/answers/*.md"), *results.glob("reference/*/answers/*.md")]):
        asked = profile is None or file.parents[1].name.startswith(f"{profile}-")
        if asked and said.search(file.read_text(encoding="utf-8")):
            of_page = [table for page in PAGES if page.name == file.stem for table in page.tables]
            from_ = f"; tables of that notebook: {', '.join(of_page)}" if of_page else ""
            lines.append(f"  {file.relative_to(results)}{from_}")
    return lines
