"""`srlab compare`: what a sheet shows is what the models made, and its numbers are the papers'."""

import os
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from srlab.cli import main
from srlab.data.images import write_png
from srlab.data.resize import downscale, upscale
from srlab.errors import InputError
from srlab.measure.metrics import image_quality, luma, psnr
from srlab.models import build
from srlab.pictures.comparing import Contender, Crop, compare, most_disputed, open_contenders, parse_crop
from srlab.pictures.sheet import save, sheet
from srlab.study.study import Study
from srlab.weights.checkpoints import save_network

BICUBIC = Contender("bicubic", None, "")


class Sharper(torch.nn.Module):
    """Nearest neighbours ×2."""

    def forward(self, x):
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


SHARPER = Contender("sharper", Sharper(), "no file")


def noise(height, width):
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8)


def disagreement(images):
    return torch.stack([luma(image.double()) for image in images]).std(0)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(40, 70), width=st.integers(40, 70), count=st.integers(2, 4))
def test_the_most_disputed_square_is_the_best_of_all(height, width, count):
    images = [noise(height, width) for _ in range(count)]
    left, top, side, same = most_disputed(images)
    assert side == same == min(48, height, width)
    squares = disagreement(images).unfold(0, side, 1).unfold(1, side, 1).sum((-2, -1))
    assert squares[top, left] == pytest.approx(float(squares.max()))


def test_models_that_differ_in_one_place_are_shown_there():
    one = noise(400, 600)
    other = one.clone()
    other[:, 210:230, 310:330] = 255 - other[:, 210:230, 310:330]
    crop = most_disputed([one, other, one])
    assert crop.width == crop.height == 50
    assert 330 - 50 <= crop.left <= 310 and 230 - 50 <= crop.top <= 210


def test_a_comparison_holds_to_the_papers_convention():
    image = noise(61, 83)
    comparison = compare("noise", image, [BICUBIC, SHARPER], 2, Crop(10, 20, 24, 16))
    hr = image[:, :60, :82]
    lr = downscale(hr, 2)
    assert torch.equal(comparison.hr, hr)
    assert torch.equal(comparison.sr["bicubic"], upscale(lr, 2))
    assert torch.equal(comparison.sr["sharper"], lr.repeat_interleave(2, -1).repeat_interleave(2, -2))
    for name, sr in comparison.sr.items():
        on_crop, on_image = comparison.psnr(name)
        assert on_image == pytest.approx(image_quality(sr, hr, 2)["psnr_y"])
        y = [luma(each[:, 20:36, 10:34].double()).round() for each in (sr, hr)]
        assert on_crop == pytest.approx(psnr(*y, border=0))


def test_one_model_is_compared_with_hr():
    image = noise(80, 80)
    comparison = compare("noise", image, [BICUBIC], 2)
    assert comparison.crop == most_disputed([image, comparison.sr["bicubic"]])
    assert "where SR and HR differ most" in comparison.told


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize(
    ("height", "width", "crop", "models"),
    [
        (96, 128, None, 1),
        (96, 128, Crop(0, 0, 30, 20), 2),
        (128, 64, Crop(20, 40, 17, 31), 4),
        (60, 300, Crop(260, 20, 40, 40), 7),
        (256, 256, Crop(6, 0, 250, 256), 3),
    ],
)
def test_a_sheet_shows_the_very_pixels_of_each_crop(height, width, crop, models):
    names = ["bicubic", *(f"network {number}" for number in range(1, models))]
    contenders = [BICUBIC, *(Contender(name, Sharper(), "x.pth") for name in names[1:])]
    comparison = compare("noise", noise(height, width), contenders, 2, crop)
    figure = sheet(comparison)
    assert figure.get_figwidth() == pytest.approx(7, abs=0.05) and figure.dpi >= 299
    page = drawn(figure)
    whole, *panels = figure.axes
    assert len(panels) == 1 + models
    crop = comparison.crop
    boxes = []
    for axes, image in zip(panels, (comparison.hr, *comparison.sr.values()), strict=True):
        box = axes.get_position()
        left, right = (round(x * page.shape[1]) for x in (box.x0, box.x1))
        top, bottom = (round((1 - y) * page.shape[0]) for y in (box.y1, box.y0))
        zoom = (right - left) // crop.width
        assert (right - left, bottom - top) == (zoom * crop.width, zoom * crop.height)
        expected = crop.of(image).permute(1, 2, 0).numpy().repeat(zoom, 0).repeat(zoom, 1)
        assert np.array_equal(page[top:bottom, left:right], expected)
        boxes.append(axes.bbox)
    everything = [whole.bbox, *boxes]
    assert not any(one.overlaps(other) for i, one in enumerate(everything) for other in everything[i + 1 :])


def test_words_lie_on_the_sheet_and_not_on_images_or_each_other():
    contenders = [Contender(f"enlarger_{i}", Sharper(), "profile quick, 200 steps") for i in range(7)]
    figure = sheet(compare("a photograph.png", noise(200, 300), contenders, 2))
    renderer = FigureCanvasAgg(figure).get_renderer()
    words = [text.get_window_extent(renderer) for text in figure.texts]
    images = [axes.bbox for axes in figure.axes]
    for i, box in enumerate(words):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and figure.bbox.y0 <= box.y0
        assert not any(box.overlaps(other) for other in [*images, *words[i + 1 :]])


def test_a_sheet_states_names_numbers_and_convention():
    comparison = compare("noise.png", noise(64, 64), [BICUBIC, SHARPER], 2)
    texts = {text.get_text(): text.get_weight() for text in sheet(comparison).texts}
    psnr_of = {name: comparison.psnr(name) for name in comparison.sr}
    best = [max(values) for values in zip(*psnr_of.values(), strict=True)]
    for name, values in psnr_of.items():
        assert texts[name] == "normal"
        for of, value, highest in zip(("crop", "image"), values, best, strict=True):
            weight = "bold" if f"{value:.2f}" == f"{highest:.2f}" else "normal"
            assert texts[f"{of} {value:.2f} dB"] == weight
    assert {"HR", "crop 48×48 px", "noise.png", "64×64 px, ×2"} <= texts.keys()
    [note] = [" ".join(text.split()) for text in texts if text.startswith("Y-PSNR")]
    for told in ("Y of BT.601, rounded", "a border of 2 px", "MATLAB-style bicubic ×1/2", "rounded to 8 bits",
                 "where the models differ most", "Weights of sharper: no file."):  # fmt: skip
        assert told in note


def test_a_model_that_restores_the_image_has_no_finite_psnr():
    flat = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    texts = [text.get_text() for text in sheet(compare("flat", flat, [BICUBIC], 2)).texts]
    assert "crop ∞ dB" in texts and "image ∞ dB" in texts


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_equal_sheets_are_equal_files(tmp_path, suffix, start):
    comparison = compare("noise", noise(64, 64), [BICUBIC], 2)
    for name in ("one", "two"):
        save(sheet(comparison), tmp_path / f"{name}.{suffix}")
    content = (tmp_path / f"one.{suffix}").read_bytes()
    assert content.startswith(start) and content == (tmp_path / f"two.{suffix}").read_bytes()
    assert len(os.listdir(tmp_path)) == 2
    if suffix == "png":
        with Image.open(tmp_path / "one.png") as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), drawn(sheet(comparison)))


def test_a_sheet_that_cannot_be_written_is_one_sentence(tmp_path):
    figure = sheet(compare("noise", noise(64, 64), [BICUBIC], 2))
    with pytest.raises(InputError, match=r"sheet\.jpg: a suffix of \.png, \.svg, \.pdf is expected"):
        save(figure, tmp_path / "sheet.jpg")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"sheet\.png: cannot be written \(.*file is not a folder\)"):
        save(figure, tmp_path / "file" / "sheet.png")


@pytest.mark.parametrize(
    ("crop", "told"),
    [
        ((60, 0, 8, 8), "crop 60,0,8,8: LEFT,TOP,WIDTH,HEIGHT inside 64×64"),
        ((0, -1, 8, 8), "crop 0,-1,8,8"),
        ((0, 0, 0, 8), "crop 0,0,0,8"),
        ((0, 0, 8, 65), "crop 0,0,8,65"),
    ],
)
def test_a_crop_outside_the_image_is_refused(crop, told):
    with pytest.raises(InputError, match=told):
        compare("noise", noise(64, 64), [BICUBIC], 2, Crop(*crop))


def test_what_a_crop_is_written_as():
    assert parse_crop("1,2,3,4") == Crop(1, 2, 3, 4)
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4"):
        with pytest.raises(InputError, match=f"crop '{text}': LEFT,TOP,WIDTH,HEIGHT"):
            parse_crop(text)


def test_an_image_that_is_all_border_is_refused():
    with pytest.raises(InputError, match="noise: 16×16 pixels; more than 16 a side are expected"):
        compare("noise", noise(19, 19), [BICUBIC], 8)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A study of the profile smoke in which `no_attention` has weights."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SRLAB_DATA", "")
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "results"))
    study = Study("smoke")
    run = study.training("no_attention")
    record = study.record(run)
    record.folder.mkdir(parents=True)
    for file in record.files:
        file.touch()
    network = run.network.build(run.scale, seed=7)
    save_network(record.folder / "weights.safetensors", network, "no_attention", run.scale, run.network.options)
    return network


def test_without_files_the_weights_are_the_studys(trained):
    bicubic, edsr = open_contenders([("bicubic", None), ("no_attention", None)], 2, "smoke")
    assert bicubic == BICUBIC and edsr.name == "no_attention" and edsr.source.startswith("profile smoke, ")
    for key, value in trained.state_dict().items():
        assert torch.equal(edsr.network.state_dict()[key], value)
    with pytest.raises(InputError, match="'lcoan': not trained yet; `srlab train --model lcoan --profile smoke`"):
        open_contenders([("lcoan", None)], 2, "smoke")
    with pytest.raises(InputError, match="'no_attention': no weights ×4, for profile 'smoke' trains ×2"):
        open_contenders([("no_attention", None)], 4, "smoke")
    with pytest.raises(InputError, match="model 'nosuch' is unknown"):
        open_contenders([("nosuch", None)], 2, "smoke")
    with pytest.raises(InputError, match="'bicubic' is named twice"):
        open_contenders([("bicubic", None), ("bicubic", None)], 2, "smoke")


@pytest.fixture
def srlab(monkeypatch, capsys, tmp_path):
    """`srlab(…)` in this process: status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["srlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


def test_the_command_writes_a_sheet(srlab, tmp_path, trained):
    photo, out = tmp_path / "photo.png", tmp_path / "sheet.svg"
    write_png(photo, noise(70, 90))
    options = "--scale", "2", "--device", "cpu"
    status, told, errors = srlab(
        "compare", photo, "--models", "bicubic,no_attention", "--profile", "smoke", "-o", out, *options
    )
    assert status == 0 and told == f"{out}\n", errors
    assert out.read_text().count("<image") == 4  # the whole, HR, bicubic, no_attention
    small = {"channels": 16, "blocks": 1, "pairs": 1}
    file = tmp_path / "esc.safetensors"
    save_network(file, build("esc", 2, seed=0, **small), "esc", 2, small)
    crop = "--crop", "5,6,40,30"
    status, _, errors = srlab(
        "compare", photo, "--models", "esc, bicubic", "--weights", file, "-o", out, *options, *crop
    )
    assert status == 0, errors
    assert out.read_text().count("<image") == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.png", "--models", "bicubic", "-o", "sheet.png"], "absent.png: no such file"),
        (["photo.png", "--models", "bicubic", "-o", "sheet.gif"], "sheet.gif: a suffix of .png, .svg, .pdf"),
        (["photo.png", "--models", "bicubic,", "-o", "sheet.png"], "model '' is unknown"),
        (["photo.png", "--models", "bicubic", "--weights", "x.pth", "-o", "sheet.png"], "no --model for it"),
        (["photo.png", "--models", "esc", "--weights", "x.pth", "-o", "sheet.png"], "no such file"),
        (["photo.png", "--models", "bicubic", "--crop", "1,2", "-o", "sheet.png"], "crop '1,2'"),
        (["photo.png", "--models", "bicubic", "--scale", "7", "-o", "sheet.png"], "scale is 7"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_writes_nothing(srlab, tmp_path, monkeypatch, arguments, told):
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    write_png(tmp_path / "photo.png", noise(40, 40))
    monkeypatch.chdir(tmp_path)
    status, _, errors = srlab("compare", *arguments)
    assert status == 2 and told in errors and "Traceback" not in errors
    assert sorted(os.listdir(tmp_path)) == ["photo.png", "profiles"]
