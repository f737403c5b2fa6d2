"""The index: one page that shows the main figures and links all else."""

from __future__ import annotations

from pathlib import Path

from srlab.files import write_text
from srlab.pages.catalogue import PAGES
from srlab.pages.templates import fill
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
        "index.html", study=study, pages=PAGES, records=records, facts=facts, environment=facts["environment"]
    )
    path = study.folder / "index.html"
    write_text(path, html)
    return path
