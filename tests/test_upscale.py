"""`srlab upscale`: people's pictures in and out."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from images import chw, png_16_bit
from networks import small
from PIL import Image

from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.models import REGISTRY, build
from srlab.upscale import Picture, find_pictures, read_picture, upscale_files, upscale_picture, write_picture
from srlab.weights.checkpoints import save_network

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (17, 23, 4), dtype=np.uint16)
PROFILE = b"an ICC profile" * 20
ESC = {"channels": 16, "blocks": 1, "pairs": 1}


def noise(*shape, dtype=torch.uint8):
    return torch.randint(0, torch.iinfo(dtype).max + 1, shape, dtype=torch.int32).to(dtype)


def save(path, height=9, width=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_files_folders_and_globs_name_each_picture_once(tmp_path):
    for name in ("b.PNG", "a.jpg", ".hidden.png", "deep/c.webp", "deep/e[1].tif", "deep/d/d.bmp", "deep/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    def found(*inputs):
        return [path.as_posix() for path in find_pictures(inputs)]

    assert found(".") == ["a.jpg", "b.PNG"]
    assert found("**") == ["a.jpg", "b.PNG", "deep/c.webp", "deep/d/d.bmp", "deep/e[1].tif"]
    assert found("b.PNG", ".", "*.jpg", str(tmp_path / "a.jpg")) == ["b.PNG", "a.jpg"]
    assert found("deep/notes.txt", "deep/e[1].tif") == ["deep/notes.txt", "deep/e[1].tif"]  # named files are meant
    Path("empty").mkdir()
    for entry in ("absent.png", "empty", "*.gif"):
        with pytest.raises(InputError, match=re.escape(entry)):
            find_pictures([entry])


@pytest.mark.parametrize("options", [0, 1, {"byteorder": ">"}, {"byteorder": "<"}])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_and_tiff_are_read_exactly(tmp_path, channels, options):
    values = DEEP[..., :channels]
    if isinstance(options, int):
        (tmp_path / "deep").write_bytes(png_16_bit(values, options))
    elif channels == 2:
        pytest.skip("Pillow reads no 16-bit TIFF of grey with alpha")
    else:
        kind = {"photometric": "minisblack" if channels < 3 else "rgb", "extrasamples": ["unassalpha"] * (channels > 3)}
        tifffile.imwrite(tmp_path / "deep", values.squeeze(), **kind, **options)
    read = read_picture(tmp_path / "deep")
    assert read.rgb.dtype == torch.uint16 and read.grey == (channels < 3)
    assert torch.equal(read.rgb, chw(values[..., [0, 0, 0] if read.grey else [0, 1, 2]]))
    assert read.alpha is None if channels % 2 else torch.equal(read.alpha, chw(values)[-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_transparent_colour_of_a_16_bit_png_becomes_alpha(channels):
    values, key = DEEP[..., :channels], DEEP[2, 3, :channels]
    Path("key.png").write_bytes(png_16_bit(values, key=key.astype(">u2").tobytes()))
    assert torch.equal(read_picture(Path("key.png")).alpha == 0, chw(values == key).all(0))


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float32])
def test_other_pixels_are_refused(dtype):
    tifffile.imwrite("science.tif", np.ones((3, 8, 8), dtype), photometric="rgb", planarconfig="separate")
    with pytest.raises(InputError, match=r"science\.tif"):
        read_picture(Path("science.tif"))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_round_trip(tmp_path, dtype, kind, channels):
    deep = dtype == torch.uint16
    if (kind == "WEBP" and (deep or channels < 3)) or (kind == "TIFF" and deep and channels == 2):
        pytest.skip("WebP holds colours of 8 bits; Pillow reads no 16-bit TIFF of grey with alpha")
    values = chw(DEEP if deep else (DEEP >> 8).astype(np.uint8)).contiguous()
    rgb = values[:1].repeat(3, 1, 1) if channels < 3 else values[:3]
    wanted = Picture(rgb, None if channels % 2 else values[3], channels < 3, kind, PROFILE)
    write_picture(tmp_path / "photo", wanted)
    read = read_picture(tmp_path / "photo")
    assert torch.equal(read.rgb, wanted.rgb) and (read.grey, read.kind) == (wanted.grey, kind)
    assert (read.profile, read.lost) == (PROFILE, ()) and os.listdir(tmp_path) == ["photo"]
    assert read.alpha is None if wanted.alpha is None else torch.equal(read.alpha, wanted.alpha)


def test_jpeg_grey_palettes_and_cmyk():
    photo, grey, indexed = Path("photo.jpg"), Path("grey.png"), Path("palette.png")
    smooth = torch.from_numpy(np.indices((48, 64)))[[0, 1, 0]]
    write_picture(photo, Picture(smooth.to(torch.uint8), kind="JPEG"))
    assert (read_picture(photo).rgb.int() - smooth).abs().max() <= 3
    write_picture(grey, Picture(torch.tensor([10, 20, 34], dtype=torch.uint8).view(3, 1, 1).expand(3, 2, 2), grey=True))
    with Image.open(grey) as image:
        assert image.mode == "L" and image.getpixel((0, 0)) == 21  # the mean
    image = Image.fromarray(RGB[..., 0]).convert("P")
    image.putpalette((palette := RNG.integers(0, 256, (256, 3), dtype=np.uint8)).tobytes())
    image.save(indexed, transparency=bytes(range(256)))
    read = read_picture(indexed)
    assert torch.equal(read.rgb, chw(palette[RGB[..., 0]])) and torch.equal(read.alpha, chw(RGB)[0])
    Image.new("CMYK", (2, 2), (255, 0, 0, 0)).save("print.tif", icc_profile=PROFILE)
    read = read_picture(Path("print.tif"))
    assert read.rgb[:, 0, 0].tolist() == [0, 255, 255] and read.profile is None and len(read.lost) == 1


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
def test_a_picture_is_turned_as_exif_says_and_what_is_lost_is_named(tmp_path, suffix):
    exif, path, image = Image.Exif(), tmp_path / f"photo.{suffix}", Image.fromarray(RGB)
    exif[0x0112] = 6
    image.save(path, exif=exif)
    assert read_picture(path).rgb.shape == (3, 23, 17) and read_picture(path).lost == ()
    exif[0x8298] = "a photographer"
    frames = {} if suffix == "jpg" else {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}
    image.save(path, exif=exif, lossless=True, **frames)
    assert len(read_picture(path).lost) == 1 + bool(frames)
    assert not frames or torch.equal(read_picture(path).rgb, chw(np.rot90(RGB, -1)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
@pytest.mark.parametrize("tile", [None, 16])
def test_a_network_upscales_the_colours_and_bicubic_the_alpha(dtype, tile):
    network, picture = small("esc"), Picture(noise(3, 40, 30, dtype=dtype), noise(40, 30, dtype=dtype))
    large, bicubic = (upscale_picture(picture, model, 2, tile=tile) for model in (network, None))
    assert torch.equal(large.rgb, super_resolve(network, picture.rgb, 2, tile=tile)) and large.rgb.dtype == dtype
    assert torch.equal(bicubic.rgb, upscale(picture.rgb, 2))
    assert torch.equal(large.alpha, upscale(picture.alpha[None], 2)[0])


def test_large_pictures_are_upscaled_in_tiles_by_default(monkeypatch):
    tiles = []
    monkeypatch.setattr("srlab.upscale.super_resolve", lambda *given: tiles.append(given[5]) or given[1])
    for width in (2**15, 2**15 + 1):
        upscale_picture(Picture(noise(3, 8, width)), None, 2)
    assert tiles == [None, 256]


@pytest.mark.parametrize("name", REGISTRY)
def test_every_network_takes_the_smallest_pictures(name):
    for height, width in ((1, 1), (1, 40), (40, 1)):
        assert super_resolve(small(name), noise(3, height, width), 2).shape == (3, 2 * height, 2 * width)


class Faulty(torch.nn.Module):
    """Nearest neighbours ×2 of small pictures; tall ones give NaN, wide ones exceed memory or, wider, are a bug."""

    def forward(self, x):
        if x.shape[-1] > 20:
            raise RuntimeError("a bug") if x.shape[-1] > 40 else torch.OutOfMemoryError("CUDA out of memory")
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2) / (x.shape[-2] < 20)


def test_a_picture_that_fails_in_the_network_is_named_and_a_bug_is_not_hidden(tmp_path):
    sources = [save(tmp_path / "wide.png", 9, 30), save(tmp_path / "tall.png", 30, 9), save(tmp_path / "small.png")]
    outcome = upscale_files(sources, tmp_path / "out", Faulty(), 2)
    assert [error.split(":")[0] for error in outcome.failed] == [str(source) for source in sources[:2]]
    assert [target.name for target in outcome.written] == os.listdir(tmp_path / "out") == ["small.png"]
    with pytest.raises(RuntimeError, match="a bug"):
        upscale_files([save(tmp_path / "wider.png", 9, 50)], tmp_path / "out", Faulty(), 2)


def test_bad_files_do_not_stop_the_rest_and_what_is_there_is_kept(srlab, tmp_path):
    good = [save(tmp_path / "in" / name) for name in ("a.png", "b.jpg")]
    save(tmp_path / "in" / "wide.webp", 1, 5000)  # its enlargement exceeds the format
    (tmp_path / "in" / "empty.png").touch()
    (tmp_path / "in" / "cut.png").write_bytes(good[0].read_bytes()[:200])
    status, _, errors = srlab("upscale", "in", good[0], "-o", "out")
    failed = [line.split(":")[0] for line in errors.splitlines() if line.startswith("in/")]
    assert status == 1 and failed == ["in/cut.png", "in/empty.png", "in/wide.webp"]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.jpg"]
    old = save(tmp_path / "out" / "a.png", 2, 2).read_bytes()
    assert srlab("upscale", *good, "-o", "out")[0] == 0 and (tmp_path / "out" / "a.png").read_bytes() == old
    assert srlab("upscale", *good, "-o", "out", "--overwrite")[0] == 0
    assert torch.equal(read_picture(tmp_path / "out" / "a.png").rgb, upscale(read_picture(good[0]).rgb, 4))


def test_a_network_by_its_weights(srlab, tmp_path):
    photo, network = save(tmp_path / "photo.png"), build("esc", 2, seed=0, **ESC)
    save_network(tmp_path / "w.safetensors", network, "esc", 2, ESC)
    options = "--model", "esc", "--weights", "w.safetensors", "--device", "cpu", "--scale"
    assert srlab("upscale", photo, "-o", "out", *options, 2)[0] == 0
    expected = super_resolve(network, read_picture(photo).rgb, 2)
    assert torch.equal(read_picture(tmp_path / "out" / "photo.png").rgb, expected)
    assert srlab("upscale", photo, "-o", "other", *options, 4)[0] == 2 and not (tmp_path / "other").exists()


WRONG = ["-o photo.png", "-o .", "-o out more/photo.png", "-o out --weights x.pth", "-o out --model esc"]


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_command_is_one_sentence_and_writes_nothing(srlab, tmp_path, arguments):
    save(tmp_path / "photo.png"), save(tmp_path / "more" / "photo.png")
    status, _, errors = srlab("upscale", "photo.png", *arguments.split())
    assert status == 2 and arguments.split()[-1] in errors and errors.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["more", "photo.png"]
