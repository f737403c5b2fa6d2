import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, JpegImagePlugin

from srlab.errors import InputError
from srlab.pictures.files import FORMATS, Picture, check_size, format_of, read_picture, write_picture

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (17, 23, 4), dtype=np.uint16)
P3 = pyvips.Image.profile_load("p3")
CMYK = pyvips.Image.profile_load("cmyk")
LOSSLESS = ("png", "tif", "webp")
ORIENTATION, COPYRIGHT = 0x0112, 0x8298


def chw(array):
    return torch.from_numpy(np.asarray(array).copy()).permute(2, 0, 1)


def picture(dtype, alpha=True, grey=False, **rest):
    """Noise of 17 × 23 pixels."""
    values = chw(DEEP if dtype == torch.uint16 else (DEEP >> 8).astype(np.uint8)).contiguous()
    rgb = values[:1].expand(3, -1, -1) if grey else values[:3]
    return Picture(rgb, values[3] if alpha else None, grey, **rest)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_16_bit(array):
    """A 16-bit PNG by hand, so that the reader is not tested against its own library."""
    height, width, channels = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def profile_of_grey():
    """The least that is an ICC profile of one channel: gamma 2.2."""
    d50 = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(79),
        b"cprt": b"text" + bytes(4) + b"none",
        b"wtpt": b"XYZ " + bytes(4) + d50,
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IHH", 1, int(2.2 * 256), 0),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data
    kinds = struct.pack(">4sI4s4s4s", b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head = struct.pack(">I", 128 + len(table + body)) + kinds + bytes(12) + b"acsp" + bytes(28) + d50
    return head.ljust(128, b"\0") + table + body


def exif():
    made = Image.Exif()
    made[ORIENTATION] = 6
    made[COPYRIGHT] = "a photographer"
    return made


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_is_read_exactly(tmp_path, channels):
    path = tmp_path / "deep.png"
    path.write_bytes(png_16_bit(DEEP[..., :channels]))
    read = read_picture(path)
    assert read.rgb.dtype == torch.uint16 and read.grey == (channels < 3)
    colours = [0, 0, 0] if read.grey else [0, 1, 2]
    assert torch.equal(read.rgb, chw(DEEP[..., colours]))
    if channels in (2, 4):
        assert torch.equal(read.alpha, torch.from_numpy(DEEP[..., channels - 1].copy()))
    else:
        assert read.alpha is None


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("dtype", "suffix"), [
    *((torch.uint8, suffix) for suffix in LOSSLESS), (torch.uint16, "png"), (torch.uint16, "tif"),
])  # fmt: skip
def test_round_trip(tmp_path, dtype, suffix, grey, alpha):
    path = tmp_path / f"photo.{suffix}"
    wanted = picture(dtype, alpha, grey, metadata={"orientation": 5}, resolution=(12.0, 8.0))
    if not grey:
        wanted.metadata["icc-profile-data"] = P3
    assert write_picture(path, wanted) == ()
    read = read_picture(path)
    assert read.rgb.dtype == dtype and torch.equal(read.rgb, wanted.rgb)
    assert read.alpha is None if not alpha else torch.equal(read.alpha, wanted.alpha)
    assert read.orientation == 5 and read.profile == wanted.profile
    assert read.grey == (grey and suffix != "webp")  # which has colours only
    if suffix != "webp":  # which has no resolution
        assert read.resolution == pytest.approx((12, 8), rel=1e-3)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_16_bit_tiff_is_what_another_reader_sees(tmp_path):
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, DEEP, photometric="rgb", extrasamples=["unassalpha"])
    read = read_picture(path)
    assert torch.equal(read.rgb, chw(DEEP[..., :3])) and torch.equal(read.alpha, chw(DEEP)[3])
    write_picture(tmp_path / "again.tif", read)
    assert np.array_equal(tifffile.imread(tmp_path / "again.tif"), DEEP)
    write_picture(tmp_path / "again.png", read)
    assert torch.equal(read_picture(tmp_path / "again.png").rgb, read.rgb)


def test_alpha_that_is_multiplied_in_is_taken_out(tmp_path):
    path = tmp_path / "associated.tif"
    alpha = np.full((4, 5, 1), 51, np.uint8)
    tifffile.imwrite(path, np.concatenate([np.full((4, 5, 3), 40, np.uint8), alpha], 2),
                     photometric="rgb", extrasamples=["assocalpha"])  # fmt: skip
    read = read_picture(path)
    assert (read.rgb == 200).all() and (read.alpha == 51).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("source", ["png", "jpg", "webp", "tif"])
def test_profile_and_exif_go_from_any_format_into_any_other(tmp_path, source, suffix):
    old, new = tmp_path / f"old.{source}", tmp_path / f"new.{suffix}"
    Image.fromarray(RGB).save(old, exif=exif(), icc_profile=P3, dpi=(300, 300))
    read = read_picture(old)
    assert read.profile == P3 and read.orientation == 6 and read.rgb.shape == (3, 17, 23)  # as it is stored
    write_picture(new, read)
    with Image.open(new) as image:
        tags = dict(image.getexif())
        assert tags[ORIENTATION] == 6 and image.info["icc_profile"] == P3
        if "tif" not in (source, suffix):  # of whose tags only those of TIFF itself are kept
            assert tags[COPYRIGHT] == "a photographer"
        if "webp" not in (source, suffix):
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_picture_of_unknown_resolution_gets_that_of_a_screen(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "old.png")
    write_picture(tmp_path / "new.png", read_picture(tmp_path / "old.png"))
    with Image.open(tmp_path / "new.png") as image:
        assert image.info["dpi"] == pytest.approx((72, 72), abs=0.1)


def test_jpeg_is_close_and_its_colours_are_as_fine_as_its_brightness(tmp_path):
    path = tmp_path / "photo.jpeg"
    ramps = np.meshgrid(np.arange(64), np.arange(48))
    smooth = chw(np.stack([*ramps, np.full((48, 64), 90)], 2).astype(np.uint8))
    assert write_picture(path, Picture(smooth)) == ()
    assert (read_picture(path).rgb.int() - smooth.int()).abs().max() <= 3
    with Image.open(path) as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


@pytest.mark.parametrize("suffix", ["webp", "jpg"])
def test_16_bit_is_rounded_where_8_are_all_there_are(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    values = torch.arange(65536, dtype=torch.int32).view(1, 256, 256).expand(3, -1, -1)
    notes = write_picture(path, Picture(values.to(torch.uint16), values[0].to(torch.uint16)))
    assert notes[0] == f"rounded to 8 bits, {FORMATS['.' + suffix].upper()} holds no more"
    read = read_picture(path)
    assert read.rgb.dtype == torch.uint8
    if suffix == "webp":
        expected = torch.from_numpy(np.rint(values.numpy() / 257).astype(np.uint8))
        assert torch.equal(read.rgb, expected) and torch.equal(read.alpha, expected[0])


def test_jpeg_lays_alpha_on_white(tmp_path):
    path = tmp_path / "photo.jpg"
    rgb = torch.full((3, 16, 16), 60, dtype=torch.uint8)
    alpha = torch.zeros(16, 16, dtype=torch.uint8)
    alpha[8:] = 255
    assert write_picture(path, Picture(rgb, alpha)) == ("laid on white, JPEG holds no transparency",)
    read = read_picture(path)
    assert read.alpha is None and (read.rgb[:, :8] > 250).all() and (read.rgb[:, 8:] < 64).all()


def test_webp_has_no_profile_of_grey(tmp_path):
    held = picture(torch.uint8, alpha=False, grey=True, metadata={"icc-profile-data": profile_of_grey()})
    assert write_picture(tmp_path / "photo.png", held) == ()
    assert read_picture(tmp_path / "photo.png").profile == held.profile
    [note] = write_picture(tmp_path / "photo.webp", held)
    assert note == "without its profile of grey, WEBP holds colours only"
    assert read_picture(tmp_path / "photo.webp").profile is None


def test_a_grey_picture_is_the_mean_of_its_channels(tmp_path):
    rgb = torch.tensor([10, 20, 34], dtype=torch.uint8).view(3, 1, 1).expand(3, 2, 2)
    write_picture(tmp_path / "grey.png", Picture(rgb, grey=True))
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "L" and image.getpixel((0, 0)) == 21


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.parametrize("profile", [CMYK, None])
def test_cmyk_becomes_srgb(tmp_path, suffix, profile):
    path = tmp_path / f"print.{suffix}"
    inks = Image.new("CMYK", (16, 16), (200, 100, 30, 20))
    inks.save(path, **({"icc_profile": profile} if profile else {}))
    read = read_picture(path)
    assert read.notes == ("CMYK converted to sRGB",) and read.profile is None and not read.grey
    spaces = ImageCms.ImageCmsProfile(io.BytesIO(CMYK)), ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    expected = chw(ImageCms.profileToProfile(inks, *spaces, renderingIntent=intent, outputMode="RGB"))
    assert (read.rgb.int() - expected.int()).abs().max() <= 4
    write_picture(path, read)
    with Image.open(path) as image:
        assert image.mode == "RGB" and "icc_profile" not in image.info


def test_palette_and_few_bits_are_expanded(tmp_path):
    path = tmp_path / "palette.png"
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(RGB[..., 0]).convert("P")
    image.putpalette(palette.tobytes())
    image.save(path, transparency=bytes(range(256)))
    read = read_picture(path)
    assert torch.equal(read.rgb, chw(palette[RGB[..., 0]]))
    assert torch.equal(read.alpha, torch.from_numpy(RGB[..., 0].copy()))
    Image.fromarray(RGB[..., 0] > 127).save(path)
    read = read_picture(path)
    assert read.grey and torch.equal(read.rgb[0], torch.from_numpy((RGB[..., 0] > 127) * np.uint8(255)))


def test_a_file_that_changed_is_read_anew(tmp_path):
    for suffix in ("png", "webp", "tif", "jpg"):
        path = tmp_path / f"photo.{suffix}"
        for level in (20, 200):
            Image.new("RGB", (16, 16), (level,) * 3).save(path)
            assert abs(int(read_picture(path).rgb[0, 0, 0]) - level) <= 1


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_animated_is_refused_with_the_count_of_frames(tmp_path, suffix):
    path = tmp_path / f"frames.{suffix}"
    frames = [Image.fromarray(np.roll(RGB, shift)) for shift in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=rf"frames\.{suffix}: .* 3 frames; one is expected"):
        read_picture(path)


def test_gif_is_refused(tmp_path):
    frames = [Image.fromarray(np.roll(RGB, shift)) for shift in range(3)]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"frames\.gif: GIF; PNG, JPEG, WebP or TIFF is expected"):
        read_picture(tmp_path / "frames.gif")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty file"),
        (b"just some text that was renamed", "unknown content"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "unknown content"),
        (b"\x89PNG\r\n\x1a\n", "unreadable, damaged or truncated"),
        (b"\xff\xd8\xff\xe0", "unreadable, damaged or truncated"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "unreadable, damaged or truncated"),
        (b"II*\0\x08\0\0\0", "unreadable, damaged or truncated"),
    ],
)
def test_no_picture_is_one_sentence(tmp_path, content, told):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.png: {told}") as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_picture(path)


@pytest.mark.parametrize(("dtype", "channels"), [(np.float32, 3), (np.uint32, 1), (np.int16, 3), (np.uint8, 6)])
def test_other_pixels_are_refused(tmp_path, dtype, channels):
    path = tmp_path / "science.tif"
    kind = "rgb" if channels >= 3 else "minisblack"
    tifffile.imwrite(path, np.ones((8, 8, channels), dtype).squeeze(), photometric=kind)
    with pytest.raises(InputError, match=r"science\.tif: .*8 or 16 bits is expected"):
        read_picture(path)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b""))
    with pytest.raises(InputError, match=rf"bomb\.png: 60000×60000.*{Image.MAX_IMAGE_PIXELS} pixels"):
        read_picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_the_limit_is_pillows(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17 * 23)
    read_picture(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17 * 23 - 1)
    with pytest.raises(InputError, match="more than the 390 pixels allowed"):
        read_picture(path)


def files():
    made = {}
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, kind, exif=exif(), icc_profile=P3)
        made[kind] = buffer.getvalue()
    return made


FILES = files()
PATH_IS_REUSED = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PATH_IS_REUSED
@given(kind=st.sampled_from(sorted(FILES)), part=st.floats(0, 0.9))
def test_truncated_files_are_refused_by_name(tmp_path, kind, part):
    path = tmp_path / "cut.png"
    path.write_bytes(FILES[kind][: int(part * len(FILES[kind]))])
    with pytest.raises(InputError, match=r"cut\.png"):
        read_picture(path)


@PATH_IS_REUSED
@given(kind=st.sampled_from(sorted(FILES)), data=st.data())
def test_damaged_files_give_a_picture_or_an_input_error(tmp_path, kind, data):
    content = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    try:
        read = read_picture(path)
    except InputError as error:
        assert "damaged.png" in str(error) and "\n" not in str(error)
    else:
        for suffix in ("png", "jpg", "webp", "tif"):
            write_picture(tmp_path / f"again.{suffix}", read)


def test_a_damaged_profile_is_left_out_with_a_note(tmp_path):
    content = bytearray(FILES["WEBP"])
    start = content.index(P3[:16])
    content[start : start + 4] = b"\xff\xff\xff\xff"  # its length
    path = tmp_path / "photo.webp"
    path.write_bytes(content)
    read = read_picture(path)
    assert write_picture(tmp_path / "photo.png", read) == ("without its ICC profile, which is damaged",)
    again = read_picture(tmp_path / "photo.png")
    assert again.profile is None and torch.equal(again.rgb, read.rgb) and again.orientation == 6


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_the_smallest_pictures(tmp_path, suffix, shape):
    path = tmp_path / f"small.{suffix}"
    write_picture(path, Picture(torch.full((3, *shape), 77, dtype=torch.uint8)))
    assert read_picture(path).rgb.shape == (3, *shape)


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path):
    held = picture(torch.uint8)
    with pytest.raises(InputError, match=r"photo\.bmp: a suffix of \.png.* not '\.bmp'"):
        write_picture(tmp_path / "photo.bmp", held)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"photo\.png: cannot be written \(.*file is not a folder\)"):
        write_picture(tmp_path / "file" / "photo.png", held)
    wide = Picture(torch.zeros(3, 1, 16384, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"photo\.webp: WEBP holds at most 16383 pixels a side"):
        write_picture(tmp_path / "photo.webp", wide)
    assert os.listdir(tmp_path) == ["file"]
    check_size(tmp_path / "photo.png", 10**6, 10**6)
    assert format_of(tmp_path / "PHOTO.TIFF") == "tiff"


DISK_OF_64_KIB = """
import resource, sys
import torch
from srlab.pictures.files import Picture, write_picture
from srlab.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
for path in sys.argv[1:]:
    try:
        write_picture(path, Picture(torch.randint(0, 256, (3, 300, 300), dtype=torch.uint8)))
    except InputError as error:
        print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path):
    paths = [tmp_path / f"photo.{suffix}" for suffix in ("png", "jpg", "webp", "tif")]
    for path in paths:
        write_picture(path, Picture(torch.zeros(3, 8, 8, dtype=torch.uint8)))
    before = [path.read_bytes() for path in paths]
    command = [sys.executable, "-c", DISK_OF_64_KIB, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for told, path in zip(done.stdout.splitlines(), paths, strict=True):
        assert told.startswith(f"{path}: cannot be written (")
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.iterdir()) == sorted(paths)
