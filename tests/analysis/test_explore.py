import numpy as np
import pytest
import torch
from images import write_png

from srlab import analysis, plots
from srlab.analysis import explore
from srlab.analysis.attribution import diffusion_index, local_attribution
from srlab.data.resize import downscale
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.metrics import image_quality
from srlab.models import build
from srlab.weights.checkpoints import save_network

SIZES = {"channels": 8, "groups": 1, "blocks": 1}


@pytest.fixture(scope="module")
def study(smoke_study):
    smoke_study.obtain(smoke_study.training("lcoan"))
    return smoke_study


@pytest.fixture(scope="module")
def scene(study):
    return explore.open_scene(study, "held-out: page_left")


def test_a_scene_is_an_image_as_evaluation_makes_it(scene, study):
    ref = explore.images(study)["held-out: page_left"]
    assert torch.equal(scene.hr, ref.read())
    assert torch.equal(scene.lr, downscale(scene.hr, 2)) and not scene.cut


def test_of_a_large_image_it_is_the_middle(study, tmp_path):
    whole = torch.randint(0, 256, (3, 300, 410), dtype=torch.uint8)
    write_png(tmp_path / "mine.png", whole)
    scene = explore.open_scene(study, tmp_path / "mine.png", scale=2, side=64)
    assert scene.cut and scene.lr.shape == (3, 64, 64) and scene.hr.shape == (3, 128, 128)
    assert torch.equal(scene.lr, analysis.centre(downscale(whole, 2), 64))
    assert torch.equal(scene.hr, whole[:, 86:214, 140:268])


def test_a_look_is_what_inspection_says(scene, study):
    look = explore.look(scene, "lcoan", 20, 31, layer=-1)
    network = study.record(study.training("lcoan")).network()
    layer = analysis.trace(network, scene.lr)[-1]
    assert np.array_equal(look.view.weights, analysis.attention_row(layer, 20, 31))
    assert look.title == "lcoan" and look.layer == "CoA, layer 2 of 2"
    sr = super_resolve(network, scene.lr, 2)
    assert look.restored.psnr == image_quality(sr, scene.hr, 2)["psnr_y"]
    assert np.array_equal(look.restored.sr, analysis.picture(sr)[16:64, 38:86])
    assert np.array_equal(look.restored.hr, analysis.picture(scene.hr)[16:64, 38:86])


def test_the_crop_stays_inside(scene):
    for row, col in ((0, 0), (83, 95)):
        assert explore.look(scene, "lcoan", row, col).restored.sr.shape == (48, 48, 3)


def test_weights_trained_untrained_or_of_a_file(scene, study, tmp_path):
    untrained = explore.look(scene, "trunk_fgca", 5, 5, weights="untrained")
    assert untrained.title == "trunk_fgca (UNTRAINED)"
    save_network(tmp_path / "mine.safetensors", build("trunk_nla", 2, 3, **SIZES), "trunk_nla", 2, SIZES)
    mine = explore.look(scene, "trunk_nla", 5, 5, weights=str(tmp_path / "mine.safetensors"))
    assert mine.title == "trunk_nla (mine.safetensors)"
    torch.manual_seed(0)
    network = build("trunk_nla", 2, 3, **SIZES).eval()
    expected = analysis.attention_row(analysis.trace(network, scene.lr)[0], 5, 5)
    assert np.array_equal(mine.view.weights, expected)


def test_a_network_runs_on_a_scene_once(scene, monkeypatch):
    explore.look(scene, "lcoan", 1, 1)
    monkeypatch.setattr("srlab.analysis.explore.trace", lambda *_: pytest.fail("traced again"))
    explore.look(scene, "lcoan", 2, 2, layer=1)


def test_local_attribution_is_there_when_asked(scene):
    plain = explore.look(scene, "lcoan", 30, 40).view.panels
    *others, panel = explore.look(scene, "lcoan", 30, 40, attribution=True).view.panels
    assert [each.title for each in others] == [each.title for each in plain]
    expected = local_attribution(scene.traced("lcoan").network, scene.lr, 30, 40)
    np.testing.assert_allclose(panel.values, expected, rtol=1e-6)
    assert f"{diffusion_index(expected):.1f}" in panel.title


def test_a_receptive_field_is_there_when_asked(scene):
    assert len(explore.look(scene, "lcoan", 30, 40).view.panels) == 2
    field = explore.look(scene, "lcoan", 30, 40, field=True).view.panels[-1]
    assert field.values.sum() == pytest.approx(1, abs=1e-5) and field.values[30, 40] > 0.01


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "nosuch"}, "model 'nosuch' is unknown"),
        ({"model": "trunk_nla"}, "is not finished: .* or choose the weights 'untrained'"),
        ({"model": "no_attention", "weights": "untrained"}, "no non-local layer"),
        ({"layer": 2}, "layer 2: 'lcoan' has attention layers 0 to 1"),
        ({"turn": 1}, "round 2: LSP has rounds 1 to 1"),
        ({"row": 84}, "rows are 0 to 83"),
        ({"weights": "/nosuch.safetensors"}, "there is no such file"),
    ],
)
def test_what_cannot_be_had_is_told(scene, change, told):
    arguments = {"model": "lcoan", "row": 3, "col": 4, **change}
    with pytest.raises(InputError, match=told):
        explore.look(scene, **arguments)


def test_scenes_that_cannot_be_had(study, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InputError, match=r"broken\.png"):
        explore.open_scene(study, tmp_path / "broken.png")
    with pytest.raises(InputError, match="no such file"):
        explore.open_scene(study, "held-out: nosuch")
    with pytest.raises(InputError, match="the study trained its networks at ×2"):
        explore.look(explore.open_scene(study, "held-out: brick", scale=4), "lcoan", 0, 0)


def test_the_code_draws_the_same(scene, study, tmp_path):
    arguments = [
        {"model": "lcoan", "row": 3, "col": 4, "layer": 1, "turn": 0, "weights": "trained", "field": False},
        {"model": "nlsn", "row": 3, "col": 4, "turn": 2, "weights": "untrained", "field": True, "attribution": True},
    ]
    code = explore.code(scene, arguments)
    assert "layer=0" not in code and "turn=2, weights='untrained', field=True, attribution=True" in code
    names = {}
    exec(code.replace("srlab.plots.attention(", "figure = srlab.plots.attention("), names)
    drawn = plots.attention([explore.look(scene, **each) for each in arguments])
    for figure, name in ((names["figure"], "code.png"), (drawn, "drawn.png")):
        figure.savefig(tmp_path / name, metadata={"Software": None})
    assert (tmp_path / "code.png").read_bytes() == (tmp_path / "drawn.png").read_bytes()


@pytest.mark.slow
def test_every_network_can_be_drawn(scene):
    """A row of panels for every mechanism of the registry, untrained."""
    for model in (
        "lcoan",
        "nlsn",
        "enlcn",
        "trunk_fgca",
        "trunk_bra",
        "trunk_window",
        "esc",
        "hit_srf",
        "elan_light",
        "trunk_elan",
    ):
        look = explore.look(scene, model, 10, 12, layer=0, weights="untrained")
        figure = plots.attention([look])
        figure.canvas.draw()
        words = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
        assert "UNTRAINED" in words and all(panel.title.split(",")[0][:8] in words for panel in look.view.panels)
