"""Everything that goes wrong at the command line: one sentence, an exit status, nothing half-written."""

import contextlib
import io
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from kept import ROOT
from PIL import Image
from safetensors.torch import save_file

from srlab import cli
from srlab.errors import InputError
from srlab.files import replacing, write_text
from srlab.models import build
from srlab.upscale import Picture, write_picture
from srlab.weights.checkpoints import save_network, save_tensors

RNG = np.random.default_rng(0)
NOISE = torch.from_numpy(RNG.integers(0, 256, (3, 200, 200), dtype=np.uint8))
KINDS = ("PNG", "JPEG", "WEBP", "TIFF")
PHOTO = Image.fromarray(RNG.integers(0, 256, (40, 44, 3), dtype=np.uint8))
OPTIONS = {"channels": 8, "groups": 1, "blocks": 1}


class Done(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    output: str
    errors: str


@pytest.fixture
def srlab(monkeypatch, capsys):
    """`srlab("evaluate", …)`: the command line's entry point, in this process."""

    def call(*arguments) -> Done:
        monkeypatch.delenv("SRLAB_DATA", raising=False)
        monkeypatch.setattr(sys, "argv", ["srlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return Done(left.value.code or 0, *capsys.readouterr())

    return call


def assert_one_sentence(done: Done, *told: str) -> None:
    """Status 2, and after the progress bars one line for people, which tells what is the matter."""
    assert done.status == 2
    assert "Traceback" not in done.errors and done.errors.count("srlab: ") == 1
    sentence = done.errors[done.errors.index("srlab: ") :]
    assert sentence.count("\n") == 1 and sentence.endswith("\n")
    for words in told:
        assert words in sentence


def encoded(image: Image.Image, kind: str, frames: int = 1, **options) -> bytes:
    buffer = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": [image.rotate(90 * i) for i in range(1, frames)]}
    image.copy().save(buffer, kind, **options)  # a copy, since saving leaves traces that bear on later saving
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of some bytes that says it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BAD_IMAGES = {
    "zero bytes": (b"", "empty file; PNG, WebP, JPEG, TIFF or BMP is expected"),
    "text": (b"a photograph of a cat\n", "22 bytes that are no image"),
    "GIF": (encoded(PHOTO, "GIF"), "bytes that are no image; PNG, WebP, JPEG"),
    "truncated PNG": (encoded(PHOTO, "PNG")[:2000], "unreadable, damaged or truncated"),
    "truncated JPEG": (encoded(PHOTO, "JPEG")[:900], "unreadable, damaged or truncated"),
    "truncated WebP": (encoded(PHOTO, "WEBP")[:900], "unreadable, damaged or truncated"),
    "truncated TIFF": (encoded(PHOTO, "TIFF")[:-900], "unreadable, damaged or truncated"),
    "truncated BMP": (encoded(PHOTO, "BMP")[:900], "unreadable, damaged or truncated"),
    "animated PNG": (encoded(PHOTO, "PNG", frames=3), "animated or of several pages, 3 frames"),
    "animated WebP": (encoded(PHOTO, "WEBP", frames=3), "animated or of several pages, 3 frames"),
    "pages of TIFF": (encoded(PHOTO, "TIFF", frames=3), "animated or of several pages, 3 frames"),
    "decompression bomb": (png_of_size(50_000, 50_000), "more than the 89478485 pixels allowed"),
    "larger than allowed": (png_of_size(10_000, 10_000), "more than the 89478485 pixels allowed"),
    "floats": (encoded(PHOTO.convert("F"), "TIFF"), "8 or 16 bits a channel are expected"),
    "too small": (encoded(PHOTO.crop((0, 0, 12, 12)), "PNG"), "SSIM with a border of 4 needs at least 19×19"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_is_named_and_no_numbers_are_written(srlab, tmp_path, kind):
    content, told = BAD_IMAGES[kind]
    folder = tmp_path / "photos" / "HR"
    folder.mkdir(parents=True)
    PHOTO.save(folder / "a.png")
    (folder / "bad.png").write_bytes(content)
    done = srlab("evaluate", "--data", tmp_path / "photos", "--json", tmp_path / "out.json")
    assert_one_sentence(done, "bad.png: ", told)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "photos"]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_an_image_smaller_than_the_scale_is_told_by_its_size(srlab, tmp_path, size):
    PHOTO.resize(size).save(tmp_path / "small.png")
    done = srlab("evaluate", "--data", tmp_path)
    size_told = f"small.png: image of {size[0]}×{size[1]} pixels"
    assert_one_sentence(done, f"{size_told}: at scale 4 at least 4×4 are needed")


def test_cmyk_is_measured_as_rgb(srlab, tmp_path):
    psnr = {}
    for name, image in {"cmyk": PHOTO.convert("CMYK"), "rgb": PHOTO.convert("CMYK").convert("RGB")}.items():
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "photo.tif")
        done = srlab("evaluate", "--data", tmp_path / name, "--json", tmp_path / f"{name}.json")
        assert done.status == 0, done.errors
        psnr[name] = json.loads((tmp_path / f"{name}.json").read_text())[0]["psnr_y"]
    assert psnr["cmyk"] == psnr["rgb"]


def test_a_folder_without_images_is_named(srlab, tmp_path):
    (tmp_path / "notes.txt").write_text("no images here")
    assert_one_sentence(srlab("evaluate", "--data", tmp_path), str(tmp_path), "images")
    assert_one_sentence(srlab("evaluate", "--data", tmp_path / "notes.txt"), "notes.txt")


def checkpoint(path: Path, model: str = "no_attention", scale: int = 2, value: float | None = None) -> Path:
    network = build(model, scale, seed=0, **OPTIONS)
    if value is not None:
        network.tail.weight.data[0, 0, 0, 0] = value
    save_network(path, network, model, scale, OPTIONS)
    return path


class RunsCode:
    """A pickle of this object makes a file named "ran" when it is read as pickles usually are."""

    def __reduce__(self):
        return (exec, ("open('ran', 'w').close()",))


def bad_weights(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no weights of no_attention ×2, and what there is to be said."""
    for name, content in {
        "empty.safetensors": b"",
        "text.safetensors": b"these are no weights",
        "huge.safetensors": (2**60).to_bytes(8, "little") + b"{}",
        "cut.safetensors": checkpoint(folder / "whole.safetensors").read_bytes()[:-100],
        "empty.pth": b"",
        "text.pth": b"these are no weights",
    }.items():
        (folder / name).write_bytes(content)
    torch.save({"params": {"head.weight": torch.ones(100)}}, folder / "whole.pth")
    (folder / "cut.pth").write_bytes((folder / "whole.pth").read_bytes()[:-100])
    torch.save(RunsCode(), folder / "code.pth")
    save_file({"head.weight": torch.ones(3)}, folder / "others.safetensors", {"format": "pt"})
    state = build("no_attention", 2, **OPTIONS).state_dict()
    unknown = {"model": "no_attention", "scale": 2, "config": {**OPTIONS, "colour": "blue"}}
    save_tensors(folder / "options.safetensors", state, unknown)
    told = {
        "absent.safetensors": "there is no such file",
        "empty.safetensors": "broken, or no safetensors file",
        "text.safetensors": "broken, or no safetensors file",
        "huge.safetensors": "broken, or no safetensors file",
        "cut.safetensors": "broken, or no safetensors file",
        "others.safetensors": "no released weights of 'no_attention' are known",
        "options.safetensors": "option 'colour' is unknown to model 'no_attention'",
        "empty.pth": "no .pth file",
        "text.pth": "no .pth file",
        "cut.pth": "broken, or no .pth file",
        "code.pth": "refused, it holds more than tensors",
    }
    named = {name: (folder / name, words) for name, words in told.items()}
    finite = "'tail.weight' holds values that are not finite"
    return named | {
        "NaN": (checkpoint(folder / "nan.safetensors", value=torch.nan), finite),
        "inf": (checkpoint(folder / "inf.safetensors", value=-torch.inf), finite),
        "scale": (checkpoint(folder / "x4.safetensors", scale=4), "no_attention ×4, not no_attention ×2"),
        "model": (checkpoint(folder / "nlsn.safetensors", model="nlsn"), "nlsn ×2, not no_attention ×2"),
    }


def test_weights_that_cannot_be_used_are_named(srlab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PHOTO.save(tmp_path / "photo.png")
    for path, told in bad_weights(tmp_path).values():
        done = srlab(
            *("evaluate", "--model", "no_attention", "--weights", path, "--scale", 2),
            *("--data", tmp_path, "--json", tmp_path / "out.json"),
        )
        assert_one_sentence(done, f"weights {path}", told)
    assert not (tmp_path / "out.json").exists() and not (tmp_path / "ran").exists()


def test_the_weights_of_those_tests_are_good_otherwise(srlab, tmp_path):
    PHOTO.save(tmp_path / "photo.png")
    weights = checkpoint(tmp_path / "weights.safetensors")
    done = srlab(*("evaluate", "--model", "no_attention", "--weights", weights, "--scale", 2, "--data", tmp_path))
    assert done.status == 0, done.errors


def test_a_place_that_cannot_be_written_is_named(srlab, tmp_path):
    PHOTO.save(tmp_path / "photo.png")
    (tmp_path / "folder").mkdir()
    for path, told in {
        tmp_path / "photo.png" / "out.json": f"{tmp_path / 'photo.png'}: cannot be written to (not a folder)",
        tmp_path / "folder": f"{tmp_path / 'folder'}: cannot be written (not a regular file)",
        Path("/dev/null"): "/dev/null: cannot be written (not a regular file)",
        Path("/proc/nosuch/out.json"): "/proc/nosuch: cannot be written to (No such file or directory)",
        tmp_path / ("n" * 300): f"{tmp_path / ('n' * 300)}: cannot be written (File name too long)",
    }.items():
        done = srlab("evaluate", "--data", tmp_path, "--json", path)
        assert_one_sentence(done, told)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "photo.png"]
    assert not Path("/dev/null").is_file()


@contextlib.contextmanager
def files_at_most(size: int):
    """As on a full disk, writing fails within a file: at so many bytes, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "new" * 10_000),
        *(lambda path, kind=kind: write_picture(path, Picture(NOISE, kind=kind)) for kind in KINDS),
        lambda path: write_picture(path, Picture(NOISE.to(torch.uint16), kind="PNG")),
        lambda path: save_tensors(path, {"a": torch.ones(10_000)}, {}),
    ],
    ids=["text", *KINDS, "PNG of 16 bits", "weights"],
)
def test_on_a_full_disk_the_old_file_remains_and_nothing_else(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")
    with files_at_most(1000), pytest.raises(InputError, match=r"file: cannot be written \(.*File too large"):
        write(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write(path)
    assert path.stat().st_size > 1000 and list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_an_evaluation_ends_in_a_sentence(srlab, tmp_path):
    for number in range(12):
        PHOTO.save(tmp_path / f"{number}.bmp")
    with files_at_most(1000):
        done = srlab("evaluate", "--data", tmp_path, "--json", tmp_path / "out.json")
    assert_one_sentence(done, "out.json: cannot be written (File too large)")
    assert "psnr_y" in done.output  # an hour's numbers are not lost with the file
    assert len(list(tmp_path.iterdir())) == 12


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def python(*arguments, **options) -> subprocess.Popen:
    """A process of its own, with Ctrl-C as a terminal's has it."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def test_ctrl_c_is_a_sentence_and_status_130(tmp_path):
    for number in range(40):
        PHOTO.resize((300, 300)).save(tmp_path / f"{number}.bmp")
    arguments = ["evaluate", "--data", tmp_path, "--json", tmp_path / "out.json"]
    process = python("-m", "srlab", *arguments, stdout=subprocess.PIPE)
    seen = ""
    while not re.search(r"[1-9]/40", seen):  # the bar, once an image is measured
        seen += (got := process.stderr.read(1))
        assert got, seen
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("srlab: interrupted; ") and "Traceback" not in errors
    assert output == "" and len(list(tmp_path.iterdir())) == 40


@pytest.mark.parametrize("handled_by_typer", [True, False])
def test_ctrl_c_anywhere_in_the_command_line_is_a_sentence(srlab, monkeypatch, handled_by_typer):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    if handled_by_typer:
        monkeypatch.setattr("srlab.models.check_scale", interrupted)
    else:
        monkeypatch.setattr(cli, "app", interrupted)
    done = srlab("evaluate")
    assert done.status == 130 and done.errors.startswith("srlab: interrupted; ")
    assert done.errors.count("\n") == 1


def ran_out(kind: str):
    if kind == "Python":
        raise MemoryError
    if kind == "GPU":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 TiB")
    return torch.empty(2**60, dtype=torch.uint8)  # a CPU


@pytest.mark.parametrize("kind", ["Python", "GPU", "CPU"])
def test_too_little_memory_is_a_sentence_that_says_what_helps(srlab, monkeypatch, kind):
    monkeypatch.setattr("srlab.models.check_scale", lambda scale: ran_out(kind))
    assert_one_sentence(srlab("evaluate"), "out of memory; tiles (--tile), a smaller image")


def test_a_fault_of_srlab_keeps_its_traceback(monkeypatch):
    def fault(scale):
        raise RuntimeError("a fault")

    monkeypatch.setattr("srlab.models.check_scale", fault)
    monkeypatch.setattr(sys, "argv", ["srlab", "evaluate"])
    with pytest.raises(RuntimeError, match="a fault"):
        cli.main()


@pytest.mark.parametrize("arguments", [["where", "quick"], ["--help"]])
def test_a_closed_pipe_is_no_fault(arguments):
    """As in `srlab models | head -1`, where head may have left before anything is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    process = python("-m", "srlab", *arguments, stdout=writer, cwd=ROOT)
    os.close(writer)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors == ""
