"""The family of LSP and CoA: the facts of docs/family.md, with the recall and the time that this study measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from srlab.models.registry import label
from srlab.plots.charts import crossed
from srlab.plots.output import save
from srlab.plots.style import DOUBLE, HOUSE, blank
from srlab.plots.text import caption
from srlab.report.figures import PageFigure, inlined
from srlab.report.site_data import Results
from srlab.report.texts import html
from srlab.stats.words import between, number
from srlab.study.study import Study

MISSING = "not measured yet"
#: Where recall is read: studies of one task and budget.
RECALLED = ("recall", "recall_family")
#: Where times are read, the first table that exists: those of two tables are not compared.
TIMED = ("family", "quick")
KEYS, REUSED = "keys of a query", "later layers reuse"


def facts(page: Path) -> pd.DataFrame:
    """Read the table of docs/family.md: its columns, and `model`, the first name in code."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    columns, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(model=found["in code"].str.extract(r"`(\w+)`", expand=False))


def measured(found: pd.DataFrame, results: Results) -> tuple[pd.DataFrame, str]:
    """Add the columns recall and time, as text, and return a note on where they are from.

    Recall is that of far copies, of the league of equal keys; time is that of the non-local layers alone.
    """
    recalls = [table for name in RECALLED if (table := results.table(name, "recall_groups")) is not None]
    profile = next((name for name in TIMED if results.file(name, "tables/comparison_costs.csv")), None)
    shares, times, notes = {}, {}, [] if recalls else ["Recall has not been measured yet."]
    if profile is not None:
        costs = results.table(profile, "comparison_costs")
        own = costs[costs["part"] == "non-local layers"]
        times = {row.model: f"{number(row.median_ms, 0)} ms" for row in own.itertuples()}
        calls, on = f"median of {own['repeats'].iloc[0]:g} calls", results.source(profile, "comparison_costs")["on"]
        size = f"{own['height'].iloc[0]}×{own['width'].iloc[0]} LR pixels"
        notes.append(f"Time: the non-local layers of the profile {profile}, {size}, {calls}, {on}.")
    for recall in recalls:
        own = recall[recall["league"] == recall["league"].iloc[0]]
        shares = {row.arm: number(row.recall) for row in own.itertuples()} | shares
    if recalls:
        seeds = between([float(recall["seeds"].min()) for recall in recalls], 0)
        notes.append(f"Recall: share of a far copy's detail; random seeds: {seeds}.")
    columns = {"recall": shares, "time": times}
    own = {column: [known.get(model, MISSING) for model in found["model"]] for column, known in columns.items()}
    return found.assign(**own), " ".join(notes)


@rc_context(HOUSE)
def draw(found: pd.DataFrame, note: str) -> Figure:
    """Draw what a query's keys are against what later layers reuse, with year and measurements of each mechanism."""
    cells = []
    for row in found.itertuples():
        known = [f"recall {row.recall}"] * (row.recall != MISSING) + [row.time] * (row.time != MISSING)
        lines = [f"{row.venue} {row.year}".removesuffix(" –"), *(known or [MISSING])]
        cells.append({"name": row.mechanism, "words": "\n".join(lines), "model": row.model})
    cells = pd.DataFrame(cells).assign(across=found[REUSED], down=found[KEYS])
    figure = blank(DOUBLE, 5.6)
    ax = figure.subplots()
    crossed(ax, cells)
    ax.set(xlabel=f"what {REUSED}", ylabel=KEYS)
    caption(figure, "What each mechanism sorts, and what it shares", note)
    return figure


def family(study: Study) -> dict[str, Markup | PageFigure] | None:
    """Write figures/family.png and .svg into the study's folder; return them and the table for the report.

    None without docs/family.md, as in a copy of the library alone.
    """
    page = study.root / "docs" / "family.md"
    if not page.is_file():
        return None
    found, note = measured(
        facts(page), Results(study.folder.parent, study.root / "results" / "reference", study.folder)
    )
    save(draw(found, note), study.folder, "family")
    lines = [found.columns.drop("model"), *found.drop(columns="model").to_numpy()]
    lines.insert(1, ["---"] * len(lines[0]))
    table = html("\n".join(f"| {' | '.join(line)} |" for line in lines))
    alt = f"{', '.join(map(label, found['model']))}: keys of a query, and what later layers reuse"
    return {"table": table, "figure": inlined(study.folder / "figures", "family", alt)}
