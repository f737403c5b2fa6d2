from datetime import datetime

import numpy as np
import pytest
import torch
from images import write_png
from matplotlib.backend_bases import KeyEvent, MouseEvent

from srlab.analysis import explore
from srlab.errors import InputError
from srlab.models import build
from srlab.plots.images import LR_PIXELS
from srlab.weights.checkpoints import save_network
from srlab.widgets.explorer import Explorer
from srlab.widgets.network_choice import NONE


@pytest.fixture(scope="module")
def study(smoke_study):
    """Two trained networks; the first photograph is small."""
    for model in ("lcoan", "trunk_lsp"):  # not dense attention, which is slow
        smoke_study.obtain(smoke_study.training(model))
    images = explore.images(smoke_study)
    images["held-out: brick"] = images["held-out: brick"].middle(112)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explore, "images", lambda study: images)
        yield smoke_study


@pytest.fixture
def explorer(study):
    return Explorer(study)


def maps(explorer):
    return [ax for ax in explorer.canvas.figure.axes if ax.get_label() == LR_PIXELS]


def state(explorer):
    """The networks that are shown, and the number of faults in the status."""
    return [look.model for look in explorer.looks], explorer.status.value.count("<b>")


def agrees(explorer, scale=None):
    """The explorer shows what plain functions return for the same choices."""
    scene = explore.open_scene(explorer.study, explorer.image.value, scale)
    chosen = [choice.arguments() for choice in explorer.choices if choice.model.value in state(explorer)[0]]
    looks = [explore.look(scene, row=explorer.row.value, col=explorer.col.value, **each) for each in chosen]
    pairs = zip(looks, explorer.looks, strict=True)
    return all(np.array_equal(a.view.weights, b.view.weights) and a.layer == b.layer for a, b in pairs)


def click(explorer, ax, row, col):
    canvas = explorer.canvas
    canvas.draw()
    x, y = ax.transData.transform((col, row))
    canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, 1))


def upload(control, name, content):
    file = {"name": name, "type": "", "size": 0, "content": memoryview(content), "last_modified": datetime.now()}
    control.value = (file,)


def test_it_starts_with_what_the_study_trained(explorer):
    assert [choice.model.value for choice in explorer.choices] == ["lcoan", "trunk_lsp", NONE, NONE]
    assert state(explorer) == (["lcoan", "trunk_lsp"], 0) and agrees(explorer)
    assert np.array_equal(maps(explorer)[0].images[-1].get_array(), explorer.looks[0].view.picture)
    assert explorer.choices[0].layer.max == 2 and explorer.choices[0].round.layout.display == "none"


def test_a_pixel_by_row_and_column_by_arrow_keys_and_by_clicks(explorer, monkeypatch):
    monkeypatch.setattr("srlab.analysis.explore.trace", lambda *_: pytest.fail("traced again"))
    explorer.row.value, explorer.col.value = 5, 0
    for key in ("down", "right", "left", "left", "x"):
        explorer.canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", explorer.canvas, key))
    assert (explorer.looks[0].view.row, explorer.looks[0].view.col) == (6, 0)
    monkeypatch.undo()
    for number, place in enumerate([(31, 47), (2, 3), (40, 41)]):
        click(explorer, maps(explorer)[number], *place)
        assert (explorer.row.value, explorer.col.value) == place and agrees(explorer)
    other = next(ax for ax in explorer.canvas.figure.axes if ax.get_label() != LR_PIXELS)
    click(explorer, other, 1, 1)  # a crop or a colour bar
    assert (explorer.row.value, explorer.col.value) == (40, 41)
    explorer.row.value = 10_000
    assert explorer.row.value == explorer.row.max == 55
    explorer.image.value = "held-out: page_left"
    assert (explorer.row.max, explorer.col.max) == (83, 95) and agrees(explorer)


def test_layers_rounds_and_up_to_four_networks(explorer):
    first = explorer.choices[0]
    first.layer.value = 2
    assert agrees(explorer)
    for choice, model in zip(explorer.choices, ("nlsn", "trunk_lsp", "trunk_fgca", "trunk_window"), strict=True):
        choice.weights.value, choice.model.value = "untrained", model
    assert len(explorer.looks) == 4 and explorer.looks[0].source == "UNTRAINED"
    assert first.round.max == 4 and first.round.layout.display == "flex"
    first.round.value = 3
    assert agrees(explorer)
    height = explorer.canvas.figure.get_figheight()
    for choice in explorer.choices[1:]:
        choice.model.value = NONE
    assert len(explorer.looks) == 1 and explorer.canvas.figure.get_figheight() < height
    for on, panels in ((True, 4), (False, 2)):
        explorer.field.value = explorer.attribution.value = on
        assert len(explorer.looks[0].view.panels) == panels


def test_an_error_is_in_the_status_and_other_networks_stay(explorer):
    explorer.choices[0].model.value = "trunk_nla"  # not trained
    assert state(explorer) == (["trunk_lsp"], 1)
    explorer.choices[0].weights.value = "/nosuch.pth"
    assert "/nosuch.pth" in explorer.status.value
    explorer.choices[1].model.value = NONE
    assert explorer.canvas.layout.display == "none" and not explorer.looks
    explorer.export.click()
    assert state(explorer) == ([], 1)
    explorer.choices[0].model.value, explorer.choices[0].weights.value = "lcoan", "trained"
    assert state(explorer) == (["lcoan"], 0) and explorer.canvas.layout.display == "flex"
    explorer.scale.value = 4
    assert "scale 4" in explorer.status.value and not explorer.looks


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """ELAN-light ×4 as its authors release it, and a small ELAN ×2 of srlab's."""
    folder = tmp_path_factory.mktemp("weights")
    weights = build("elan_light", 4, 0).state_dict()
    theirs = {key.replace("head.", "module.head.0."): tensor for key, tensor in weights.items()}
    torch.save({"params": theirs}, folder / "theirs.pth")
    config = {"channels": 6, "layers": 4}
    save_network(folder / "small.safetensors", build("elan_light", 2, 0, **config), "elan_light", 2, config)
    return folder


def test_network_and_scale_follow_a_released_file(study, released, monkeypatch):
    explorer = Explorer(study, released)
    small, theirs = (str(released / name) for name in ("small.safetensors", "theirs.pth"))
    choice = explorer.choices[2]
    assert set(choice.weights.options) == {"trained", "untrained", small, theirs}
    choice.weights.value = theirs
    assert (choice.model.value, explorer.scale.value) == ("elan_light", 4)
    assert state(explorer) == (["elan_light"], 2) and explorer.looks[0].source == "theirs.pth"
    assert choice.layer.max == 24 and len(explorer.looks[0].view.panels) == 3
    choice.layer.value = 2  # shares the weights of the first
    assert agrees(explorer, scale=4)
    drawings = []
    monkeypatch.setattr("srlab.plots.attention", lambda looks, figure: drawings.append(len(looks)))
    choice.weights.value = small
    assert state(explorer) == (["lcoan", "trunk_lsp", "elan_light"], 0)
    assert drawings == [3]  # once, though network, scale and layers changed
    explorer.scale.value = 4  # by hand: the file stays
    assert "×2" in explorer.status.value and not explorer.looks


def test_weights_from_the_readers_computer(explorer, released, study, tmp_path, monkeypatch):
    content = (released / "small.safetensors").read_bytes()
    choice = explorer.choices[2]
    upload(choice.file, "mine.safetensors", content)
    assert explorer.looks[-1].source == "mine.safetensors" and choice.layer.max == 4
    config = {"channels": 6, "layers": 2}
    save_network(tmp_path / "mine.safetensors", build("elan_light", 2, 1, **config), "elan_light", 2, config)
    other = (tmp_path / "mine.safetensors").read_bytes()
    upload(choice.file, "mine.safetensors", other)  # other weights of the same name
    assert explorer.looks[-1].source == "mine.safetensors" and choice.layer.max == 2
    kept = [path.read_bytes() for path in (study.folder / "uploads").rglob("mine.safetensors")]
    assert sorted(kept) == sorted([content, other])
    upload(choice.file, "broken.pth", b"no weights")
    assert "broken.pth" in explorer.status.value and state(explorer)[0] == ["lcoan", "trunk_lsp"]
    monkeypatch.setattr("srlab.weights.identify.identify", lambda path: ("craft", 4))
    upload(choice.file, "craft.pth", b"weights of a network outside the registry")
    assert "craft ×4" in explorer.status.value and state(explorer)[1] == 1 and explorer.scale.value == 2
    with pytest.raises(InputError, match="nosuch"):
        Explorer(explorer.study, tmp_path / "nosuch")


def test_an_image_of_the_readers_own(explorer, tmp_path):
    write_png(tmp_path / "mine.png", explore.images(explorer.study)["held-out: brick"].read()[:, :90, :100])
    upload(explorer.upload, "mine.png", (tmp_path / "mine.png").read_bytes())
    assert explorer.image.value.endswith("uploads/mine.png")
    assert (explorer.row.max, explorer.col.max) == (44, 49) and len(explorer.looks) == 2
    upload(explorer.upload, "broken.png", b"no image")
    assert "broken.png" in explorer.status.value and explorer.image.value.endswith("uploads/mine.png")
    assert [path.name for path in (explorer.study.folder / "uploads").glob("*.png")] == ["mine.png"]


def test_export_writes_the_view_and_the_call(explorer):
    explorer.row.value, explorer.col.value = 11, 22
    explorer.export.click()
    assert (explorer.study.folder / "figures" / "explored_held-out_brick_11_22.png").is_file()
    assert explorer.code.value.count("explore.look") == 2
    explorer.row.value = 12
    assert explorer.code.value == ""
