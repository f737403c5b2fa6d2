"""Execute the notebooks of a study, and render them as HTML."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from srlab.files import write_text
from srlab.report.pages import page_named
from srlab.study.study import Study

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(study: Study, name: str) -> Path:
    """Run a notebook through papermill with this study's profile, and render it as HTML.

    The executed copy is written after all cells have run.

    Returns
    -------
    Path
        The executed notebook.

    Raises
    ------
    InputError
        If the study has no notebook of that name.
    """
    import nbformat
    import papermill
    from nbconvert import HTMLExporter

    page = page_named(study, name)
    with TemporaryDirectory() as folder:
        notebook = papermill.execute_notebook(
            page.source,
            Path(folder) / "running.ipynb",
            {"profile": study.profile.name},
            cwd=str(study.root / "notebooks"),
        )
    # The place of the checkout on this machine stays out of the copy.
    notebook.metadata["papermill"] |= {"input_path": f"{page.name}.ipynb", "output_path": f"{page.name}.ipynb"}
    _drop_progress(notebook)
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    write_text(page.executed, nbformat.writes(notebook) + "\n")
    write_text(page.executed.with_suffix(".html"), html)
    return page.executed


def _drop_progress(notebook: dict) -> None:
    """Remove finished progress bars and, if no other widget is shown, the state of all widgets."""
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
