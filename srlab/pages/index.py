"""The index: one page that shows the main figures and links all else."""

from __future__ import annotations

from pathlib import Path

from srlab import findings
from srlab.files import write_text
from srlab.pages.catalogue import pages_of
from srlab.pages.templates import fill
from srlab.study.records import Record, records_in
from srlab.study.study import Study


def write_index(study: Study) -> Path:
    """Write the page that shows the main figures and links all else.

    Returns
    -------
    Path
        `index.html` in the study's folder.
    """
    records = study.finished_records()
    facts = next(record.facts for record in records if record.run.kind == "training")
    html = fill(
        "index.html",
        study=study,
        pages=pages_of(study),
        records=records,
        facts=facts,
        environment=facts["environment"],
        elsewhere=_elsewhere(study, records),
    )
    path = study.folder / "index.html"
    write_text(path, html)
    return path


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
    costs = findings.elsewhere(own[0], theirs[0])
    costs = costs[costs["network"].isin(study.profile.models)]
    if costs.empty:
        return None
    name = "costs_elsewhere"
    table = findings.table(costs, study.folder, name).to_html()
    here, there = own[0].facts["environment"], theirs[0].facts["environment"]
    return {"name": name, "table": table, "here": here, "there": there}
