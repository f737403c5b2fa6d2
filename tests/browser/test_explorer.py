"""The explorer in JupyterLab, with Chromium."""

import statistics
import time

import pytest
from faked import new_study, teach
from lab import PATIENCE, ExplorerPage, run_notebook, serve
from PIL import Image
from playwright.sync_api import expect

from srlab.models.registry import label

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # a busy machine breaks pictures on their way to the browser

#: Small images are drawn soon.
SIDE = 96
CELLS = (
    f"from srlab import widgets\nfrom srlab.study import Study\nstudy = Study('smoke').varied(side={SIDE})",
    "widgets.Explorer(study)",
)
#: A place in the first map, the LR image; pixels of the picture.
IMAGE = {"x": 60, "y": 70}


@pytest.fixture(scope="module")
def notebook(page, complaints, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        study = new_study(results, patch).varied(side=SIDE)
        for model in ("lcoan", "trunk_lsp"):
            teach(study, model)
    with serve(tmp_path_factory.mktemp("lab"), results, CELLS) as address:
        run_notebook(page, address)
        yield page


@pytest.fixture
def explorer(notebook):
    """The explorer with two networks, and otherwise as the test before left it."""
    explorer = ExplorerPage(notebook)
    for number, model in enumerate(("lcoan", "trunk_lsp", "–"), start=1):
        explorer.control(f"network {number}").select_option(label=label(model))
    explorer.picture()
    return explorer


def place(explorer):
    return tuple(int(explorer.control(name).input_value()) for name in ("row", "column"))


def upload(explorer, file):
    with explorer.page.expect_file_chooser() as chooser:
        explorer.widget.get_by_role("button", name="own image").click()
    chooser.value.set_files(file)


def test_it_is_there_and_the_browser_has_no_complaints(explorer, complaints):
    assert explorer.picture() and complaints == []
    for name in ("image", "network 1", "weights", "layer", "row", "column"):
        title = explorer.widget.locator(".widget-label span[title]", has_text=name).first
        assert len(title.get_attribute("title")) > 10


def test_a_click_on_the_image_asks_that_pixel(explorer, screenshots):
    before = explorer.picture()
    explorer.canvas.locator("..").click(position=IMAGE)
    explorer.wait_for_another_picture(before)
    clicked, seconds = place(explorer), []
    for step in range(1, 6):
        before, start = explorer.picture(), time.monotonic()
        explorer.canvas.locator("..").click(position=IMAGE | {"x": IMAGE["x"] + 10 * step})
        explorer.wait_for_another_picture(before)
        seconds.append(time.monotonic() - start)
    assert place(explorer)[0] == clicked[0] and place(explorer)[1] > clicked[1]
    median = statistics.median(seconds)
    (screenshots / "click_to_picture.txt").write_text(f"{median:.3f} s, median of 5\n")
    assert median < 3, seconds  # 0.3 s is the aim; a busy machine is given ten times as long


def test_three_networks_side_by_side(explorer):
    before = explorer.picture()
    explorer.write("weights", "untrained", network=3)
    explorer.control("network 3").select_option(label=label("nlsn"))
    expect(explorer.widget).to_contain_text(f"{label('nlsn')}, UNTRAINED", timeout=PATIENCE)
    explorer.wait_for_another_picture(before)
    before = explorer.picture()
    explorer.row(3).locator(".widget-slider", has_text="round").get_by_role("slider").press("ArrowRight")
    explorer.wait_for_another_picture(before)
    before = explorer.picture()
    explorer.control("receptive fields (slower)").check()
    explorer.wait_for_another_picture(before)
    explorer.control("receptive fields (slower)").uncheck()


def test_the_keyboard_sets_and_moves_the_query_and_leaves_the_maps(explorer):
    before = explorer.picture()
    explorer.write("row", "20")
    explorer.write("column", "30")
    explorer.wait_for_another_picture(before)
    explorer.canvas.locator("..").focus()
    explorer.page.keyboard.press("ArrowDown")
    expect(explorer.control("row")).to_have_value("21")
    expect(explorer.control("column")).to_have_value("30")
    explorer.page.keyboard.press("Tab")
    expect(explorer.canvas.locator("..")).not_to_be_focused()


def test_an_image_of_the_readers_own_and_one_that_is_broken(explorer, tmp_path):
    before = explorer.picture()
    Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(tmp_path / "rings.png")
    upload(explorer, tmp_path / "rings.png")
    expect(explorer.control("image").locator("option:checked")).to_contain_text("rings.png")
    explorer.wait_for_another_picture(before)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and no more")
    upload(explorer, tmp_path / "broken.png")
    expect(explorer.widget.locator("b")).to_contain_text("broken.png")
    explorer.write("weights", "/nosuch.pth", network=1)
    expect(explorer.widget.locator("b")).to_contain_text("/nosuch.pth")
    explorer.write("weights", "trained", network=1)
    expect(explorer.widget.locator("b")).to_have_count(0)
