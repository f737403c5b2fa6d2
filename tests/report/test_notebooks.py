"""The notebooks: clean as they are kept, and executed on the smallest profile."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html import unescape

import nbformat
import pandas as pd
import pytest
from kept import ROOT
from PIL import Image

from srlab.errors import InputError
from srlab.models import build
from srlab.plots.drawings import DRAWINGS, redraw, shown
from srlab.report.catalogue import PAGES
from srlab.report.explorer import write_explorer
from srlab.report.index import write_index
from srlab.report.notebooks import execute
from srlab.report.report import write_report
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network

PAGE = {page.name: page for page in PAGES}
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def read(folder, name):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


def test_every_notebook_is_accounted_for():
    assert [page.name for page in PAGES] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_kept_clean(name):
    notebook = read(ROOT / "notebooks", name)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4 and notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    [parameters] = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    with_something = {"16_recipe": "recipe", "18_branched": "evening", "19_recall": "recall", "claims": "evening"}
    profile = with_something.get(name, "quick")
    assert parameters is code[0] and f'profile = "{profile}"' in parameters.source
    assert notebook.cells[0].source.startswith("# ")
    *_, heading, answered = notebook.cells
    assert heading.source == "## Answered" and answered.cell_type == "code"


def paragraphs(name):
    told = [cell.source.split("\n\n") for cell in read(ROOT / "notebooks", name).cells if cell.cell_type == "markdown"]
    return {paragraph for each in told for paragraph in each if len(paragraph) > 60}


def test_no_paragraph_stands_in_two_notebooks():
    counts = Counter(paragraph for name in NAMES for paragraph in paragraphs(name))
    assert [paragraph for paragraph, number in counts.items() if number > 1] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("00_start_here", "claims")])
def test_something_can_be_varied_and_is_heard(name):
    parameters, *code = [cell.source for cell in read(ROOT / "notebooks", name).cells if cell.cell_type == "code"]
    varied = [line.split(" = ")[0] for line in parameters.splitlines() if not line.startswith("profile")]
    assert varied
    assert [word for word in varied if not re.search(rf"\b{word}\b", "\n".join(code))] == []


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The smoke study, every page of it executed as the command line does, the index page and the report."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SRLAB_DATA", "SRLAB_DEVICE"):
            patch.delenv(name, raising=False)
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        study = Study("smoke", ROOT)
        study.obtain_all()
        for page in PAGES:
            execute(study, page.name)
        write_explorer(study)
        write_index(study)
        write_report(study)
        yield study


def outputs(study, page):
    notebook = read(page.executed(study).parent, page.name)
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_executing_writes_what_the_page_declares(page, study):
    for figure in page.figures:
        with Image.open(study.folder / "figures" / f"{figure}.png") as png:
            assert png.width > 1000 and png.convert("L").getextrema()[0] < 200  # something is drawn
        svg = ElementTree.parse(study.folder / "figures" / f"{figure}.svg")
        assert svg.getroot().tag.endswith("svg")
    for table in page.tables:
        assert pd.read_csv(study.folder / "tables" / f"{table}.csv")["run"].notna().all()
    assert all(path.stat().st_size > 50 for path in page.outputs(study))
    assert str(ROOT) not in page.executed(study).read_text()
    assert "%|" not in page.executed(study).read_text()  # no bar of progress
    shown = outputs(study, page)
    assert not [out for out in shown if out.output_type == "error" or out.get("name") == "stderr"]
    assert sum("image/png" in out.get("data", {}) for out in shown) == len(page.figures)


@pytest.mark.slow
def test_a_page_reads_only_the_runs_that_it_declares(study):
    finished = {run.name for run in study.runs()}
    assert {run.name for page in PAGES for run in page.runs(study)} <= finished
    assert {path.name for path in (study.folder / "runs").iterdir()} == finished


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.answered], ids=lambda page: page.name)
def test_a_page_leaves_an_answer(page, study):
    assert len(page.answer(study).read_text().split()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "report"])
def test_the_index_and_the_report_link_only_what_there_is(name, study):
    links = re.findall(r'(?:href|src)="([^"]+)"', (study.folder / f"{name}.html").read_text())
    links = [link for link in links if not link.startswith(("#", "data:", "https://arxiv.org/abs/"))]
    assert len(links) > 40
    assert not [link for link in links if not (study.folder / link.partition("#")[0]).is_file()]


@pytest.mark.slow
def test_figures_of_numbers_show_what_their_tables_hold(study):
    drawn = [name for page in PAGES for name in page.figures if name in DRAWINGS]
    assert sorted(drawn) == sorted(DRAWINGS.keys() - {"maps", "reused"})  # `srlab field maps` draws those
    for name in drawn:
        kept = json.loads((study.folder / "figures" / f"{name}.json").read_text())
        assert shown(redraw(name, study.folder)) == kept, name


def test_an_unknown_notebook_is_told(tmp_path):
    with pytest.raises(InputError, match=r"notebook '99' is unknown; there are: 00_start_here"):
        execute(Study("smoke", ROOT), "99")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [(name, "**No verdict.**") for name in NAMES if name[:2] in ("02", "03", "04", "06", "08", "09", "11")]
    + [(name, "With 1 seed no verdict is drawn.") for name in NAMES if name[:2] in ("10", "13", "15", "17", "18")]
    + [("claims", "1 of the 3 seeds that a verdict needs")],
)
def test_one_seed_draws_no_verdict(name, said, study):
    text = (study.folder / "notebooks" / f"{name}.ipynb").read_text()
    assert said in text and "Told apart" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] not in ("00", "05", "07", "12", "14", "19")])
def test_psnr_is_said_how_in_one_place_and_all_others_name_it(name, study):
    said = (study.folder / "notebooks" / "00_start_here.ipynb").read_text()
    assert all(word in said for word in ("How quality is measured", "Rounding of Y", "Border left out"))
    text = (ROOT / "notebooks" / f"{name}.ipynb").read_text()
    assert "computed as 00_start_here says" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("02_lsp_and_coa", "key = nn.functional.normalize(query, dim=-1, eps=5e-5)"),
        ("08_centroids", "self.ema_decay * self.means + (1 - self.ema_decay) * normalize(sums, dim=-1)"),
        ("11_windows_and_routing", "suits = query.mean(2, dtype=precise) @ key.mean(2, dtype=precise).mT"),
    ],
)
def test_key_lines_of_a_mechanism_can_be_read_where_it_is_asked_about(name, lines, study):
    shown = [output.get("data", {}).get("text/html", "") for output in outputs(study, PAGE[name])]
    assert any(lines in re.sub(r"<[^>]+>", "", unescape(html)) for html in shown)


@pytest.mark.slow
def test_papermill_varies_a_notebook_from_a_shell(study, tmp_path, monkeypatch):
    """The runs that are missing are made; what the profile's own notebook drew stays."""
    folder = tmp_path / "results" / study.folder.name
    shutil.copytree(study.folder, folder)
    monkeypatch.setenv("SRLAB_RESULTS", str(folder.parent))
    drawn = {path: path.read_bytes() for path in folder.glob("*/clusters.*")}
    command = [sys.executable, "-m", "papermill", "03_clusters.ipynb", str(tmp_path / "out.ipynb")]
    command += ["-p", "profile", "smoke", "-p", "clusters", "[4, 6]"]
    done = subprocess.run(command, cwd=ROOT / "notebooks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert pd.read_csv(folder / "varied" / "tables" / "clusters.csv")["clusters"].tolist() == [4, 6]
    assert (folder / "runs" / study.training("lcoan", clusters=6).name / "run.json").is_file()
    assert len(drawn) >= 4 and {path: path.read_bytes() for path in drawn} == drawn


@pytest.mark.slow
def test_released_weights_have_a_section_and_are_offered(study, tmp_path, monkeypatch):
    """Where there is no folder of them, a sentence; with one, a gallery at the file's own scale."""
    page, config = PAGE["07_attention_maps"], {"channels": 6, "layers": 4}
    told = "With a folder of released weights in `weights`"
    assert any(told in out.get("data", {}).get("text/markdown", "") for out in outputs(study, page))
    folder = tmp_path / "results" / study.folder.name
    shutil.copytree(study.folder, folder)
    monkeypatch.setenv("SRLAB_RESULTS", str(folder.parent))
    weights = tmp_path / "weights" / "small.safetensors"
    save_network(weights, build("elan_light", 4, 0, **config), "elan_light", 4, config)
    command = [sys.executable, "-m", "papermill", f"{page.name}.ipynb", str(tmp_path / f"{page.name}.ipynb")]
    command += ["-p", "profile", "smoke", "-p", "weights", str(weights.parent)]
    done = subprocess.run(command, cwd=ROOT / "notebooks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for number in (1, 2, 3):
        words = (folder / "figures" / f"released_x4_{number}.svg").read_text(encoding="utf-8")
        assert (folder / "figures" / f"released_x4_{number}.png").is_file() and "small.safetensors" in words
    cells = read(tmp_path, page.name).cells
    shown = [out.get("data", {}).get("text/markdown", "") for cell in cells for out in cell.get("outputs", [])]
    assert "`elan_light` ×4: small.safetensors" in shown
