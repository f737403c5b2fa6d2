"""Execute the notebooks of a study, and render them as HTML."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from srlab.errors import InputError
from srlab.files import write_text
from srlab.report.pages import page_named
from srlab.study.study import Study

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(study: Study, name: str) -> Path:
    """Run a notebook through papermill with this study's profile, render it as HTML, and return the executed copy.

    Both are written after all cells have run. InputError if the study has no notebook of that name, or if a
    cell raises one.
    """
    import nbformat
    import papermill
    from nbconvert import HTMLExporter

    page, parameters = page_named(study, name), {"profile": study.profile.name}
    with TemporaryDirectory() as folder, _this_python(Path(folder)):
        running = Path(folder) / "running.ipynb"
        try:
            notebook = papermill.execute_notebook(page.source, running, parameters, cwd=str(study.root / "notebooks"))
        except papermill.PapermillExecutionError as error:
            if error.ename != InputError.__name__:
                raise
            raise InputError(f"notebook '{page.name}': {error.evalue}") from None
    # The place of the checkout on this machine stays out of the copy.
    notebook.metadata["papermill"] |= {"input_path": f"{page.name}.ipynb", "output_path": f"{page.name}.ipynb"}
    _drop_progress(notebook)
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    write_text(page.executed, nbformat.writes(notebook) + "\n")
    write_text(page.executed.with_suffix(".html"), html)
    return page.executed


@contextmanager
def _this_python(folder: Path) -> Iterator[None]:
    """Let "python3" be this Python within the block, whatever kernel is installed, and draw into the notebook."""
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    spec |= {"env": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}}  # not one of the user's windows
    write_text(folder / "kernels" / "python3" / "kernel.json", json.dumps(spec | {"display_name": "Python 3"}))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield
    finally:
        os.environ.pop("JUPYTER_PATH")
        os.environ |= {} if before is None else {"JUPYTER_PATH": before}


def _drop_progress(notebook: dict) -> None:
    """Remove finished progress bars and, if no other widget is shown, the state of all widgets."""
    cells = [cell for cell in notebook["cells"] if "outputs" in cell]
    for cell in cells:
        cell["outputs"] = [output for output in cell["outputs"] if not _is_progress(output)]
    if not any(WIDGET in output.get("data", {}) for cell in cells for output in cell["outputs"]):
        notebook["metadata"].pop("widgets", None)


def _is_progress(output: dict) -> bool:
    data = output.get("data", {})
    return WIDGET in data and "%|" in "".join(data.get("text/plain", ""))
