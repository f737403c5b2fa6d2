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
from srlab.models.registry import label
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
    assert torch.equal(scene.hr, explore.images(study)["held-out: page_left"].read())
    assert torch.equal(scene.lr, downscale(scene.hr, 2)) and not scene.cut and scene.task is None


def test_the_middle_of_a_large_image_is_opened(study, tmp_path):
    whole = torch.randint(0, 256, (3, 300, 410), dtype=torch.uint8)
    write_png(tmp_path / "mine.png", whole)
    scene = explore.open_scene(study, tmp_path / "mine.png", scale=2, side=64)
    assert scene.cut and scene.title == "mine.png"
    assert torch.equal(scene.lr, analysis.centre(downscale(whole, 2), 64))
    assert torch.equal(scene.hr, whole[:, 86:214, 140:268])


def test_a_look_has_the_layer_and_the_sr_of_the_trained_network(scene, study, monkeypatch):
    look = explore.look(scene, "lcoan", 20, 31, layer=-1)
    network = study.record(study.training("lcoan")).network()
    layer = analysis.trace(network, scene.lr)[-1]
    assert np.array_equal(look.view.weights, analysis.attention_row(layer, 20, 31))
    assert look.title == label("lcoan") and look.layer == layer.title and (layer.number, layer.count) == (2, 2)
    sr = super_resolve(network, scene.lr, 2)
    assert look.restored.psnr == image_quality(sr, scene.hr, 2)["psnr_y"]
    assert np.array_equal(look.restored.sr, analysis.picture(sr)[16:64, 38:86])
    assert np.array_equal(look.restored.hr, analysis.picture(scene.hr)[16:64, 38:86])
    shares = look.view.weights
    half = np.count_nonzero(np.sort(shares, axis=None)[::-1].cumsum() < 0.5) + 1
    numbers = {"20", "31", str(np.count_nonzero(look.view.seen)), str(half), f"{100 * shares.max():.3g}"}
    assert numbers <= set(explore.describe(look.view).replace(",", "").split())
    monkeypatch.setattr("srlab.analysis.explore.trace", lambda *_: pytest.fail("traced again"))
    for row, col in ((0, 0), (83, 95)):  # the crop stays inside the image
        assert explore.look(scene, "lcoan", row, col).restored.sr.shape == (48, 48, 3)


def test_random_weights_and_weights_of_a_file_are_named(scene, tmp_path):
    assert explore.look(scene, "trunk_fgca", 5, 5, weights="untrained").source == "UNTRAINED"
    save_network(tmp_path / "mine.safetensors", build("trunk_nla", 2, 3, **SIZES), "trunk_nla", 2, SIZES)
    mine = explore.look(scene, "trunk_nla", 5, 5, weights=str(tmp_path / "mine.safetensors"))
    assert mine.source == "mine.safetensors" and mine.source in mine.title and label("trunk_nla") in mine.title
    network = build("trunk_nla", 2, 3, **SIZES).eval()
    expected = analysis.attention_row(analysis.trace(network, scene.lr)[0], 5, 5)
    assert np.array_equal(mine.view.weights, expected)


def test_attribution_and_receptive_field_are_added_on_request(scene):
    plain = explore.look(scene, "lcoan", 30, 40).view.panels
    *others, field, panel = explore.look(scene, "lcoan", 30, 40, field=True, attribution=True).view.panels
    assert [each.title for each in others] == [each.title for each in plain]
    assert field.values.sum() == pytest.approx(1, abs=1e-5) and field.values[30, 40] > 0.01
    expected = local_attribution(scene.traced("lcoan").network, scene.lr, 30, 40)
    np.testing.assert_allclose(panel.values, expected, rtol=1e-6)
    assert f"{diffusion_index(expected):.1f}" in panel.title


MISSING = {"nosuch": {"model": "nosuch"}, "trunk_nla-x2": {"model": "trunk_nla"}, "layer 2": {"layer": 2}}
MISSING |= {"round 2": {"round": 1}, "row 84": {"row": 84}, "/nosuch.pth": {"weights": "/nosuch.pth"}}
MISSING |= {"attention": {"model": "no_attention", "weights": "untrained"}}


@pytest.mark.parametrize("named", MISSING)
def test_an_error_names_what_is_missing(scene, named):
    with pytest.raises(InputError, match=named):
        explore.look(scene, **{"model": "lcoan", "row": 3, "col": 4, **MISSING[named]})


def test_an_error_names_the_image_or_the_scale(study, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(InputError, match=r"broken\.png"):
        explore.open_scene(study, tmp_path / "broken.png")
    with pytest.raises(InputError, match="held-out: nosuch"):
        explore.open_scene(study, "held-out: nosuch")
    with pytest.raises(InputError, match="scale 4"):
        explore.look(explore.open_scene(study, "held-out: brick", scale=4), "lcoan", 0, 0)


def test_the_code_draws_the_same(study, tmp_path):
    write_png(tmp_path / "mine.png", torch.randint(0, 256, (3, 72, 80), dtype=torch.uint8))
    scene = explore.open_scene(study, tmp_path / "mine.png")
    pixel = {"row": 3, "col": 4}
    first = {"model": "lcoan", "layer": 1, "round": 0, "weights": "trained", "field": False, **pixel}
    other = {"model": "nlsn", "round": 2, "weights": "untrained", "field": True, "attribution": True, **pixel}
    arguments, names = [first, other], {}
    code = explore.code(scene, arguments)
    exec(code.replace("srlab.plots.attention(", "figure = srlab.plots.attention("), names)
    drawn = plots.attention([explore.look(scene, **each) for each in arguments])
    for figure, name in ((names["figure"], "code.png"), (drawn, "drawn.png")):
        figure.savefig(tmp_path / name, dpi=40, metadata={"Software": None})
    assert (tmp_path / "code.png").read_bytes() == (tmp_path / "drawn.png").read_bytes()
