"""Everything that goes wrong at the command line: one sentence, an exit status, nothing half-written."""

import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kept import ROOT
from PIL import Image

from srlab.cli import _interrupt, main
from srlab.errors import InputError
from srlab.files import replacing, write_text
from srlab.models import build
from srlab.study.records import pack
from srlab.upscale import Picture, write_picture
from srlab.weights.checkpoints import save_network, save_tensors

RNG = np.random.default_rng(0)
NOISE = torch.from_numpy(RNG.integers(0, 256, (3, 200, 200), dtype=np.uint8))
KINDS = ("PNG", "JPEG", "WEBP", "TIFF")
PHOTO = Image.fromarray(RNG.integers(0, 256, (40, 44, 3), dtype=np.uint8))
OPTIONS = {"channels": 8, "groups": 1, "blocks": 1}


def assert_one_sentence(done, named: object) -> None:
    """Status 2, and after the progress bars one line for people, which names what is the matter."""
    assert done.status == 2
    assert "Traceback" not in done.errors and done.errors.count("srlab: ") == 1
    sentence = done.errors[done.errors.index("srlab: ") :]
    assert sentence.count("\n") == 1 and sentence.endswith("\n") and str(named) in sentence


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


#: tests/test_fuzz.py and tests/data/test_images.py have more, read by the function.
BAD_IMAGES = {
    "truncated": encoded(PHOTO)[:900],
    "smaller than SSIM's window": encoded(PHOTO.crop((0, 0, 12, 12))),
    "smaller than the scale": encoded(PHOTO.resize((1, 40))),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_a_bad_image_is_named_and_no_numbers_are_written(srlab, tmp_path, kind):
    folder = tmp_path / "photos" / "HR"
    folder.mkdir(parents=True)
    PHOTO.save(folder / "a.png")
    (folder / "bad.png").write_bytes(BAD_IMAGES[kind])
    done = srlab("evaluate", "--data", tmp_path / "photos", "--json", tmp_path / "out.json")
    assert_one_sentence(done, "bad.png: ")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "photos"]


@pytest.mark.parametrize("fault", [None, "absent.safetensors", "cut.safetensors"])
def test_weights_that_cannot_be_used_are_named(srlab, tmp_path, fault):
    """By the command line; tests/weights/test_checkpoints.py has every fault. Without one, the file is good."""
    PHOTO.save(tmp_path / "photo.png")
    path = tmp_path / (fault or "good.safetensors")
    if fault != "absent.safetensors":
        save_network(path, build("no_attention", 2, seed=0, **OPTIONS), "no_attention", 2, OPTIONS)
    if fault == "cut.safetensors":
        path.write_bytes(path.read_bytes()[:-100])
    options = ("--model", "no_attention", "--weights", path, "--scale", 2, "--data", tmp_path)
    done = srlab("evaluate", *options, "--json", tmp_path / "out.json")
    if fault:
        assert_one_sentence(done, path)
    assert (done.status == 0) is (tmp_path / "out.json").exists() is (fault is None)


def test_a_place_that_cannot_be_written_is_named(srlab, tmp_path):
    PHOTO.save(tmp_path / "photo.png")
    (tmp_path / "folder").mkdir()
    for path, named in {
        tmp_path / "photo.png" / "out.json": tmp_path / "photo.png",
        tmp_path / "folder": tmp_path / "folder",
        Path("/dev/null"): "/dev/null",
        Path("/proc/nosuch/out.json"): "/proc/nosuch",
        tmp_path / ("n" * 300): "n" * 300,
    }.items():
        assert_one_sentence(srlab("evaluate", "--data", tmp_path, "--json", path), named)
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
)
def test_on_a_full_disk_the_old_file_remains_and_nothing_else(tmp_path, write):
    path = tmp_path / "file"
    path.write_text("old")
    with files_at_most(1000), pytest.raises(InputError, match="file"):
        write(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write(path)
    assert path.stat().st_size > 1000 and list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_packed_records_stay(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_bytes(NOISE.numpy().tobytes())
        if name == "a":
            before = pack(tmp_path).read_bytes()
    with files_at_most(1000), pytest.raises(InputError, match="runs"):
        pack(tmp_path)
    assert (tmp_path / "runs.zip").read_bytes() == before


def test_on_a_full_disk_an_evaluation_ends_in_a_sentence(srlab, tmp_path):
    for number in range(12):
        PHOTO.save(tmp_path / f"{number}.bmp")
    with files_at_most(1000):
        done = srlab("evaluate", "--data", tmp_path, "--json", tmp_path / "out.json")
    assert_one_sentence(done, "out.json")
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
    options |= {"stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "srlab", *map(str, arguments)]
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_a_sentence_and_status_130(tmp_path, sent):
    for number in range(40):
        PHOTO.resize((300, 300)).save(tmp_path / f"{number}.bmp")
    process = python("evaluate", "--data", tmp_path, "--json", tmp_path / "out.json", stdout=subprocess.PIPE)
    seen = ""
    while not re.search(r"[1-9]/40", seen):  # the bar, once an image is measured
        seen += (got := process.stderr.read(1))
        assert got, seen
    process.send_signal(sent)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("srlab: ") and "Traceback" not in errors
    assert output == "" and len(list(tmp_path.iterdir())) == 40


@pytest.mark.parametrize("handled_by_typer", [True, False])
def test_ctrl_c_anywhere_in_the_command_line_is_a_sentence(srlab, monkeypatch, handled_by_typer):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("srlab.models.check_scale" if handled_by_typer else "srlab.cli.app", interrupted)
    done = srlab("evaluate")
    assert done.status == 130 and done.errors.startswith("srlab: ") and done.errors.count("\n") == 1
    assert signal.getsignal(signal.SIGHUP) is signal.getsignal(signal.SIGTERM) is _interrupt


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), None])
def test_too_little_memory_is_a_sentence_that_says_what_helps(srlab, monkeypatch, error):
    def ran_out(scale):
        if error:
            raise error
        torch.empty(2**60, dtype=torch.uint8)  # a CPU's error

    monkeypatch.setattr("srlab.models.check_scale", ran_out)
    assert_one_sentence(srlab("evaluate"), "--tile")


def test_a_fault_of_srlab_keeps_its_traceback(monkeypatch):
    def fault(scale):
        raise RuntimeError("a fault")

    monkeypatch.setattr("srlab.models.check_scale", fault)
    monkeypatch.setattr(sys, "argv", ["srlab", "evaluate"])
    with pytest.raises(RuntimeError, match="a fault"):
        main()


@pytest.mark.parametrize("arguments", [["weights", "list"], ["--help"]])
def test_a_closed_pipe_is_no_fault(arguments):
    """As in `srlab models | head -1`, where head may have left before anything is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    process = python(*arguments, stdout=writer, cwd=ROOT)
    os.close(writer)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors == ""
