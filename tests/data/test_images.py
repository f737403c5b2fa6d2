import io
import os

import numpy as np
import pytest
import torch
from images import chw, png_16_bit, write_png
from PIL import Image

from srlab.data.images import list_images, read_image
from srlab.errors import InputError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}


def encoded(array, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(17, 23), (1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_are_read_exactly_whatever_the_suffix(tmp_path, kind, shape):
    path, array = tmp_path / "photo.png", RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    path.write_bytes(encoded(array, kind, **LOSSLESS[kind]))
    image = read_image(path)
    assert image.dtype == torch.uint8 and image.is_contiguous()
    assert torch.equal(image, chw(array))


def test_jpeg_is_read(tmp_path):
    smooth = np.indices((48, 64))[[0, 1, 0]].transpose(1, 2, 0).astype(np.uint8)
    (tmp_path / "photo.jpg").write_bytes(encoded(smooth, "JPEG", quality=95))
    assert (read_image(tmp_path / "photo.jpg").int() - chw(smooth).int()).abs().max() <= 4


def test_grey_and_bilevel_are_repeated_and_palettes_expanded(tmp_path):
    path = tmp_path / "photo.png"
    for array in (RGB[..., 0], RGB[..., 0] > 127):
        path.write_bytes(encoded(array, "PNG"))
        expected = array * 255 if array.dtype == bool else array
        assert torch.equal(read_image(path), torch.from_numpy(expected.astype(np.uint8)).expand(3, -1, -1))
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(RGB[..., 0]).convert("P")
    image.putpalette(palette.tobytes())
    image.save(path, transparency=bytes(range(256)))
    assert torch.equal(read_image(path), chw(palette[RGB[..., 0]]))


def test_alpha_is_dropped_and_cmyk_converted(tmp_path):
    alpha = RNG.integers(0, 256, (*RGB.shape[:2], 1), dtype=np.uint8)
    alpha[0] = 0
    path = tmp_path / "rgba.png"
    path.write_bytes(encoded(np.concatenate([RGB, alpha], 2), "PNG"))
    assert torch.equal(read_image(path), chw(RGB))
    path.write_bytes(encoded(np.concatenate([RGB[..., :1], alpha], 2), "PNG"))
    assert torch.equal(read_image(path), chw(RGB[..., [0, 0, 0]]))
    Image.new("CMYK", (2, 2), (255, 0, 0, 0)).save(path, "TIFF")
    assert torch.equal(read_image(path), chw(np.full((2, 2, 3), (0, 255, 255), np.uint8)))


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("I;16", "tif"), ("I;16B", "tif")])
def test_16_bit_grey_is_rounded(tmp_path, mode, suffix):
    path = tmp_path / f"deep.{suffix}"
    values = np.arange(65536).reshape(256, 256)
    Image.frombytes(mode, (256, 256), values.astype(">u2" if mode == "I;16B" else "<u2").tobytes()).save(path)
    expected = torch.from_numpy(np.floor(values / 257 + 0.5).astype(np.uint8))
    assert torch.equal(read_image(path), expected.expand(3, -1, -1))


def test_16_bit_colour(tmp_path):
    path = tmp_path / "deep.png"
    for values, most in ((RGB.astype(np.uint16) * 257, 0), (RNG.integers(0, 65536, (17, 23, 3)), 1)):
        path.write_bytes(png_16_bit(values))
        assert (read_image(path) - chw(np.rint(values / 257))).abs().max() <= most


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bit_pixels_are_refused(tmp_path, dtype):
    Image.fromarray(RGB[..., 0].astype(dtype)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match=r"float\.tif"):
        read_image(tmp_path / "float.tif")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_orientation_is_applied_of_tiff_only(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "turned", kind, exif=exif)
    assert read_image(tmp_path / "turned").shape == ((3, 23, 17) if kind == "TIFF" else (3, 17, 23))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_several_frames_or_pages_are_refused_with_their_number(tmp_path, kind):
    path = tmp_path / "frames"
    first, second, third = (Image.fromarray((RGB + shift).astype(np.uint8)) for shift in (0, 80, 160))
    first.save(path, kind, save_all=True, append_images=[second, third], **LOSSLESS[kind])
    with pytest.raises(InputError, match="frames"):
        read_image(path)
    first.save(path, kind, save_all=True, **LOSSLESS[kind])
    assert torch.equal(read_image(path), chw(RGB))


def test_the_photograph_of_a_jpeg_with_a_preview_is_read(tmp_path):
    photograph = Image.fromarray(RGB)
    photograph.save(tmp_path / "camera", "MPO", save_all=True, append_images=[photograph.resize((5, 4))])
    assert read_image(tmp_path / "camera").shape == (3, 17, 23)


@pytest.mark.parametrize("content", [None, b"", b"not an image at all", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20)])
def test_no_image(tmp_path, content):
    path = tmp_path / "bad.png"
    path.mkdir() if content is None else path.write_bytes(content)
    for bad in (path, tmp_path / "absent.png"):
        with pytest.raises(InputError, match=bad.name) as caught:
            read_image(bad)
        assert "\n" not in str(caught.value)


@pytest.fixture
def locked(tmp_path):
    """A folder with an image that this process, without the rights of root for as long as a test takes, cannot open."""
    folder, root = tmp_path / "locked", os.geteuid() == 0
    write_png(folder / "photo.png", chw(RGB))
    folder.chmod(0)
    os.seteuid(65534 if root else os.geteuid())
    yield folder
    os.seteuid(0 if root else os.geteuid())
    folder.chmod(0o700)


def test_without_permission_nothing_is_read(locked):
    for call in (lambda: read_image(locked / "photo.png"), lambda: list_images(locked)):
        with pytest.raises(InputError, match="locked"):
            call()


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(encoded(RGB, "PNG"))  # 391 pixels
    for limit in (300, 100):  # Pillow only warns up to twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=rf"bomb\.png.*{limit}"):
            read_image(path)


def test_list_images_is_sorted_and_leaves_out_the_rest(tmp_path):
    for name in ("b.PNG", "a.webp", "c.jpeg", ".hidden.png", "notes.txt", "Z.tif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["Z.tif", "a.webp", "b.PNG", "c.jpeg"]
    assert list_images(tmp_path / "folder.png") == []
    with pytest.raises(InputError, match="absent"):
        list_images(tmp_path / "absent")
