"""The notebooks: clean as they are kept, and executed on the smallest profile; then index, report and explorer."""

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import nbformat
import pandas as pd
import papermill
import pytest
from jupyter_client import AsyncKernelManager
from kept import ROOT, references
from legible import CODE_NAME
from nbclient import NotebookClient
from nbclient.util import run_sync
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from srlab.chapters.comparison.frames import PARTS
from srlab.errors import InputError
from srlab.report import explorer
from srlab.report.index import write_index, write_report
from srlab.report.notebooks import execute
from srlab.report.pages import FIRST, page_named, pages_of
from srlab.report.site import write_site
from srlab.report.texts import texts
from srlab.stats import NO_RUN
from srlab.study.chapter import Tables, chapter_names, draws_networks
from srlab.study.records import records_in
from srlab.study.study import Study

NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PAGES = {page.name: page for page in pages_of(Study("smoke", ROOT))}


def read(folder, name):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


def test_there_are_three_notebooks_to_start_with_and_one_a_chapter():
    assert len(FIRST) == 3 and sorted(PAGES) == NAMES and len(NAMES) == len(FIRST) + len(chapter_names())


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_kept_clean(name):
    notebook = read(ROOT / "notebooks", name)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4 and notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    [parameters] = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert parameters is code[0] and re.search(r'^profile = "\w+"', parameters.source, re.M)
    assert notebook.cells[0].source.startswith("# ")
    used = "\n".join(cell.source for cell in code[1:])
    named = re.findall(r"^(\w+) = ", parameters.source, re.M)
    assert [word for word in named if not re.search(rf"\b{word}\b", used)] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FIRST])
def test_a_notebook_draws_the_figures_of_its_chapter(name):
    page = PAGES[name]
    said, drawn = texts(page.source), page.source.read_text(encoding="utf-8")
    assert said.asked and set(said.captions) <= set(page.chapter.module.FIGURES) | set(re.findall(r"\w+", drawn))
    assert [figure for figure in page.chapter.module.FIGURES if f'\\"{figure}\\"' not in drawn] == []


@contextmanager
def one_kernel(patch):
    """Give all notebooks one kernel, emptied after each: imports take longer than what they do in this study."""
    kernel, execute_notebook = AsyncKernelManager(), papermill.execute_notebook

    def execute_there(*arguments, **options):
        notebook = execute_notebook(*arguments, km=kernel, **options)
        NotebookClient(new_notebook(cells=[new_code_cell("%reset -f")]), km=kernel).execute()
        return notebook

    patch.setattr("papermill.execute_notebook", execute_there)
    try:
        yield
    finally:
        run_sync(kernel.shutdown_kernel)(now=True)


@pytest.fixture(scope="session")
def study(tmp_path_factory, new_smoke_study):
    """Make the smoke study: every run and notebook as the command line does, the index and the report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.setattr(explorer, "GRIDS", (2,))
        study = new_smoke_study()
        study.obtain_all()
        with one_kernel(patch):
            for page in pages_of(study):
                execute(study, page.name)
        explorer.write_explorer(study)
        write_index(study)
        write_report(study)
        write_site(study)
        yield study


def outputs(page):
    return [output for cell in nbformat.read(page.executed, as_version=4).cells for output in cell.get("outputs", [])]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_executing_writes_figures_tables_and_an_answer(name, study):
    page = page_named(study, name)
    assert all(path.stat().st_size > 50 for path in page.outputs)
    shown, text = outputs(page), page.executed.read_text(encoding="utf-8")
    assert not [out for out in shown if out.output_type == "error" or out.get("name") == "stderr"]
    assert str(ROOT) not in text and "%|" not in text  # no place on this machine, no progress bar
    assert page.figures or name in FIRST
    for figure in page.figures:
        with Image.open(study.folder / "figures" / f"{figure}.png") as png:
            assert png.width >= 700 and png.convert("L").getextrema()[0] < 200  # something is drawn
    if page.answer:
        assert len(page.answer.read_text().split()) > 10


@pytest.mark.slow
def test_mechanisms_by_hand_find_the_copy_and_windows_do_not(study):
    printed = "".join(output.text for output in outputs(page_named(study, FIRST[1])) if output.output_type == "stream")
    found = {
        name: (float(recall), int(share))
        for name, recall, share in re.findall(r"(\S+): recall (\S+), (\d+) %", printed)
    }
    assert found["dense"] == (1.0, 100) and found["windows"][0] < 0.05
    assert min(found[name][0] for name in ("hashing", "k-means")) > 0.5
    assert max(share for name, (_, share) in found.items() if name != "dense") < 20


@pytest.mark.slow
def test_pages_read_only_runs_of_the_profile_or_kept_ones(study):
    finished = {run.name for run in study.runs()}
    assert {run.name for page in pages_of(study) for run in page.runs} <= finished
    assert {path.name for path in (study.folder / "runs").iterdir()} == finished
    own = {run.hash for run in study.runs()}
    kept = {record.run.hash for folder in references() for record in records_in(folder)}  # of networks without weights
    for name, table in Tables(study.folder).items():
        named = {run for cell in table.get("run", pd.Series(dtype=str)).dropna() for run in str(cell).split()}
        assert named - {NO_RUN} <= own | kept, name


@pytest.mark.slow
def test_the_comparison_has_every_run_and_what_it_spent(study):
    found = Tables(study.folder)
    runs = [run.hash for run in study.chapter("comparison").runs]
    assert set(runs) == set(found["comparison_images"]["run"]) == set(found["spent"]["run"])
    parts = found["spent"][list(PARTS)].sum(axis=1)
    assert found["spent"]["training_percent"].to_numpy() == pytest.approx(100 * found["spent"]["training_s"] / parts)


@pytest.mark.slow
def test_the_ablation_alters_every_network_with_attention(study):
    found = Tables(study.folder)
    models = found["ablation"].groupby("experiment")["model"].unique().map(set).to_dict()
    assert models["branched"] == {"trunk_conv7", "trunk_nla", "lcoan", "trunk_window side=16"}
    assert models["from scratch"] == {"trunk_nla", "trunk_lsp", "lcoan", "trunk_window"}
    assert len(found["ablation"]) == 8 * 3 and found["ablation"]["drop_db"].abs().max() < 1
    assert found["ablation_gains"]["uniform_cost_db"].notna().all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "questions", "report"])
def test_pages_link_only_to_files_that_exist(name, study):
    html = (study.folder / f"{name}.html").read_text(encoding="utf-8")
    links = [link for link in re.findall(r'(?:href|src)="([^"]+)"', html) if not link.startswith(("data:", "https:"))]
    assert len(links) > 20
    anchors = set(re.findall(r'id="([^"]+)"', html))
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []
    files = [link.partition("#")[0] for link in links if not link.startswith("#")]
    assert [file for file in files if not (study.folder / file).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "report"])
def test_pages_have_names_for_people(name, study):
    html = (study.folder / f"{name}.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(style|script|code)\b.*?</\1>|<[^>]*>", " ", html, flags=re.S)
    assert CODE_NAME.findall(shown) == []


@pytest.mark.slow
def test_the_report_has_every_chapter_with_its_figures_and_no_name_twice(study):
    html = (study.folder / "report.html").read_text(encoding="utf-8")
    names = re.findall(r'\bid="([^"]+)"', html)
    assert len(names) == len(set(names))
    chapters = [chapter.name for chapter in study.chapters]
    assert [name for name in names if name in chapters] == chapters
    drawn = [figure for page in pages_of(study) for figure in page.figures]
    figures = [f"figure-{figure}" for figure in (*drawn, "family")]
    assert [name for name in names if name.startswith("figure-")] == figures
    assert not re.search(r'(?:src|href)="(?!data:|#|https://arxiv|[\w./-]+")', html)


@pytest.mark.slow
def test_redraw_gives_the_same_figures_again(study, srlab, tmp_path):
    copy, chapter = tmp_path / study.folder.name, study.chapter("sweep")
    (copy / "tables").mkdir(parents=True)
    for table in chapter.module.tables(study, chapter.settings):
        shutil.copy(study.folder / "tables" / f"{table}.csv", copy / "tables")
    assert srlab("redraw", copy).status == 0
    drawn = [f"figures/{name}.png" for name, draw in chapter.module.FIGURES.items() if not draws_networks(draw)]
    assert len(drawn) > 1
    for file in ("answers/sweep.md", *drawn):
        assert (copy / file).read_bytes() == (study.folder / file).read_bytes(), file


@pytest.mark.parametrize(
    ("raised", "error"), [("InputError", InputError), ("ValueError", papermill.PapermillExecutionError)]
)
def test_a_fault_of_the_user_in_a_cell_is_a_sentence_and_any_other_an_error(raised, error, monkeypatch):
    def fail(*arguments, **options):
        raise papermill.PapermillExecutionError(0, 1, "save(figure)", raised, "x.svg: no space", ["x.svg"])

    monkeypatch.setattr("papermill.execute_notebook", fail)
    with pytest.raises(error, match=r"x\.svg"):
        execute(Study("smoke", ROOT), NAMES[0])


def test_an_unknown_notebook_is_named():
    with pytest.raises(InputError, match="99"):
        execute(Study("smoke", ROOT), "99")


@pytest.mark.slow
def test_papermill_varies_a_notebook_from_a_shell(study, tmp_path, monkeypatch):
    """Missing runs are made; the profile's own figures stay."""
    folder = tmp_path / "results" / study.folder.name
    shutil.copytree(study.folder, folder)
    monkeypatch.setenv("SRLAB_RESULTS", str(folder.parent))
    drawn = {path: path.read_bytes() for path in folder.glob("*/recall.*")}
    source = page_named(study, "recall").source.name
    command = [sys.executable, "-m", "papermill", source, str(tmp_path / "out.ipynb")]
    command += ["-p", "profile", "smoke", "-p", "models", "[lcoan, nlsn]"]
    done = subprocess.run(command, cwd=ROOT / "notebooks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(pd.read_csv(folder / "varied" / "tables" / "recall.csv")["arm"]) == {"lcoan", "nlsn"}
    assert len(drawn) >= 3 and {path: path.read_bytes() for path in drawn} == drawn
