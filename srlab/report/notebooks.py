"""Notebooks of the study are executed, and rendered as HTML."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from srlab.errors import InputError
from srlab.files import write_text
from srlab.report.catalogue import PAGES
from srlab.study.study import Study

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(study: Study, name: str) -> Path:
    """Run a notebook through papermill, with this study's profile, and render it as HTML.

    The executed copy is written when all cells have run.

    Returns
    -------
    Path
        The executed notebook.

    Raises
    ------
    InputError
        If there is no notebook of that name.
    """
    import nbformat
    import papermill
    from nbconvert import HTMLExporter

    page = next((page for page in PAGES if page.name == name), None)
    if page is None:
        raise InputError(f"notebook '{name}' is unknown; there are: {', '.join(page.name for page in PAGES)}")
    executed = page.executed(study)
    parameters = {"profile": study.profile.name}
    with TemporaryDirectory() as folder:
        notebook = papermill.execute_notebook(
            page.source(study), Path(folder) / "running.ipynb", parameters, cwd=str(study.root / "notebooks")
        )
    # Where the checkout lies on this machine is nobody else's business.
    notebook.metadata["papermill"] |= {"input_path": f"{name}.ipynb", "output_path": f"{name}.ipynb"}
    _drop_progress(notebook)
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    write_text(executed, nbformat.writes(notebook) + "\n")
    write_text(executed.with_suffix(".html"), html)
    return executed


def _drop_progress(notebook: dict) -> None:
    """Bars at their end tell nothing; where no other widget is shown, the state of all goes too."""
    shown = 0
    for cell in notebook["cells"]:
        if "outputs" in cell:
            kept = [output for output in cell["outputs"] if not _is_progress(output)]
            cell["outputs"] = kept
            shown += sum(WIDGET in output.get("data", {}) for output in kept)
    if not shown:
        notebook["metadata"].pop("widgets", None)


def _is_progress(output: dict) -> bool:
    data = output.get("data", {})
    return WIDGET in data and "%|" in "".join(data.get("text/plain", ""))
