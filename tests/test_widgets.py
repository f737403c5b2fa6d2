import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent

from srlab import inspection
from srlab.runs import Study
from srlab.widgets import Explorer


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SRLAB_DATA", "SRLAB_DEVICE"):
            patch.delenv(name, raising=False)
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        study = Study("smoke")
        for model in ("lcoan", "nlan", "edsr_like"):
            study.obtain(study.training(model))
        yield study


@pytest.fixture
def explorer(study):
    return Explorer(study)


def drawn(explorer, panel):
    """The uppermost map of a panel: 0 image, 1 weights, 2 clusters, 3 windows."""
    return np.ma.filled(explorer.canvas.figure.axes[panel].images[-1].get_array(), 0)


def expected(explorer):
    """What inspection says of the same choice."""
    study = explorer.study
    lr = inspection.centre(inspection.pair(explorer.image.value, study.profile.scale)[0])
    network = study.record(study.training(explorer.network.value)).network()
    layer = inspection.trace(network, lr)[explorer.layer.value]
    return inspection.view(layer, lr, explorer.row.value, explorer.col.value)


def test_what_is_drawn_is_what_inspection_says(explorer):
    view = expected(explorer)
    assert explorer.network.value == "lcoan" and explorer.layer.label == "1: LSP"
    assert np.array_equal(drawn(explorer, 0), view.picture)
    assert np.allclose(drawn(explorer, 1), view.weights * view.weights.size)
    assert np.array_equal(drawn(explorer, 3), view.windows)
    assert f"row {view.row}, column {view.col} sees" in explorer.status.value


def test_row_and_column_from_the_keyboard(explorer):
    before = drawn(explorer, 1)
    explorer.row.value, explorer.col.value = 0, 0
    assert not np.array_equal(drawn(explorer, 1), before)
    assert np.allclose(drawn(explorer, 1), expected(explorer).weights * before.size)
    explorer.row.value = 10_000
    assert explorer.row.value == explorer.row.max == 119


def click(explorer, panel, row, col):
    canvas = explorer.canvas
    canvas.draw()
    x, y = canvas.figure.axes[panel].transData.transform((col, row))
    canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, 1))


def test_a_click_asks_the_pixel_under_it(explorer):
    click(explorer, 0, 31, 87)
    assert (explorer.row.value, explorer.col.value) == (31, 87)
    assert (explorer.view.row, explorer.view.col) == (31, 87)
    assert np.array_equal(drawn(explorer, 3), expected(explorer).windows)
    click(explorer, 3, 2, 3)
    assert (explorer.view.row, explorer.view.col) == (2, 3)
    click(explorer, 4, 1, 1)  # the colour bar
    assert (explorer.view.row, explorer.view.col) == (2, 3)


def test_another_layer_and_network(explorer):
    explorer.layer.value = 1
    assert explorer.layer.label == "2: CoA" and "CoA" in explorer.view.layer
    before = drawn(explorer, 1)
    explorer.network.value = "nlan"
    assert explorer.layer.label == "2: NLA"
    assert not np.array_equal(drawn(explorer, 1), before)
    assert np.allclose(drawn(explorer, 1), expected(explorer).weights * before.size, rtol=1e-4)
    assert "sorts nothing" in explorer.canvas.figure.axes[2].get_title()


def test_another_image_starts_inside_it(explorer):
    explorer.row.value = explorer.col.value = 119
    explorer.image.value = next(ref for ref in explorer.image.options.values() if ref.name == "page_left")
    assert (explorer.row.max, explorer.col.max) == (83, 95)
    assert np.array_equal(drawn(explorer, 0), expected(explorer).picture)


def test_what_cannot_be_shown_is_explained(explorer):
    explorer.network.value = "edsr_like"
    assert "no non-local layer" in explorer.status.value
    assert explorer.view is None and not explorer.canvas.figure.axes
    explorer.network.value = "lspn"
    assert "is not finished" in explorer.status.value
    explorer.network.value = "lcoan"
    assert explorer.view is not None and len(explorer.canvas.figure.axes) == 5


def test_traces_are_kept(explorer, monkeypatch):
    monkeypatch.setattr("srlab.widgets.trace", lambda *_: pytest.fail("traced again"))
    explorer.row.value += 1
    explorer.layer.value = 1
