"""`srlab upscale`: files as people have them, in and out."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch
from PIL import Image

from srlab.cli import main
from srlab.data.resize import upscale
from srlab.errors import InputError
from srlab.measure.evaluation import super_resolve
from srlab.measure.tiling import tiled
from srlab.models import REGISTRY, build
from srlab.pictures.files import Picture, read_picture, write_picture
from srlab.pictures.upscaling import choose_tile, find_pictures, plan, upscale_files, upscale_picture
from srlab.weights.checkpoints import save_network

RNG = np.random.default_rng(0)
P3 = pyvips.Image.profile_load("p3")
SMALL = {"channels": 24, "groups": 2, "blocks": 1, "stages": 1, "pairs": 1, "attended": 16}


def noise(*shape, dtype=torch.uint8):
    return torch.randint(0, torch.iinfo(dtype).max + 1, shape, dtype=torch.int32).to(dtype)


def save(path, height=9, width=12, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path, **options)
    return path


@pytest.fixture
def srlab(monkeypatch, capsys, tmp_path):
    """`srlab("upscale", …)` in this process and in `tmp_path`: status, stdout, stderr."""

    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["srlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def weights(tmp_path):
    """A small network's weights ×2."""
    options = {"channels": 16, "blocks": 1, "pairs": 1}
    path = tmp_path / "weights.safetensors"
    save_network(path, build("esc", 2, seed=0, **options), "esc", 2, options)
    return path


# --- which files --------------------------------------------------------------------------------------------


def test_files_folders_and_globs_name_each_picture_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.PNG", "a.jpg", ".hidden.png", "deep/c.webp", "deep/deeper/d.tif", "deep/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()

    def found(*inputs):
        return [path.as_posix() for path in find_pictures(inputs)]

    assert found(".") == ["a.jpg", "b.PNG"]
    assert found("**") == ["a.jpg", "b.PNG", "deep/c.webp", "deep/deeper/d.tif"]
    assert found("deep/*") == ["deep/c.webp"]
    assert found("b.PNG", ".", "*.jpg", str(tmp_path / "a.jpg")) == ["b.PNG", "a.jpg"]
    assert found("deep/notes.txt") == ["deep/notes.txt"]  # whoever names a file means it


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(tmp_path):
    path = save(tmp_path / "photo[1].png")
    assert find_pictures([str(path)]) == [path]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("absent.png", "absent.png: no such file or folder"),
        ("empty", "empty: no picture there, by its name: .png, .jpg, .jpeg, .webp, .tif, .tiff"),
        ("*.gif", r"\*.gif: no picture there"),
    ],
)
def test_inputs_without_pictures_are_refused(tmp_path, monkeypatch, entry, told):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(InputError, match=told):
        find_pictures([entry])


def test_names_are_kept_and_change_with_the_format(tmp_path):
    sources = [Path("a.JPG"), Path("in/b.v2.png"), Path("c.tif"), Path("d.jpeg")]

    def names(kind):
        return [job.target.as_posix() for job in plan(sources, Path("out"), kind)]

    assert names(None) == ["out/a.JPG", "out/b.v2.png", "out/c.tif", "out/d.jpeg"]
    assert names("jpeg") == ["out/a.JPG", "out/b.v2.jpg", "out/c.jpg", "out/d.jpeg"]
    assert names("tiff") == ["out/a.tif", "out/b.v2.tif", "out/c.tif", "out/d.tif"]
    with pytest.raises(InputError, match="format 'gif': png, jpeg, webp, tiff"):
        names("gif")


def test_no_file_is_written_over_another_or_over_an_input(tmp_path):
    a, b = save(tmp_path / "one" / "x.png"), save(tmp_path / "two" / "x.png")
    c = save(tmp_path / "two" / "x.jpg")
    with pytest.raises(InputError, match=r"one/x\.png and .*two/x\.png would both become .*out/x\.png"):
        plan([a, b], tmp_path / "out")
    with pytest.raises(InputError, match="would both become"):
        plan([b, c], tmp_path / "out", "png")
    with pytest.raises(InputError, match=r"x\.png is itself to be enlarged"):
        plan([a], tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    with pytest.raises(InputError, match="is itself to be enlarged"):
        plan([a], tmp_path / "link")
    assert len(plan([b, c], tmp_path / "out")) == 2


# --- what comes out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_bicubic_is_the_papers_in_each_depth_and_for_alpha(dtype):
    picture = Picture(noise(3, 9, 12, dtype=dtype), noise(9, 12, dtype=dtype))
    large = upscale_picture(None, picture, 3)
    assert large.rgb.dtype == large.alpha.dtype == dtype
    assert torch.equal(large.rgb, upscale(picture.rgb, 3))
    assert torch.equal(large.alpha, upscale(picture.alpha[None], 3)[0])


def test_a_network_sees_the_colours_and_bicubic_the_alpha():
    network = build("esc", 2, seed=0, channels=16, blocks=1, pairs=1)
    picture = Picture(noise(3, 9, 12), noise(9, 12))
    large = upscale_picture(network, picture, 2)
    assert torch.equal(large.rgb, super_resolve(network, picture.rgb, 2))
    assert torch.equal(large.alpha, upscale(picture.alpha[None], 2)[0])


@pytest.mark.parametrize("name", REGISTRY)
def test_every_network_takes_the_smallest_pictures(name):
    options = {key: value for key, value in SMALL.items() if key in REGISTRY[name].options}
    network = build(name, 2, seed=0, **options)
    for height, width in ((1, 1), (1, 40), (40, 1)):
        large = super_resolve(network, noise(3, height, width), 2)
        assert large.shape == (3, 2 * height, 2 * width)


def test_large_pictures_are_worked_on_in_tiles():
    assert choose_tile(512, 512, None) is None
    assert choose_tile(513, 512, None) == 256
    assert choose_tile(3000, 4000, 100) == 100
    picture = Picture(noise(3, 40, 30), noise(40, 30))
    tiles = upscale_picture(None, picture, 2, tile=16)
    assert torch.equal(tiles.rgb, upscale(picture.rgb, 2))
    network = build("esc", 2, seed=0, channels=16, blocks=1, pairs=1)
    tiles = upscale_picture(network, picture, 2, tile=16)
    assert torch.equal(tiles.rgb, tiled(lambda part: super_resolve(network, part, 2), picture.rgb, 2, 16))


def test_what_a_file_carries_is_kept(srlab, tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "a photographer"
    photo = save(tmp_path / "in" / "photo.jpg", exif=exif, icc_profile=P3, dpi=(300, 300), quality=95)
    deep = Picture(noise(3, 9, 12, dtype=torch.uint16), noise(9, 12, dtype=torch.uint16),
                   metadata={"icc-profile-data": P3, "orientation": 8})  # fmt: skip
    write_picture(tmp_path / "in" / "deep.png", deep)
    write_picture(tmp_path / "in" / "deep.tif", deep)
    status, told, _ = srlab("upscale", "in", "--scale", "2", "-o", "out")
    assert status == 0 and told == "3 written to out\n"
    with Image.open(tmp_path / "out" / "photo.jpg") as image:
        assert image.size == (24, 18) and image.info["icc_profile"] == P3
        assert image.info["dpi"] == (300, 300)
        assert image.getexif()[0x0112] == 6 and image.getexif()[0x8298] == "a photographer"
    close = read_picture(tmp_path / "out" / "photo.jpg").rgb.int() - upscale(read_picture(photo).rgb, 2).int()
    assert close.abs().float().mean() < 4  # JPEG of noise
    for suffix in ("png", "tif"):
        large = read_picture(tmp_path / "out" / f"deep.{suffix}")
        assert torch.equal(large.rgb, upscale(deep.rgb, 2))
        assert torch.equal(large.alpha, upscale(deep.alpha[None], 2)[0])
        assert large.profile == P3 and large.orientation == 8


def test_a_network_by_its_weights(srlab, tmp_path, weights):
    photo = save(tmp_path / "photo.png")
    options = "--model", "esc", "--scale", "2", "--device", "cpu"
    status, _, errors = srlab("upscale", photo, "-o", "out", "--weights", weights, *options)
    assert status == 0, errors
    network = build("esc", 2, seed=0, channels=16, blocks=1, pairs=1)
    expected = super_resolve(network, read_picture(photo).rgb, 2)
    assert torch.equal(read_picture(tmp_path / "out" / "photo.png").rgb, expected)
    status, _, errors = srlab("upscale", photo, "-o", "other", *options)
    assert status == 2 and "--weights is missing" in errors
    status, _, errors = srlab("upscale", photo, "-o", "other", *options[:3], "4", "--weights", weights)
    assert status == 2 and "are of esc ×2, not esc ×4" in errors
    assert not (tmp_path / "other").exists()


def test_what_changed_is_told(srlab, tmp_path):
    for name in ("a", "b"):
        write_picture(tmp_path / f"{name}.png", Picture(noise(3, 4, 4), noise(4, 4)))
    Image.new("CMYK", (4, 4), (9, 9, 9, 9)).save(tmp_path / "c.jpg")
    _, told, _ = srlab("upscale", "*.*", "--format", "jpeg", "--scale", "2", "-o", "out")
    assert told == (
        "3 written to out\na.jpg and 1 more: laid on white, JPEG holds no transparency\nc.jpg: CMYK converted to sRGB\n"
    )


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_bad_files_are_reported_at_the_end_and_do_not_stop_the_rest(srlab, tmp_path):
    folder = tmp_path / "in"
    save(folder / "good.png")
    save(folder / "zebra.jpg")
    (folder / "empty.png").touch()
    (folder / "renamed.jpg").write_text("a shopping list")
    cut = save(folder / "cut.png", 99, 99)
    cut.write_bytes(cut.read_bytes()[:9000])
    Image.new("RGB", (5, 5)).save(
        folder / "moving.webp", save_all=True, append_images=[Image.new("RGB", (5, 5), "red")]
    )
    save(folder / "wide.webp", 1, 5000)
    status, told, errors = srlab("upscale", "in", folder / "good.png", "-o", "out")
    assert status == 1 and told == "2 written to out\n"
    assert "Traceback" not in errors
    *_, heading, cut, empty, moving, renamed, wide = errors.strip().splitlines()
    assert heading == "5 failed:"
    assert cut.startswith("in/cut.png: unreadable, damaged or truncated")
    assert empty.startswith("in/empty.png: empty file")
    assert moving.startswith("in/moving.webp: animated or of several pages, 2 frames")
    assert renamed.startswith("in/renamed.jpg: unknown content")
    assert wide.startswith("out/wide.webp: WEBP holds at most 16383 pixels a side, not 20000×4")
    assert sorted(os.listdir(tmp_path / "out")) == ["good.png", "zebra.jpg"]


def test_a_network_that_gives_nan_is_told_by_picture(tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, x):
            return torch.full((1, 3, 2 * x.shape[2], 2 * x.shape[3]), torch.nan)

    jobs = plan([save(tmp_path / "photo.png")], tmp_path / "out")
    outcome = upscale_files(jobs, Broken(), 2)
    assert outcome.written == [] and os.listdir(tmp_path / "out") == []
    assert len(outcome.failed) == 1
    assert "photo.png: model: output" in outcome.failed[0] and "not finite" in outcome.failed[0]


def test_a_picture_for_which_memory_does_not_suffice_does_not_stop_the_rest(tmp_path):
    class Greedy(torch.nn.Module):
        def forward(self, x):
            if x.shape[-1] > 20:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    jobs = plan([save(tmp_path / "big.png", 9, 30), save(tmp_path / "small.png")], tmp_path / "out")
    outcome = upscale_files(jobs, Greedy(), 2)
    [told] = outcome.failed
    assert told.endswith("big.png: out of memory; tiles smaller than 30 (--tile) need less")
    assert [target.name for target in outcome.written] == ["small.png"]


def test_a_fault_of_ours_is_not_hidden(tmp_path):
    class Faulty(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("a shape does not fit")

    with pytest.raises(RuntimeError, match="a shape does not fit"):
        upscale_files(plan([save(tmp_path / "photo.png")], tmp_path / "out"), Faulty(), 2)


def test_what_is_there_is_skipped_unless_it_may_be_replaced(srlab, tmp_path):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png")
    old = save(tmp_path / "out" / "a.png", 2, 2).read_bytes()
    status, told, _ = srlab("upscale", "in", "-o", "out", "--scale", "2")
    assert status == 0
    assert told == "1 written to out, 1 skipped that were there (--overwrite replaces them)\n"
    assert (tmp_path / "out" / "a.png").read_bytes() == old
    status, told, _ = srlab("upscale", "in", "-o", "out", "--scale", "2", "--overwrite")
    assert status == 0 and told == "2 written to out\n"
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (24, 18)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["photo.png", "-o", "photo.png"], "photo.png: cannot be written to (not a folder)"),
        (["photo.png", "-o", "photo.png/out"], "photo.png/out: cannot be written to (not a folder)"),
        (["photo.png", "-o", "/proc/out"], "/proc/out: cannot be written to (No such file or directory)"),
        (["photo.png", "-o", "."], "photo.png is itself to be enlarged"),
        (["absent.png", "-o", "out"], "absent.png: no such file or folder"),
        (["photo.png", "-o", "out", "--scale", "5"], "scale is 5; allowed are 2, 3, 4, 8"),
        (["photo.png", "-o", "out", "--format", "gif"], "format 'gif': png, jpeg, webp, tiff are there"),
        (["photo.png", "-o", "out", "--weights", "x.pth"], "--weights x.pth: there is no --model for it"),
        (["photo.png", "-o", "out", "--device", "tpu"], "device 'tpu' is not known"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_writes_nothing(srlab, tmp_path, arguments, told):
    save(tmp_path / "photo.png")
    status, _, errors = srlab("upscale", *arguments)
    assert status == 2 and told in errors and "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def drop_the_right_to_write_anywhere():
    """Root passes over permissions by two capabilities of Linux, which this process and its heirs give up."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "mode", "told"),
    [
        ("out", 0o555, "out: cannot be written to (Permission denied)"),
        ("in", 0o333, "in: cannot be read (Permission denied)"),
        ("in/photo.png", 0o333, "in/photo.png: cannot be read (Permission denied)"),
    ],
)
def test_no_permission_is_one_sentence(tmp_path, closed, mode, told):
    save(tmp_path / "in" / "photo.png")
    (tmp_path / "out").mkdir()
    (tmp_path / closed).chmod(mode)
    command = [sys.executable, "-m", "srlab", "upscale", "in", "-o", "out"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=drop_the_right_to_write_anywhere
    )
    (tmp_path / closed).chmod(0o755)
    assert done.returncode == (1 if closed.endswith("png") else 2)
    assert done.stderr.strip().splitlines()[-1].removeprefix("srlab: ") == told
    assert "Traceback" not in done.stderr and os.listdir(tmp_path / "out") == []


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
sys.argv = ["srlab", "upscale", *sys.argv[1:]]
from srlab.cli import main
main()
"""


def test_a_full_disk_stops_at_once_with_one_sentence(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png", 150, 150)
    arguments = [str(tmp_path / "*.png"), "-o", str(tmp_path / "out"), "--scale", "2"]
    done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith(f"srlab: {tmp_path}/out/a.png: cannot be written (")
    assert "b.png" not in done.stderr and "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_leaves_whole_files_only(tmp_path):
    for number in range(30):
        save(tmp_path / "in" / f"{number:02}.png", 300, 300)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "srlab", "upscale", str(tmp_path / "in"), "-o", str(out)]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where tests do not hear it
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    deadline = time.monotonic() + 60
    while not (out.is_dir() and list(out.glob("*.png"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    errors = running.communicate(timeout=60)[1]
    assert running.returncode == 130 and "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("srlab: interrupted")
    written = list(out.iterdir())
    assert 0 < len(written) < 30
    for path in written:
        assert read_picture(path).rgb.shape == (3, 1200, 1200)
