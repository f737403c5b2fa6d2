import pandas as pd
import pytest
import torch
from images import write_png
from torch import nn

from srlab.data.layouts import held_out, open_benchmark
from srlab.data.resize import downscale, upscale
from srlab.data.sources import ImageRef, embedded, open_data
from srlab.errors import InputError
from srlab.measure.evaluation import assess, convention, evaluate, restored, summarise, super_resolve
from srlab.measure.metrics import image_quality
from srlab.measure.protocol import Protocol

HELD_OUT = embedded().benchmarks["held-out"]
IMAGE = HELD_OUT[0].read()
HELD_OUT_BENCHMARK = held_out()


class Bicubic(nn.Module):
    """The model that does what no model does; the rest are its faults."""

    def __init__(self, scale=2, change=lambda output: output):
        super().__init__()
        self.scale, self.change = scale, change
        self.layer = nn.Dropout(0.9)

    def forward(self, x):
        assert x.dtype == torch.float32 and x.shape[:2] == (1, 3) and x.min() >= 0 and x.max() <= 1
        assert not self.training and not self.layer.training and torch.is_inference_mode_enabled()
        image = (x[0] * 255).round().to(torch.uint8)
        return self.change(upscale(image, self.scale)[None].float() / 255)


def test_bicubic_and_a_model_that_does_it_are_one():
    frame = evaluate(None, HELD_OUT[:2], 2)
    assert list(frame.columns) == ["name", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    assert list(frame["name"]) == ["brick", "camera_skyline"]
    pd.testing.assert_frame_equal(evaluate(Bicubic(), HELD_OUT[:2], 2), frame)


def test_bicubic_on_the_embedded_crops():
    """Numbers made with the code that reproduces the papers' bicubic baselines (below)."""
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


def test_hr_is_cropped_to_a_multiple_of_the_scale(tmp_path):
    write_png(tmp_path / "odd.png", IMAGE[:, :71, :65])
    frame = evaluate(None, [ImageRef("odd", tmp_path / "odd.png")], 3)
    hr = IMAGE[:, :69, :63]
    expected = image_quality(upscale(downscale(hr, 3), 3), hr, 3)
    assert frame.drop(columns="name").iloc[0].to_dict() == expected


def test_output_is_clamped_and_rounded():
    def beyond(output):
        output[..., 0, :] = -0.2
        output[..., 1, :] = 1.7
        output[..., 2, :] = 100.6 / 255
        return output

    sr = super_resolve(Bicubic(change=beyond), IMAGE, 2)
    assert sr.dtype == torch.uint8 and sr.shape == (3, 480, 480)
    assert [sr[:, row].unique().tolist() for row in range(3)] == [[0], [255], [101]]
    assert torch.equal(sr[:, 3:], upscale(IMAGE, 2)[:, 3:])


def test_every_module_gets_its_mode_back():
    model = Bicubic()
    model.layer.eval()  # frozen on purpose, while the whole trains
    super_resolve(model, IMAGE, 2)
    assert model.training and not model.layer.training
    with pytest.raises(InputError):
        super_resolve(model, IMAGE, 3)
    assert model.training and not model.layer.training


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    def spoil(output):
        output[0, 1, 5, 7] = value
        return output

    with pytest.raises(InputError, match="model: output for an image of 240×240 pixels holds values"):
        super_resolve(Bicubic(change=spoil), IMAGE, 2)


def test_a_wrong_shape_is_refused():
    message = r"model: output of shape \(1, 3, 480, 480\); \(1, 3, 720, 720\) is expected at scale 3"
    with pytest.raises(InputError, match=message):
        super_resolve(Bicubic(), IMAGE, 3)


def test_self_ensemble_is_the_mean_over_the_eight_views():
    """Oracle: a network whose output is a slope gives the mean of the slope over the views: a constant."""

    class Slope(nn.Module):
        def forward(self, x):
            _, _, height, width = x.shape
            slope = torch.linspace(0, 0.5, 2 * width) + torch.linspace(0, 0.25, 2 * height)[:, None]
            return slope.expand(1, 3, -1, -1)

    lr = IMAGE[:, :20, :20]
    assert len(super_resolve(Slope(), lr, 2).unique()) > 50
    assert super_resolve(Slope(), lr, 2, ensemble=True).unique().tolist() == [round(255 * 0.375)]


def test_self_ensemble_does_not_change_what_treats_all_views_alike():
    lr = IMAGE[:, :30, :50]
    difference = super_resolve(Bicubic(), lr, 2, ensemble=True).int() - super_resolve(Bicubic(), lr, 2).int()
    assert difference.abs().max() <= 1


def test_sixteen_bits_stay_sixteen_bits():
    lr = (IMAGE[:, :20, :30].int() * 257).to(torch.uint16)

    class Nearest(nn.Module):
        def forward(self, x):
            return nn.functional.interpolate(x, scale_factor=2)

    sr = super_resolve(Nearest(), lr, 2)
    assert sr.dtype == torch.uint16
    assert torch.equal(sr.int(), lr.int().repeat_interleave(2, 1).repeat_interleave(2, 2))
    bicubic = super_resolve(None, lr, 2).double() / 257
    assert (bicubic - upscale(IMAGE[:, :20, :30], 2).double()).abs().max() <= 0.51


def _benchmark(folder, lr=lambda hr: downscale(hr, 2)):
    hr = IMAGE[:, :60, :48]
    write_png(folder / "mine/HR/a.png", hr)
    write_png(folder / "mine/LR_bicubic/X2/ax2.png", lr(hr))
    return open_benchmark(folder / "mine")


def test_lr_files_are_used_only_when_asked_and_the_record_says_so(tmp_path):
    benchmark = _benchmark(tmp_path, lambda hr: 255 - downscale(hr, 2))
    own, made = assess(None, benchmark, 2, Protocol(lr="files")), assess(None, benchmark, 2)
    assert own["psnr_y"] < 15 < made["psnr_y"]
    assert own["convention"]["lr"] == "the data set's own files" and "bicubic" in made["convention"]["lr"]


def test_an_lr_file_of_another_size_is_refused(tmp_path):
    benchmark = _benchmark(tmp_path, lambda hr: downscale(hr, 4))
    with pytest.raises(InputError, match=r"ax2.png: 12×15 pixels; 24×30, HR at 1/2, is expected"):
        assess(None, benchmark, 2, Protocol(lr="files"))


def test_a_record_says_how_it_was_made_and_what_tiling_changed(tmp_path):
    benchmark = _benchmark(tmp_path)
    record = assess(None, benchmark, 2, Protocol("none", ensemble=True, tile=16))
    assert record["convention"] == convention(2, Protocol("none", ensemble=True, tile=16))
    assert record["tiling"] == {"image": "a", "width": 24, "height": 30, "levels": 0.0, "psnr": None}
    assert [image["name"] for image in record["images"]] == ["a"]
    assert record["psnr_y"] == record["images"][0]["psnr_y"]
    assert assess(None, benchmark, 2, Protocol(tile=64))["tiling"] is None and "tiling" not in assess(
        None, benchmark, 2
    )


def test_too_small_an_image_is_named(tmp_path):
    write_png(tmp_path / "tiny.png", IMAGE[:, :8, :8])
    with pytest.raises(InputError, match=r"tiny.png: image of 8×8 pixels: SSIM .* needs at least 15×15"):
        evaluate(None, [ImageRef("tiny", tmp_path / "tiny.png")], 2)
    with pytest.raises(InputError, match="no images"):
        evaluate(None, [], 2)


def test_summarise_is_the_mean():
    frame = evaluate(None, HELD_OUT[:3], 2)
    assert summarise(frame)["ssim_y"] == pytest.approx(sum(frame["ssim_y"]) / 3)
    assert list(summarise(frame).index) == ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]


def test_convention_says_what_was_asked_for():
    said = convention(3, Protocol("none"))
    assert said["border"] == 3 and said["y_rounding"] == "none" and "1/3" in said["lr"]
    assert {"channel", "sr", "ssim", "dtype", "device"} < set(said)
    assert (said["tiling"], said["ensemble"]) == ("none: whole images", "none")
    other = convention(3, Protocol("none", ensemble=True, tile=48, lr="files"), "cuda")
    assert "48×48" in other["tiling"] and "8 flips" in other["ensemble"] and "cuda" in other["device"]


class Last(nn.Module):
    """Enlarges by repetition, and adds the brightness of the last row and column that it is given."""

    def forward(self, x):
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2) * 0.5 + 0.5 * x[..., -1:, -1:]


def test_zeros_are_what_the_network_sees_beyond_the_edge_and_are_cropped():
    image = torch.full((3, 10, 13), 200, dtype=torch.uint8)
    assert super_resolve(Last(), image, 2).unique().tolist() == [200]
    filled = super_resolve(Last(), image, 2, zeros=8)
    assert filled.shape == (3, 20, 26) and filled.unique().tolist() == [100]
    assert torch.equal(super_resolve(Last(), image[:, :8, :8], 2, zeros=8), super_resolve(Last(), image[:, :8, :8], 2))


def test_each_part_of_the_protocol_reaches_the_numbers():
    usual = evaluate(None, HELD_OUT[:1], 4).iloc[0]
    for changed in (
        Protocol("none"),
        Protocol(border=0),
        Protocol(lr="unrounded"),
        Protocol(lr="pillow"),
        Protocol(lr="opencv"),
    ):
        assert evaluate(None, HELD_OUT[:1], 4, changed).iloc[0]["psnr_y"] != usual["psnr_y"]
        assert convention(4, changed) != convention(4)
    assert evaluate(None, HELD_OUT[:1], 4, Protocol(border=4)).iloc[0].equals(usual)


def test_lr_of_16_bits_is_compared_in_8():
    [(_, sr, hr)] = restored(None, HELD_OUT[:1], 4, Protocol(lr="unrounded"))
    assert sr.dtype == hr.dtype == torch.uint8
    usual = super_resolve(None, downscale(hr, 4), 4)
    assert 0 < (sr.int() - usual.int()).abs().max() <= 3


def test_tiles_without_surroundings_change_more():
    network = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
    lr = IMAGE[:, :40, :40]
    whole = super_resolve(network, lr, 2)
    assert torch.equal(super_resolve(network, lr, 2, tile=16, overlap=8), whole)
    assert not torch.equal(super_resolve(network, lr, 2, tile=16, overlap=0), whole)


def test_only_the_first_images():
    record = assess(None, HELD_OUT_BENCHMARK, 2, first=2)
    assert [image["name"] for image in record["images"]] == [ref.name for ref in HELD_OUT[:2]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"lr": "nearest"}, "lr 'nearest' is unknown"), ({"border": -1}, "border -1"), ({"zeros": 0}, "zeros 0")],
)
def test_a_protocol_that_cannot_be_is_refused(wrong, told):
    with pytest.raises(InputError, match=told):
        Protocol(**wrong)
