"""The index and the report of a study: its questions and answers, with figures, machines and runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup, escape

from srlab.files import read_table, write_text
from srlab.report.family import family
from srlab.report.figures import inlined
from srlab.report.pages import Page, pages_of
from srlab.report.templates import fill
from srlab.report.texts import html, texts
from srlab.stats.intervals import SEEDS
from srlab.stats.tables import styled
from srlab.stats.words import count
from srlab.study.records import Record
from srlab.study.study import Study


def write_index(study: Study) -> Path:
    """Write `questions.html`: the questions, the beginning of each answer, and links to everything else."""
    records, pages = study.finished_records(), pages_of(study)
    return _write(
        "questions.html",
        study,
        records,
        pages=[_opening(page) for page in pages],
        picture=next((name for page in pages for name in page.figures), None),
        explorer=(study.folder / "explorer.html").is_file(),
    )


def write_report(study: Study) -> Path:
    """Write `report.html`, self-contained: every answer and figure; tables and notebooks beside it are linked."""
    records = study.finished_records()
    return _write(
        "report.html",
        study,
        records,
        chapters=[_chapter(page) for page in pages_of(study) if page.chapter],
        family=family(study),
        budgets=_budgets(study),
        convention=next((found for record in records if (found := record.facts.get("convention"))), None),
    )


def _write(name: str, study: Study, records: Sequence[Record], **facts: object) -> Path:
    path, scope, machines = study.folder / name, _scope(study, records), _machines(records)
    write_text(path, fill(name, study=study, records=records, scope=scope, machines=machines, **facts))
    return path


def _opening(page: Page) -> dict:
    """Return a page with the first paragraph of its answer."""
    rendered = page.executed.with_suffix(".html")
    notebook = rendered if rendered.is_file() else page.executed
    answer = page.answer.read_text(encoding="utf-8") if page.answer and page.answer.is_file() else ""
    return {
        "page": page,
        "answer": html(answer.split("\n\n")[0] or texts(page.source).asked),
        "notebook": notebook.relative_to(page.study.folder).as_posix(),
    }


def _chapter(page: Page) -> dict:
    """Return a chapter's question, answer, figures with captions, and tables of differences."""
    said, folder = texts(page.source), page.study.folder
    figures = []
    for name in page.figures:
        caption = said.captions.get(name, "")
        shown = inlined(folder / "figures", name, escape(caption or page.title))
        figures.append({"name": name, "caption": html(caption), **shown._asdict()})
    tables = sorted(file.stem for file in (folder / "tables").glob(f"{page.chapter.name}*.csv"))
    gains = {name: read_table(folder / "tables" / f"{name}.csv") for name in tables if name.endswith("gains")}
    return {
        "page": page,
        "asked": html(said.asked),
        "answer": html(page.answer.read_text(encoding="utf-8")) if page.answer.is_file() else "",
        "figures": figures,
        "tables": tables,
        "differences": [Markup(styled(table).to_html(table_uuid=name)) for name, table in gains.items()],
        "measured": html(said.measured),
    }


def _scope(study: Study, records: Sequence[Record]) -> list[str]:
    """List scale, seeds, images and machines in words."""
    profile = study.profile
    words = [f"×{profile.scale}", count(len(profile.seeds), "seed")]
    if any(hasattr(record.run, "benchmarks") for record in records):
        images = ", ".join(f"{name} ({len(refs)})" for name, refs in study.data.benchmarks.items())
        words += [count(len(study.data.train), "training photograph"), f"test images: {images}"]
    words += sorted({record.facts["environment"]["name"] for record in records})
    if len(profile.seeds) < SEEDS:
        words.append(f"fewer than {SEEDS} seeds, so no verdict on quality")
    return words


def _machines(records: Sequence[Record]) -> list[str]:
    """List the machines and the code that made the runs."""
    made = [record.facts["environment"] for record in records]
    on = sorted({(each["name"], each["threads"], each["torch"]) for each in made})
    words = [f"{name}, {count(threads, 'thread')}, torch {torch}" for name, threads, torch in on]
    return [*words, f"code at {', '.join(sorted({each['commit'] for each in made}))}"]


def _budgets(study: Study) -> list[str]:
    """List the length of each kind of training in words."""
    profile = study.profile
    kinds = {"From scratch": profile.training} if profile.models else {}
    if profile.branch:
        kinds["Trunks"] = profile.budget(**profile.branch.trunk)
        kinds["Branches from them"] = profile.budget(**profile.branch.training)
    return [
        f"{kind}: {budget.steps:,} steps of {budget.batch} × {budget.patch}×{budget.patch} LR pixels"
        for kind, budget in kinds.items()
    ]
