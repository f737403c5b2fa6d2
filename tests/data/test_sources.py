import hashlib
import os
import shutil
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import torch
from images import picture, write_png

from srlab.data import photographs
from srlab.data.images import read_image
from srlab.data.sources import ImageRef, load, open_data
from srlab.errors import InputError
from srlab.files import checksum


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("SRLAB_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    names = ["train/b", "train/Photos/a", "train/.hidden/x"]
    names += [f"benchmark/{name}" for name in ("Set5/HR/img_1", "Own/HR/img_2", "Own/HR/img_1", "Own/LR/img_1")]
    for number, name in enumerate(names):
        write_png(folder / f"{name}.png", picture(30 + number, 40, number))
    return folder


def test_embedded_photographs_are_disjoint_and_crops_fit_every_scale_and_do_not_overlap():
    for name in photographs.TRAIN:  # an HR patch of 192 pixels fits all of them
        assert min(read_image(photographs.FOLDER / name).shape[1:]) >= 192
    cropped = [file for file, _ in photographs.CROPS.values()]
    train, held_out = ({Path(file).stem.split("_")[0] for file in files} for files in (photographs.TRAIN, cropped))
    assert not train & held_out
    for file, (top, left, height, width) in photographs.CROPS.values():
        _, image_height, image_width = read_image(photographs.FOLDER / file).shape
        assert top >= 0 and top + height <= image_height and left >= 0 and left + width <= image_width
        assert height % 24 == 0 and width % 24 == 0 and max(height, width) <= 256
    for (file, (y, x, h, w)), (other, (v, u, k, m)) in combinations(photographs.CROPS.values(), 2):
        assert file != other or y + h <= v or v + k <= y or x + w <= u or u + m <= x


def test_embedded_data_is_the_default():
    source = open_data()
    assert source.name == "embedded" and [ref.name for ref in source.train[:2]] == ["astronaut", "chelsea"]
    (refs,) = source.benchmarks.values()
    [ref] = [ref for ref in refs if ref.name == "camera_skyline"]
    assert torch.equal(ref.read(), read_image(photographs.FOLDER / "camera.png")[:, 24:264, 232:472])
    assert [image.shape[1:] for image in load(refs, 168)].count((240, 240)) == 6


def test_a_folder_is_listed_in_order(folder):
    source = open_data(folder)
    assert source.name == "mine"
    assert [ref.name for ref in source.train] == ["b", "Photos/a"]
    named = {name: [ref.name for ref in refs] for name, refs in source.benchmarks.items()}
    assert named == {"Own": ["img_1", "img_2"], "Set5": ["img_1"]}
    assert torch.equal(source.train[1].read(), picture(31, 40, 1))
    assert [image.shape[1] for image in load(source.train, 30)] == [30, 31]


def test_the_environment_names_the_folder(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("SRLAB_DATA", str(folder))
    assert open_data().name == "mine"
    monkeypatch.setenv("SRLAB_DATA", "")
    assert open_data().name == "embedded"
    monkeypatch.setenv("SRLAB_DATA", str(tmp_path / "absent"))
    assert open_data(folder).name == "mine"
    with pytest.raises(InputError, match="absent: "):
        open_data()


def test_the_fingerprint_follows_the_data_and_not_the_place(folder, tmp_path):
    before = open_data(folder).fingerprint
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere" / "renamed")
    assert open_data(elsewhere).fingerprint == before and len(before) == 12
    seen = {before, open_data().fingerprint}
    photo = elsewhere / "train" / "b.png"
    for change in (
        lambda: photo.write_bytes(photo.read_bytes() + b"\0"),
        lambda: photo.write_bytes(photo.read_bytes()[:-1] + b"\1"),  # of the same size
        lambda: photo.rename(photo.with_name("c.png")),
        lambda: (elsewhere / "train" / "c.png").rename(elsewhere / "train" / "Photos" / "c.png"),
        lambda: shutil.rmtree(elsewhere / "benchmark" / "Own"),
        lambda: (elsewhere / "benchmark" / "Set5").rename(elsewhere / "benchmark" / "Set6"),
    ):
        change()
        seen.add(open_data(elsewhere).fingerprint)
    assert len(seen) == 8
    source = open_data(elsewhere)
    source.train[0].path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        _ = source.fingerprint


def test_a_file_is_read_once_and_anew_when_it_changes(tmp_path, monkeypatch):
    file, read = tmp_path / "a", []
    file.write_bytes(b"1")
    monkeypatch.setattr(
        "srlab.files.file_digest", lambda opened, name: read.append(1) or hashlib.new(name, opened.read())
    )
    assert checksum(file) == checksum(file) == hashlib.sha256(b"1").hexdigest() and len(read) == 1
    file.write_bytes(b"2")
    os.utime(file, ns=(0, 0))  # clocks are coarse
    assert checksum(file) == hashlib.sha256(b"2").hexdigest() and len(read) == 2


def test_select_takes_the_named_benchmarks_or_all_and_leaves_training_images_out(folder):
    source = open_data(folder)
    assert list(source.select(["Set5", "Urban100"]).benchmarks) == ["Set5"]
    assert list(source.select(["Set5", "Own"]).benchmarks) == ["Set5", "Own"]
    assert source.select(["Urban100"]) == source.select(None) == source
    part = source.select(leave_out=["Photos/a", "absent"])
    assert [ref.name for ref in part.train] == ["b"] and part.benchmarks == source.benchmarks
    assert part.fingerprint != source.fingerprint == source.select(leave_out=["absent"]).fingerprint
    shutil.rmtree(folder / "benchmark" / "Own")
    assert open_data(folder).fingerprint == source.select(["Set5"]).fingerprint  # Own does not count


def test_select_takes_images_evenly_and_the_middle_of_each(tmp_path):
    for number in range(7):
        write_png(tmp_path / f"benchmark/Own/HR/{number}.png", picture(20 + number, 30, number))
    source = open_data(tmp_path)
    part = source.select(images=3, side=24)
    refs = part.benchmarks["Own"]
    assert [ref.name for ref in refs] == ["0", "2", "4"]
    assert [tuple(ref.read().shape) for ref in refs] == [(3, 20, 24), (3, 22, 24), (3, 24, 24)]
    assert torch.equal(refs[1].read(), picture(22, 30, 2)[:, :, 3:27])
    assert source.select(images=7) == source.select(images=8) == source
    assert len({source.fingerprint, part.fingerprint, source.select(images=3).fingerprint}) == 3


@pytest.mark.parametrize("side", [1, 4, 5, 9, 100])
def test_the_middle_is_in_the_middle_and_of_a_crop_in_its_middle(tmp_path, side):
    write_png(tmp_path / "a.png", picture(12, 17))
    whole = ImageRef("a", tmp_path / "a.png")
    for ref in (whole, ImageRef("a", tmp_path / "a.png", (2, 3, 8, 9))):
        image, middle = ref.read(), ref.middle(side).read()
        _, height, width = middle.shape
        assert (height, width) == (min(side, image.shape[1]), min(side, image.shape[2]))
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        assert torch.equal(middle, image[:, top : top + height, left : left + width])


def test_fewer_photographs_are_part_of_more():
    source = open_data()
    sets = [source.fewer(number).train for number in (1, 3, 5, len(source.train))]
    assert [len(refs) for refs in sets] == [1, 3, 5, len(source.train)]
    for small, large in pairwise(sets):
        assert list(small) == [ref for ref in large if ref in small]  # in the order of all
    assert source.fewer(None) is source and sets[-1] == source.train
    assert source.fewer(3) == source.fewer(3) and source.fewer(3).benchmarks == source.benchmarks
    with pytest.raises(InputError, match="99"):
        source.fewer(99)


@pytest.mark.parametrize(("lacking", "found"), [("train", (0, 2)), ("benchmark", (2, 0))])
def test_only_benchmarks_or_only_training_images_are_enough(folder, lacking, found):
    shutil.rmtree(folder / lacking)
    assert (len(open_data(folder).train), len(open_data(folder).benchmarks)) == found


def test_folders_without_images_are_refused(folder):
    with pytest.raises(InputError, match="mine/train"):
        open_data(folder / "train")
    for empty in (folder / "benchmark" / "Empty", folder / "benchmark" / "Empty" / "HR"):
        empty.mkdir()
        with pytest.raises(InputError, match="benchmark/Empty/HR"):
            open_data(folder)


def test_load_tells_of_every_bad_file_at_once(tmp_path):
    for name, size in {"good": (20, 20), "low": (9, 20), "narrow": (20, 9)}.items():
        write_png(tmp_path / f"{name}.png", picture(*size))
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:300])
    refs = [ImageRef(path.stem, path) for path in sorted(tmp_path.iterdir())]
    with pytest.raises(InputError) as caught:
        load(refs, min_size=10)
    _, *lines = str(caught.value).split("\n")
    assert [Path(line.split(":")[0]).name for line in lines] == ["cut.png", "empty.png", "low.png", "narrow.png"]
    assert torch.equal(load([refs[2]], min_size=20)[0], picture(20, 20))
