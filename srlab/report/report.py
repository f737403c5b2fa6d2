"""The report: one self-contained page of findings, questions, answers and figures, to send to a colleague."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup, escape

from srlab import plots, stats
from srlab.files import write_text
from srlab.report import opening
from srlab.report.catalogue import Page, pages_of
from srlab.report.figures import inlined, thumbnail
from srlab.report.templates import fill
from srlab.report.texts import html, texts
from srlab.study.study import Study


def write_report(study: Study) -> Path:
    """Write the page that answers the study's questions: its findings, a chapter a question, how it came about.

    Figures are inside it; links lead to the notebooks and tables beside it.

    Returns
    -------
    Path
        `report.html` in the study's folder.

    Raises
    ------
    InputError
        If a run is missing.
    """
    records = study.finished_records()
    order = sorted((page for page in pages_of(study) if page.answered), key=lambda page: page.name != "claims")
    conventions = [record.facts["convention"] for record in records if record.run.kind == "training"]
    timed = [record for record in records if record.run.kind == "timing" and not record.run.processes]
    measured = [stats.measured_quality(each) for each in conventions[:1]]
    measured += [stats.measured_cost(each) for each in timed[:1]]
    path = study.folder / "report.html"
    page = fill(
        "report.html",
        study=study,
        scope=opening.scope(study, records),
        found=opening.found(study, lambda name: thumbnail(study.folder / "figures", name)),
        chapters=[_chapter(study, page) for page in order],
        budgets=opening.budgets(study),
        measured=[html(how) for how in measured],
        machines=opening.machines(records),
    )
    write_text(path, page)
    return path


def _chapter(study: Study, page: Page) -> dict:
    """A page's question, answer, figures with all that stands under them, tables of intervals, and how it measured."""
    said = texts(page.source(study))
    figures = []
    for name, caption in page.figures.items():
        if name in plots.DRAWINGS or name in page.in_report:
            shown = inlined(study.folder / "figures", name, escape(caption))
            tables = plots.DRAWINGS[name].tables if name in plots.DRAWINGS else ()
            caption = html(f"{caption} {said.captions.get(name, '')}")
            figures.append({"name": name, "tables": tables, "caption": caption, **shown._asdict()})
    return {
        "page": page,
        "asked": html(said.asked),
        "answer": html(page.answer(study).read_text(encoding="utf-8")),
        "figures": figures,
        "tables": _tables(study, page),
        "measured": html(said.measured),
    }


def _tables(study: Study, page: Page) -> list[dict]:
    """Of the claims their table, of other pages those of differences with their intervals."""
    shown = []
    for name in page.all_tables:
        file = study.folder / "tables" / f"{name}.csv"
        frame = pd.read_csv(file) if file.is_file() else pd.DataFrame()
        if {"low_db", "high_db"} <= set(frame):
            table = stats.styled(frame).to_html(table_uuid=name)
            shown.append({"title": "Differences and their intervals", "html": Markup(table)})
    if page.name == "claims":
        rows = pd.read_csv(study.folder / "tables" / "claims.csv")
        shown.append({"title": "Every claim in numbers", "html": html(stats.claims_markdown(rows))})
    return shown
