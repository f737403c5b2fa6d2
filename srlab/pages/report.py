"""The report: one self-contained page of questions, figures and answers, to send to a colleague."""

from __future__ import annotations

import base64
from pathlib import Path

import pandas as pd

from srlab import findings, plots
from srlab.files import write_text
from srlab.findings.headlines import headlines
from srlab.pages.catalogue import Page, pages_of
from srlab.pages.templates import fill
from srlab.study.study import Study


def write_report(study: Study) -> Path:
    """Write the page that answers the study's questions: the findings in short, then claims, then page by page.

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
    trained = [record.facts for record in records if record.run.kind == "training"]
    on = {
        (f["environment"]["name"], f["environment"]["threads"], f["environment"]["torch"])
        for f in (record.facts for record in records)
    }
    counts = {name: len(refs) for name, refs in study.data.benchmarks.items()}
    facts = {
        "data": trained[0]["data"],
        "train": len(study.data.train),
        "images": "evaluated on " + ", ".join(f"{name} ({number} images)" for name, number in counts.items()),
        "convention": trained[0]["convention"],
        "devices": [f"{name}, {threads} threads, torch {torch}" for name, threads, torch in sorted(on)],
    }
    order = sorted((page for page in pages_of(study) if page.answered), key=lambda page: page.name != "claims")
    sections = [_section(study, page) for page in order]
    found = [(_html(sentences), pages) for sentences, pages in headlines(study.folder)]
    path = study.folder / "report.html"
    write_text(path, fill("report.html", study=study, facts=facts, found=found, sections=sections))
    return path


def _section(study: Study, page: Page) -> dict:
    """A page's figures of numbers, its answer, and of the claims their table."""
    figures = []
    for name, caption in page.figures.items():
        if name in plots.DRAWINGS or name in page.in_report:
            png = (study.folder / "figures" / f"{name}.png").read_bytes()
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            tables = plots.DRAWINGS[name].tables if name in plots.DRAWINGS else ()
            figures.append({"source": source, "caption": caption, "tables": tables})
    answer = _html(page.answer(study).read_text(encoding="utf-8"))
    table = None
    if page.name == "claims":
        table = findings.claims_table(pd.read_csv(study.folder / "tables" / "claims.csv")).to_html()
    return {"page": page, "figures": figures, "answer": answer, "table": table}


def _html(markdown: str) -> str:
    from nbconvert.filters import markdown2html

    return markdown2html(markdown)
