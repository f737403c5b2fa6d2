"""What `srlab data check` finds in folders with known faults, and in the papers' own data."""

import pytest
from images import picture, write_png
from PIL import Image

from srlab.data import photographs
from srlab.data.check import check
from srlab.data.images import read_image
from srlab.errors import InputError


def photograph(name="astronaut.png"):
    image = read_image(photographs.FOLDER / name)
    return Image.fromarray(image.permute(1, 2, 0).numpy())


@pytest.fixture
def root(tmp_path):
    """Two different photographs, one to train on and one to test on."""
    for folder, name in (("train/Own", "astronaut.png"), ("benchmark/Mine/HR", "chelsea.png")):
        (tmp_path / folder).mkdir(parents=True)
        photograph(name).save(tmp_path / folder / name)
    return tmp_path


def test_sound_data_has_no_errors(root):
    report = check(root)
    assert report.errors == []
    groups = [(group.name, group.count, group.expected) for group in report.groups]
    assert groups == [("train/Own", 1, None), ("benchmark/Mine", 1, None)]
    assert [(image.width, image.height) for image in report.groups[1].images] == [(451, 300)]
    assert len(report.notes) == 3  # at scales 2, 3 and 4 its sides leave a remainder


COPIES = {
    "JPEG of quality 10": lambda image, path: image.save(path.with_suffix(".jpg"), quality=10),
    "half the size": lambda image, path: image.resize((225, 150)).save(path),
    "twice the size": lambda image, path: image.resize((902, 600)).save(path),
    "cropped to a multiple of 12": lambda image, path: image.crop((0, 0, 444, 300)).save(path),
    "grey": lambda image, path: image.convert("L").save(path),
    "brighter": lambda image, path: image.point(lambda value: min(255, 1.2 * value + 10)).save(path),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_test_image_in_the_training_data_is_found(root, copy):
    COPIES[copy](photograph("chelsea.png"), root / "train" / "Own" / "copy.png")
    (error,) = check(root).errors
    assert all(named in error for named in ("train/Own", "'copy'", "'chelsea'", "benchmark/Mine"))


def test_a_copy_in_two_benchmarks_is_a_note(root):
    (root / "benchmark" / "Other").mkdir()
    photograph("chelsea.png").save(root / "benchmark" / "Other" / "cat.png")
    report = check(root)
    assert report.errors == [] and sum("'cat'" in note and "'chelsea'" in note for note in report.notes) == 1


def test_counts_are_those_of_published_data_sets(tmp_path):
    for number in range(6):
        write_png(tmp_path / "benchmark" / "set5" / "HR" / f"{number}.png", picture(24, 24, number))
        write_png(tmp_path / "train" / "DIV2K" / f"{number}.png", picture(24, 24, 10 + number))
    (tmp_path / "train" / "General100" / "General-100").mkdir(parents=True)
    report = check(tmp_path)
    folders = ["train/DIV2K", f"{tmp_path}/train/General100", "benchmark/set5"]
    assert [error.split(":")[0] for error in report.errors] == folders
    assert [group.expected for group in report.groups] == [800, 5]
    for folder in ("benchmark/set5", "train/DIV2K"):
        assert len(check(tmp_path / folder).errors) == 1
    (tmp_path / "benchmark" / "set5" / "HR" / "5.png").unlink()
    report = check(tmp_path / "benchmark" / "set5" / "HR")
    assert (report.errors, report.notes) == ([], [])


def test_unreadable_files_are_all_named(root):
    hr = root / "benchmark" / "Mine" / "HR"
    (hr / "empty.png").touch()
    (hr / "text.jpg").write_text("no image")
    (hr / "cut.png").write_bytes((hr / "chelsea.png").read_bytes()[:5000])
    (root / "benchmark" / "Bare").mkdir()
    report = check(root)
    bad = ["Bare/HR", "Mine/HR/cut.png", "Mine/HR/empty.png", "Mine/HR/text.jpg"]
    assert [error.split(":")[0] for error in report.errors] == [f"{root}/benchmark/{name}" for name in bad]
    assert report.groups[1].count == 4 and [image.name for image in report.groups[1].images] == ["chelsea"]


def test_lr_files_must_match_their_hr_images(tmp_path):
    folder = tmp_path / "Mine"
    write_png(folder / "HR" / "a.png", picture(48, 48))
    write_png(folder / "HR" / "b.png", picture(50, 51, 1))
    write_png(folder / "LR_bicubic" / "X4" / "ax4.png", picture(12, 12))
    write_png(folder / "LR_bicubic" / "X4" / "bx4.png", picture(12, 12))  # HR // 4, as EDSR ships
    write_png(folder / "LR_bicubic" / "X2" / "ax2.png", picture(24, 24))
    (error,) = check(folder).errors
    assert "b.png" in error
    wrong = folder / "LR_bicubic" / "X2" / "bx2.png"
    for make in (lambda: write_png(wrong, picture(26, 25)), lambda: wrong.write_bytes(b"")):
        make()
        (error,) = check(folder).errors
        assert error.startswith(f"{wrong}: ")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "with train" / "train").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "absent", "with train"):
        with pytest.raises(InputError, match=name):
            check(tmp_path / name)


def test_the_command_prints_a_report_and_its_status_follows_the_errors(root, srlab):
    done = srlab("data", "check", root)
    assert done.status == 0
    assert ["benchmark/Mine", "1", "-", "451×300", "451×300"] in [line.split() for line in done.output.splitlines()]
    (root / "train" / "Own" / "empty.png").touch()
    done = srlab("data", "check", root)
    assert done.status == 1 and f"{root}/train/Own/empty.png" in done.output
    assert srlab("data", "check", root / "absent").status == 2


@pytest.mark.slow
def test_the_papers_data(shared_data):
    """One image of Set5 is in BSDS400, and one in Set14; B100 and Urban100 share none with BSDS400."""
    report = check(shared_data)
    (error,) = report.errors
    assert "'302003'" in error and "'img_005' of benchmark/Set5" in error
    (note,) = (note for note in report.notes if " bits differ" in note)
    assert "benchmark/Set14: 'img_006'" in note and "'img_004' of benchmark/Set5" in note
    counts = {"train/BSDS400": None, "benchmark/B100": 100, "benchmark/Set14": 14, "benchmark/Set5": 5}
    assert {group.name: group.expected for group in report.groups} == {**counts, "benchmark/Urban100": 100}
