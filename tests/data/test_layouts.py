"""Benchmarks in the layouts of this project, BasicSR, EDSR and DIV2K, and how a user names them."""

import shutil

import pytest
import torch
from images import write_png

from srlab.data.layouts import find_benchmarks, open_benchmark
from srlab.data.sources import open_data
from srlab.errors import InputError

LAYOUTS = {
    "EDSR": ("HR", "LR_bicubic/X4", "x4"),
    "BasicSR": ("GTmod12", "LRbicx4", ""),
    "DIV2K": ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X4", "x4"),
    "mixed": ("HR", "LRbicx4", ""),
    "beside": ("", "LR_bicubic/X4", "x4"),
}


def write(path, value=0, size=8):
    write_png(path, torch.full((3, size, size), value, dtype=torch.uint8))


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    """The folder of a benchmark of two images, its HR folder, its LR folder ×4 and the suffix of LR names."""
    hr, lr, suffix = LAYOUTS[request.param]
    folder = tmp_path / "Set2"
    for value, name in ((1, "baby"), (2, "bird")):
        write(folder / hr / f"{name}.png", value)
        write(folder / lr / f"{name}{suffix}.png", 10 * value, 2)
    return folder, folder / hr, folder / lr, suffix


@pytest.fixture
def root(tmp_path, monkeypatch):
    """What SRLAB_DATA names: two benchmarks in benchmark/ and one directly."""
    root = tmp_path / "root"
    for name in ("train/a.png", "benchmark/Set5/HR/a.png", "benchmark/Set14/HR/b.png", "Own/HR/c.png"):
        write(root / name)
    monkeypatch.setenv("SRLAB_DATA", str(root))
    return root


def names(data):
    return [benchmark.name for benchmark in find_benchmarks(data)]


def test_hr_and_lr_are_paired_in_every_layout(tmp_path, layout):
    folder, *_ = layout
    benchmark = open_benchmark(folder)
    assert (benchmark.name, [ref.name for ref in benchmark.hr]) == ("Set2", ["baby", "bird"])
    assert [int(ref.read()[0, 0, 0]) for ref in benchmark.hr] == [1, 2]
    low = benchmark.lr(4)
    assert [ref.name for ref in low] == ["baby", "bird"]
    assert [(int(ref.read()[0, 0, 0]), ref.read().shape[1]) for ref in low] == [(10, 2), (20, 2)]
    shutil.copytree(folder, tmp_path / "data" / "benchmark" / "Set2")
    (refs,) = open_data(tmp_path / "data").benchmarks.values()
    assert [int(ref.read()[0, 0, 0]) for ref in refs] == [1, 2]


def test_lr_without_a_pair_is_named(layout):
    folder, hr, lr, suffix = layout
    benchmark = open_benchmark(folder)
    with pytest.raises(InputError, match="×2"):
        benchmark.lr(2)
    (lr / f"bird{suffix}.png").rename(lr / "cat.png")
    with pytest.raises(InputError, match=r"bird\.png"):
        benchmark.lr(4)
    (hr / "bird.png").unlink()
    with pytest.raises(InputError, match=r"cat\.png"):
        open_benchmark(folder).lr(4)


def test_the_hr_folder_stands_for_its_benchmark_and_a_link_keeps_its_own_name(tmp_path):
    write(tmp_path / "Set1" / "HR" / "a.png", 1)
    write(tmp_path / "Set1" / "LRbicx2" / "a.png", 2)
    benchmark = open_benchmark(tmp_path / "Set1" / "HR")
    assert benchmark == open_benchmark(tmp_path / "Set1")
    assert int(benchmark.lr(2)[0].read()[0, 0, 0]) == 2
    (tmp_path / "link").symlink_to(tmp_path / "Set1")
    assert open_benchmark(tmp_path / "link").name == "link"


def test_folders_without_images_are_refused(tmp_path):
    (tmp_path / "bare" / "GTmod12").mkdir(parents=True)
    for folder, named in ((tmp_path / "absent", "absent"), (tmp_path, "HR"), (tmp_path / "bare", "GTmod12")):
        with pytest.raises(InputError, match=named):
            open_benchmark(folder)


def test_names_are_looked_up_in_srlab_data(root):
    assert names(None) == ["Set14", "Set5"]
    assert names("Set5") == names("sEt5") == ["Set5"]
    assert names("own") == ["Own"] and names("Held-Out") == ["held-out"]
    with pytest.raises(InputError, match=r"Urban100.*Set14"):
        find_benchmarks("Urban100")


def test_folders_are_benchmarks_or_hold_them(root, tmp_path, monkeypatch):
    assert names(str(root)) == ["Set14", "Set5"]
    assert names(str(root / "train")) == ["train"]
    write(tmp_path / "here" / "Own" / "d.png")
    monkeypatch.chdir(tmp_path / "here")
    assert find_benchmarks("Own")[0].folder == root / "Own"  # a name comes before a folder
    assert find_benchmarks("./Own")[0].folder == tmp_path / "here" / "Own"


def test_without_srlab_data_the_embedded_benchmark_is_used(monkeypatch):
    monkeypatch.delenv("SRLAB_DATA", raising=False)
    (benchmark,) = find_benchmarks()
    assert benchmark.hr == open_data().benchmarks["held-out"]
    with pytest.raises(InputError, match="×4"):
        benchmark.lr(4)
    with pytest.raises(InputError, match=r"Set5.*SRLAB_DATA"):
        find_benchmarks("Set5")


def test_data_without_benchmarks_is_refused(root, monkeypatch):
    shutil.rmtree(root / "benchmark")
    with pytest.raises(InputError, match="root: "):
        find_benchmarks()
    monkeypatch.setenv("SRLAB_DATA", str(root / "absent"))
    with pytest.raises(InputError, match="absent: "):
        find_benchmarks()
    assert names(str(root / "Own")) == ["Own"]  # and SRLAB_DATA need not exist for that
