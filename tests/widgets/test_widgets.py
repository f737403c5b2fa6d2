from datetime import datetime

import numpy as np
import pytest
import torch
from images import write_png
from matplotlib.backend_bases import KeyEvent, MouseEvent

from srlab.analysis import explore
from srlab.errors import InputError
from srlab.models import build
from srlab.plots.maps import LR_PIXELS
from srlab.weights.checkpoints import save_network
from srlab.widgets.explorer import Explorer
from srlab.widgets.network_choice import NONE


@pytest.fixture(scope="module")
def study(smoke_study):
    for model in ("lcoan", "trunk_lsp"):  # not dense, which would be slow
        smoke_study.obtain(smoke_study.training(model))
    return smoke_study


@pytest.fixture
def explorer(study):
    return Explorer(study)


def maps(explorer):
    """The axes that show the LR image's pixels: first the image itself."""
    return [ax for ax in explorer.canvas.figure.axes if ax.get_label() == LR_PIXELS]


def drawn(explorer, number):
    return np.asarray(maps(explorer)[number].images[-1].get_array())


def expected(explorer, choice=0):
    """What the plain functions say of the same choice."""
    scene = explore.open_scene(explorer.study, explorer.image.value)
    arguments = explorer.choices[choice].arguments()
    return explore.look(scene, row=explorer.row.value, col=explorer.col.value, **arguments)


def same(look, other):
    return np.array_equal(look.view.weights, other.view.weights) and look.layer == other.layer


def test_it_starts_with_what_the_study_trained(explorer):
    assert [choice.model.value for choice in explorer.choices] == ["lcoan", "trunk_lsp", NONE, NONE]
    assert [look.title for look in explorer.looks] == ["lcoan", "trunk_lsp"]
    assert all(same(look, expected(explorer, i)) for i, look in enumerate(explorer.looks))
    assert np.array_equal(drawn(explorer, 0), explorer.looks[0].view.picture)
    assert "lcoan, LSP" in explorer.status.value and "trunk_lsp, LSP" in explorer.status.value
    assert explorer.choices[0].layer.max == 2 and explorer.choices[0].turn.layout.display == "none"


def test_row_and_column_from_the_keyboard(explorer):
    before = drawn(explorer, 1)
    explorer.row.value, explorer.col.value = 0, 0
    assert not np.array_equal(drawn(explorer, 1), before)
    assert same(explorer.looks[0], expected(explorer))
    explorer.row.value = 10_000
    assert explorer.row.value == explorer.row.max == 119


def test_arrow_keys_on_the_maps_move_the_query(explorer):
    explorer.row.value, explorer.col.value = 5, 0
    for key in ("down", "right", "left", "left", "x"):
        event = KeyEvent("key_press_event", explorer.canvas, key)
        explorer.canvas.callbacks.process("key_press_event", event)
    assert (explorer.row.value, explorer.col.value) == (6, 0)
    assert (explorer.looks[0].view.row, explorer.looks[0].view.col) == (6, 0)


def click(explorer, ax, row, col):
    canvas = explorer.canvas
    canvas.draw()
    x, y = ax.transData.transform((col, row))
    canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, 1))


def test_a_click_on_any_map_of_the_image_asks_the_pixel_under_it(explorer):
    for number, (row, col) in enumerate([(31, 87), (2, 3), (60, 61)]):
        click(explorer, maps(explorer)[number], row, col)
        assert (explorer.row.value, explorer.col.value) == (row, col)
        assert all(same(look, expected(explorer, i)) for i, look in enumerate(explorer.looks))
    other = next(ax for ax in explorer.canvas.figure.axes if ax.get_label() != LR_PIXELS)
    click(explorer, other, 1, 1)  # a crop or a colour bar
    assert (explorer.row.value, explorer.col.value) == (60, 61)


def test_another_layer_network_and_round(explorer):
    first = explorer.choices[0]
    first.layer.value = 2
    assert explorer.looks[0].layer == "CoA, layer 2 of 2"
    first.weights.value = "untrained"
    first.model.value = "nlsn"
    assert "nlsn (UNTRAINED)" in explorer.status.value
    assert first.turn.max == 4 and first.turn.layout.display == "flex"
    first.turn.value = 3
    assert explorer.looks[0].view.panels[0].title == "hash buckets, round 3 of 4"
    assert same(explorer.looks[0], expected(explorer))


def test_up_to_four_networks_side_by_side(explorer):
    for choice, model in zip(explorer.choices[2:], ("trunk_fgca", "trunk_window"), strict=True):
        choice.weights.value, choice.model.value = "untrained", model
    assert len(explorer.looks) == 4
    height = explorer.canvas.figure.get_figheight()
    for choice in explorer.choices[1:]:
        choice.model.value = NONE
    assert len(explorer.looks) == 1 and explorer.canvas.figure.get_figheight() < height
    click(explorer, maps(explorer)[0], 7, 8)
    assert explorer.looks[0].view.row == 7


def test_another_image_starts_inside_it(explorer):
    explorer.row.value = explorer.col.value = 119
    explorer.image.value = "held-out: page_left"
    assert (explorer.row.max, explorer.col.max) == (83, 95)
    assert np.array_equal(drawn(explorer, 0), expected(explorer).view.picture)


def test_what_cannot_be_shown_is_explained(explorer):
    explorer.choices[0].model.value = "trunk_nla"
    assert "trunk_nla: run trunk_nla" in explorer.status.value and "is not finished" in explorer.status.value
    assert [look.title for look in explorer.looks] == ["trunk_lsp"]  # the other is still there
    explorer.choices[0].weights.value = "/nosuch.pth"
    assert "there is no such file" in explorer.status.value
    explorer.choices[1].model.value = NONE
    assert explorer.canvas.layout.display == "none" and not explorer.looks
    explorer.export.click()
    assert "nothing to export" in explorer.status.value
    explorer.choices[0].model.value, explorer.choices[0].weights.value = "lcoan", "trained"
    assert len(explorer.looks) == 1 and explorer.canvas.layout.display == "flex"
    explorer.scale.value = 4
    assert "the study trained its networks at ×2" in explorer.status.value


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A folder with a file as authors release it, ELAN-light ×4 of random weights, and a small ELAN ×2 of srlab's."""
    folder = tmp_path_factory.mktemp("weights")
    weights = build("elan_light", 4, 0).state_dict()
    theirs = {key.replace("head.", "module.head.0."): tensor for key, tensor in weights.items()}
    torch.save({"params": theirs}, folder / "theirs.pth")
    config = {"channels": 6, "layers": 4}
    save_network(folder / "small.safetensors", build("elan_light", 2, 0, **config), "elan_light", 2, config)
    return folder


def test_a_released_file_asks_for_its_network_at_its_scale(study, released):
    explorer = Explorer(study, released)
    file = str(released / "theirs.pth")
    assert explorer.choices[2].weights.options == ("trained", "untrained", str(released / "small.safetensors"), file)
    explorer.choices[2].weights.value = file
    assert (explorer.choices[2].model.value, explorer.scale.value) == ("elan_light", 4)
    assert [look.title for look in explorer.looks] == ["elan_light (theirs.pth)"]
    assert explorer.choices[2].layer.max == 24 and explorer.looks[0].view.picture.shape == (60, 60, 3)
    assert [panel.title for panel in explorer.looks[0].view.panels] == [f"{n}×{n} window" for n in (4, 8, 16)]
    assert "lcoan: scale 4: the study trained its networks at ×2" in explorer.status.value
    explorer.choices[2].layer.value = 2  # which reuses the first one's weights
    scene = explore.open_scene(study, explorer.image.value, scale=4)
    place = (explorer.row.value, explorer.col.value)
    assert same(explorer.looks[0], explore.look(scene, "elan_light", *place, layer=1, weights=file))


def test_a_file_of_the_studys_scale_stands_beside_its_networks(explorer, released, monkeypatch):
    drawings = []
    monkeypatch.setattr("srlab.plots.attention", lambda looks, figure: drawings.append(len(looks)))
    explorer.choices[3].weights.value = str(released / "small.safetensors")
    assert [look.model for look in explorer.looks] == ["lcoan", "trunk_lsp", "elan_light"]
    assert drawings == [3]  # once, though network and layers changed too
    explorer.scale.value = 4  # by hand: the file stays what it is
    assert "are of elan_light ×2, not elan_light ×4" in explorer.status.value and not explorer.looks


def test_weights_from_ones_own_computer(explorer, released, study):
    content = (released / "small.safetensors").read_bytes()
    upload(explorer.choices[2].file, "mine.safetensors", content)
    assert explorer.looks[-1].title == "elan_light (mine.safetensors)"
    config = {"channels": 6, "layers": 2}
    other = released.parent / "mine.safetensors"
    save_network(other, build("elan_light", 2, 1, **config), "elan_light", 2, config)
    upload(explorer.choices[2].file, "mine.safetensors", other.read_bytes())  # other weights under the same name
    assert explorer.looks[-1].title == "elan_light (mine.safetensors)" and explorer.choices[2].layer.max == 2
    kept = list((study.folder / "uploads").rglob("mine.safetensors"))
    assert sorted(path.read_bytes() for path in kept) == sorted([content, other.read_bytes()])


def test_files_that_cannot_be_looked_into_are_told_in_a_sentence(explorer, tmp_path, monkeypatch):
    upload(explorer.choices[0].file, "broken.pth", b"no weights")
    assert "broken.pth: refused, it holds more than tensors or is no .pth file" in explorer.status.value
    assert [look.title for look in explorer.looks] == ["trunk_lsp"]
    monkeypatch.setattr("srlab.weights.identify.identify", lambda path: ("craft", 4))
    upload(explorer.choices[0].file, "craft.pth", b"weights of another kind")
    told = "craft.pth are of craft ×4, whose layers cannot be looked into here"
    assert told in explorer.status.value and explorer.status.value.count("<b>") == 1
    assert explorer.choices[0].model.value == "lcoan" and explorer.scale.value == 2
    explorer.choices[0].weights.value = "trained"
    assert [look.title for look in explorer.looks] == ["lcoan", "trunk_lsp"] and told not in explorer.status.value
    with pytest.raises(InputError, match="no such folder"):
        Explorer(explorer.study, tmp_path / "nosuch")


def upload(control, name, content):
    file = {"name": name, "type": "", "size": 0, "content": memoryview(content), "last_modified": datetime.now()}
    control.value = (file,)


def test_an_image_of_ones_own(explorer, tmp_path):
    ref = explore.images(explorer.study)["held-out: brick"]
    write_png(tmp_path / "mine.png", ref.read()[:, :90, :100])
    upload(explorer.upload, "mine.png", (tmp_path / "mine.png").read_bytes())
    assert explorer.image.value.endswith("uploads/mine.png")
    assert (explorer.row.max, explorer.col.max) == (44, 49) and len(explorer.looks) == 2
    upload(explorer.upload, "broken.png", b"no image")
    assert "broken.png" in explorer.status.value and "no image" in explorer.status.value
    assert explorer.image.value.endswith("uploads/mine.png")
    assert [path.name for path in (explorer.study.folder / "uploads").glob("*.png")] == ["mine.png"]


def test_export_writes_the_view_and_the_call(explorer):
    explorer.row.value, explorer.col.value = 11, 22
    explorer.export.click()
    figures = explorer.study.folder / "figures"
    assert {path.name for path in figures.glob("explored*")} == {
        "explored_held-out_brick_11_22.png",
        "explored_held-out_brick_11_22.svg",
    }
    assert "srlab.plots.attention" in explorer.code.value and "11, 22" in explorer.code.value
    explorer.row.value = 12
    assert explorer.code.value == ""


def test_local_attribution_when_asked(explorer):
    explorer.attribution.value = True
    assert explorer.looks[0].view.panels[-1].title.startswith("local attribution")
    explorer.attribution.value = False
    assert not explorer.looks[0].view.panels[-1].title.startswith("local attribution")


def test_a_receptive_field_when_asked(explorer):
    explorer.choices[1].model.value = NONE
    explorer.field.value = True
    assert explorer.looks[0].view.panels[-1].title == "effective receptive field"


def test_traces_are_kept(explorer, monkeypatch):
    monkeypatch.setattr("srlab.analysis.explore.trace", lambda *_: pytest.fail("traced again"))
    explorer.row.value += 1
    explorer.choices[0].layer.value = 2


def test_every_control_has_a_tooltip(explorer):
    controls = [explorer.image, explorer.scale, explorer.upload, explorer.row, explorer.col, explorer.field]
    controls += [explorer.attribution]
    controls += [explorer.export, *(w for choice in explorer.choices for w in choice.children)]
    assert all(control.tooltip for control in controls)
