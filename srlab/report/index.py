"""The index: the door to a study's results."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from srlab import stats
from srlab.files import write_text
from srlab.report import opening
from srlab.report.catalogue import Page, pages_of
from srlab.report.templates import fill
from srlab.report.texts import html, texts
from srlab.study.records import Record, records_in
from srlab.study.study import Study


def write_index(study: Study) -> Path:
    """Write the page that says what this is and what it found, and leads to everything else.

    Returns
    -------
    Path
        `index.html` in the study's folder.
    """
    records = study.finished_records()
    found = opening.found(study, "figures/{}.png".format)
    path = study.folder / "index.html"
    page = fill(
        "index.html",
        study=study,
        scope=opening.scope(study, records),
        machines=opening.machines(records),
        found=found,
        picture=next((finding for finding in found if finding["caption"]), None),
        chapters=[_chapter(study, page) for page in pages_of(study)],
        explorer=(study.folder / "explorer.html").is_file(),
        elsewhere=_elsewhere(study, records),
        records=records,
    )
    write_text(path, page)
    return path


def _chapter(study: Study, page: Page) -> dict:
    """A page's question, and the notebook: rendered, where that is there and stays there."""
    rendered = page.executed(study).with_suffix(".html")
    notebook = rendered if rendered.is_file() and not study.kept else page.executed(study)
    return {
        "page": page,
        "asked": html(texts(page.source(study)).asked),
        "notebook": notebook.relative_to(study.folder).as_posix(),
    }


def _elsewhere(study: Study, records: list[Record]) -> dict | None:
    """How costs of the compared networks differ from the reference's; None without one to compare with.

    The table is written into the study's tables, too.
    """
    if study.profile.timing is None:
        return None
    run = study.costs()
    own = [record for record in records if record.run == run]
    theirs = records_in(study.reference, f"{run.slug}-*") if study.reference else []
    if not (own and theirs):
        return None
    costs = stats.elsewhere(own[0], theirs[0])
    costs = costs[costs["network"].isin(study.profile.models)]
    if costs.empty:
        return None
    name = "costs_elsewhere"
    table = Markup(stats.table(costs, study.folder, name).to_html(table_uuid=name))
    here, there = own[0].facts["environment"], theirs[0].facts["environment"]
    return {"name": name, "table": table, "here": here, "there": there}
