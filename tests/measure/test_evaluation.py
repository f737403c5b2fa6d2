"""Enlarging and measuring: bicubic and a model that does it, conventions, refusals."""

import inspect
from dataclasses import fields

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from srlab.commands import measure
from srlab.data.layouts import held_out, open_benchmark
from srlab.data.resize import downscale, upscale
from srlab.data.sources import ImageRef, open_data
from srlab.errors import InputError
from srlab.measure.evaluation import assess, convention, evaluate, restore, summarise, super_resolve
from srlab.measure.metrics import image_quality
from srlab.measure.protocol import Protocol

BENCHMARK = held_out()
HELD_OUT = BENCHMARK.hr
IMAGE = HELD_OUT[0].read()


class Bicubic(nn.Module):
    """A model that enlarges as bicubic interpolation does, and then applies `change`."""

    def __init__(self, scale=2, change=lambda output: output):
        super().__init__()
        self.scale, self.change = scale, change
        self.layer = nn.Dropout(0.9)

    def forward(self, x):
        assert x.dtype == torch.float32 and x.shape[:2] == (1, 3) and x.min() >= 0 and x.max() <= 1
        assert not self.training and not self.layer.training and torch.is_inference_mode_enabled()
        image = (x[0] * 255).round().to(torch.uint8)
        return self.change(upscale(image, self.scale)[None].float() / 255)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


def benchmark_with_lr(folder, lr=lambda hr: downscale(hr, 2)):
    hr = IMAGE[:, :60, :48]
    save(folder / "mine/HR/a.png", hr)
    save(folder / "mine/LR_bicubic/X2/ax2.png", lr(hr))
    return open_benchmark(folder / "mine")


def test_bicubic_and_a_model_that_does_it_give_equal_tables():
    frame = evaluate(None, HELD_OUT[:2], 2)
    assert list(frame.columns) == ["name", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    assert list(frame["name"]) == ["brick", "camera_skyline"]
    pd.testing.assert_frame_equal(evaluate(Bicubic(), HELD_OUT[:2], 2), frame)
    # Numbers made with the code that reproduces the papers' bicubic baselines (below).
    expected = {"psnr_y": 25.4087, "ssim_y": 0.71, "psnr_rgb": 23.9904, "ssim_rgb": 0.6837}
    assert summarise(evaluate(None, HELD_OUT, 4)).to_dict() == pytest.approx(expected, abs=0.0005)


@pytest.mark.parametrize(
    ("benchmark", "scale", "y_rounding", "psnr_y", "ssim_y"),
    [
        ("Set5", 2, "matlab", 33.65, 0.9295),
        ("Set5", 3, "matlab", 30.39, 0.8679),
        ("Set5", 4, "matlab", 28.42, 0.8102),
        ("Set5", 4, "none", 28.43, 0.8113),
        ("Set14", 4, "matlab", 26.09, 0.7042),
        pytest.param("B100", 4, "matlab", 25.96, 0.6674, marks=pytest.mark.slow),
    ],
)
def test_the_papers_bicubic_baselines(shared_data, benchmark, scale, y_rounding, psnr_y, ssim_y):
    mean = summarise(evaluate(None, open_data(shared_data).benchmarks[benchmark], scale, Protocol(y_rounding)))
    assert mean["psnr_y"] == pytest.approx(psnr_y, abs=0.01)
    assert mean["ssim_y"] == pytest.approx(ssim_y, abs=0.0005)


def test_output_is_clamped_and_rounded():
    beyond = torch.tensor([-0.2, 1.7, 100.6 / 255])[:, None].expand(1, 3, -1, 480)
    sr = super_resolve(Bicubic(change=lambda output: torch.cat([beyond, output[:, :, 3:]], 2)), IMAGE, 2)
    assert sr.dtype == torch.uint8 and sr.shape == (3, 480, 480)
    assert [sr[:, row].unique().tolist() for row in range(3)] == [[0], [255], [101]]
    assert torch.equal(sr[:, 3:], upscale(IMAGE, 2)[:, 3:])


def test_every_module_gets_its_mode_back_and_wrong_outputs_are_refused():
    model = Bicubic()
    model.layer.eval()  # frozen on purpose, while the whole trains
    super_resolve(model, IMAGE, 2)
    assert model.training and not model.layer.training
    with pytest.raises(InputError, match=r"\(1, 3, 480, 480\)"):  # of another scale
        super_resolve(model, IMAGE, 3)
    assert model.training and not model.layer.training
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="240×240"):
            super_resolve(Bicubic(change=lambda y, value=value: y.index_fill(2, torch.tensor(5), value)), IMAGE, 2)


def test_self_ensemble_is_the_mean_over_the_eight_views():
    """A network whose output is a slope gives its mean over the views, a constant; bicubic hardly changes."""

    class Slope(nn.Module):
        def forward(self, x):
            return (torch.linspace(0, 0.5, 40) + torch.linspace(0, 0.25, 40)[:, None]).expand(1, 3, -1, -1)

    alone, mean = (super_resolve(Slope(), IMAGE[:, :20, :20], 2, ensemble=ensemble) for ensemble in (False, True))
    assert len(alone.unique()) > 50 and mean.unique().tolist() == [round(255 * 0.375)]
    alone, mean = (super_resolve(Bicubic(), IMAGE[:, :30, :50], 2, ensemble=each).int() for each in (False, True))
    assert (mean - alone).abs().max() <= 1


def test_sixteen_bits_stay_sixteen_bits_and_are_compared_in_eight():
    lr = (IMAGE[:, :20, :30].int() * 257).to(torch.uint16)
    sr = super_resolve(nn.Upsample(scale_factor=2), lr, 2)
    assert sr.dtype == torch.uint16
    assert torch.equal(sr.int(), lr.int().repeat_interleave(2, 1).repeat_interleave(2, 2))
    bicubic = super_resolve(None, lr, 2).double() / 257
    assert (bicubic - upscale(IMAGE[:, :20, :30], 2).double()).abs().max() <= 0.51
    [(_, sr, hr)] = restore(None, HELD_OUT[:1], 4, Protocol(lr="unrounded"))
    assert sr.dtype == hr.dtype == torch.uint8
    assert 0 < (sr.int() - super_resolve(None, downscale(hr, 4), 4).int()).abs().max() <= 3


def test_a_record_holds_its_convention_and_what_tiling_changed(tmp_path):
    benchmark, protocol = benchmark_with_lr(tmp_path), Protocol("none", ensemble=True, tile=16)
    record = assess(None, benchmark, 2, protocol)
    assert record["convention"] == convention(2, protocol)
    assert record["tiling"] == {"image": "a", "width": 24, "height": 30, "levels": 0.0, "psnr": None}
    assert [image["name"] for image in record["images"]] == ["a"]
    assert record["psnr_y"] == record["images"][0]["psnr_y"]
    assert assess(None, benchmark, 2, Protocol(tile=64))["tiling"] is None
    assert "tiling" not in assess(None, benchmark, 2)
    first = assess(None, BENCHMARK, 2, first=2)
    assert [image["name"] for image in first["images"]] == [ref.name for ref in HELD_OUT[:2]]


def test_zeros_are_what_the_network_sees_beyond_the_edge_and_are_cropped():
    class Last(nn.Module):
        """Enlarge by repetition, and add the brightness of the last row and column of the input."""

        def forward(self, x):
            return x.repeat_interleave(2, -1).repeat_interleave(2, -2) * 0.5 + 0.5 * x[..., -1:, -1:]

    for size, zeros, value in (((10, 13), None, 200), ((10, 13), 8, 100), ((8, 8), 8, 200)):
        sr = super_resolve(Last(), torch.full((3, *size), 200, dtype=torch.uint8), 2, zeros=zeros)
        assert sr.shape == (3, 2 * size[0], 2 * size[1]) and sr.unique().tolist() == [value]


def test_each_part_of_the_protocol_reaches_the_numbers_and_the_convention():
    usual = evaluate(None, HELD_OUT[:1], 4).iloc[0]
    for changed in ({"y_rounding": "none"}, {"border": 0}, {"lr": "unrounded"}, {"lr": "pillow"}, {"lr": "opencv"}):
        assert evaluate(None, HELD_OUT[:1], 4, Protocol(**changed)).iloc[0]["psnr_y"] != usual["psnr_y"]
        assert convention(4, Protocol(**changed)) != convention(4)
    assert evaluate(None, HELD_OUT[:1], 4, Protocol(border=4)).iloc[0].equals(usual)


@pytest.mark.parametrize(("name", "value"), [("lr", "nearest"), ("border", -1), ("zeros", 0)])
def test_a_protocol_that_cannot_be_is_refused_and_the_command_line_has_each_part(name, value):
    with pytest.raises(InputError, match=f"{name} '?{value}"):
        Protocol(**{name: value})
    assert {field.name for field in fields(Protocol)} <= set(inspect.signature(measure.evaluate).parameters)


def test_hr_is_cropped_to_a_multiple_of_the_scale_and_what_is_too_small_is_named(tmp_path):
    frame = evaluate(None, [ImageRef("odd", save(tmp_path / "odd.png", IMAGE[:, :71, :65]))], 3)
    hr = IMAGE[:, :69, :63]
    assert frame.drop(columns="name").iloc[0].to_dict() == image_quality(upscale(downscale(hr, 3), 3), hr, 3)
    with pytest.raises(InputError, match=r"tiny\.png.* 8×8 .*15×15"):
        evaluate(None, [ImageRef("tiny", save(tmp_path / "tiny.png", IMAGE[:, :8, :8]))], 2)
    with pytest.raises(InputError, match="no images"):
        evaluate(None, [], 2)


def test_lr_files_are_used_only_when_asked_and_must_have_the_size(tmp_path):
    benchmark = benchmark_with_lr(tmp_path / "a", lambda hr: 255 - downscale(hr, 2))
    own, made = assess(None, benchmark, 2, Protocol(lr="files")), assess(None, benchmark, 2)
    assert own["psnr_y"] < 15 < made["psnr_y"] and own["convention"]["lr"] != made["convention"]["lr"]
    with pytest.raises(InputError, match=r"ax2\.png: 12×15 .*24×30"):
        assess(None, benchmark_with_lr(tmp_path / "b", lambda hr: downscale(hr, 4)), 2, Protocol(lr="files"))
