"""Training images and their LR images, kept decoded."""

import multiprocessing
from dataclasses import replace

import pytest
import torch
from images import write_png

from srlab.data import cache
from srlab.data.cache import load_pairs
from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SRLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def refs(tmp_path):
    images = torch.randint(256, (3, 3, 21, 26), dtype=torch.uint8)
    for i, image in enumerate(images):
        write_png(tmp_path / f"{i}.png", image)
    return [ImageRef(str(i), tmp_path / f"{i}.png") for i in range(3)]


def equal(found, refs, scale=2):
    hr, lr = found
    wanted = [modcrop(ref.read(), scale) for ref in refs]
    return all(map(torch.equal, hr, wanted)) and all(
        torch.equal(small, downscale(image, scale)) for small, image in zip(lr, wanted, strict=True)
    )


def test_what_is_read_from_the_cache_is_what_was_made_and_it_may_be_broken_or_deleted(refs, folder, monkeypatch):
    assert equal(load_pairs(refs, 2), refs)
    [file] = folder.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "load", None)  # decoding again would fail
        assert equal(load_pairs(refs, 2), refs)
    for spoil in (lambda: file.write_bytes(b"broken"), file.unlink):
        spoil()
        assert equal(load_pairs(refs, 2), refs)


@pytest.mark.parametrize("change", ["content", "crop", "scale", "order"])
def test_what_differs_is_decoded_anew(refs, folder, change):
    load_pairs(refs, 2)
    scale = 3 if change == "scale" else 2
    if change == "content":  # under the same name, of the same size
        write_png(refs[0].path, 255 - refs[0].read())
    elif change == "crop":
        refs[0] = replace(refs[0], crop=(1, 2, 12, 14))
    elif change == "order":
        refs.reverse()
    assert equal(load_pairs(refs, scale), refs, scale)
    assert len(list(folder.iterdir())) == 2


def test_bad_files_are_told_with_and_without_a_cache(refs):
    load_pairs(refs, 2)
    with pytest.raises(InputError, match=r"0\.png(.|\n)*2\.png"):
        load_pairs(refs, 2, min_size=100)
    refs[1].path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1\.png"):
        load_pairs(refs, 2)


def test_without_a_place_to_keep_them_they_are_made(refs, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SRLAB_CACHE", str(tmp_path / "file"))
    assert equal(load_pairs(refs, 2), refs)


def test_two_processes_may_make_it_at_once(refs, folder):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=load_pairs, args=(refs, 2)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [file.name[:9] for file in folder.iterdir()] == ["images-x2"]
    assert equal(load_pairs(refs, 2), refs)
