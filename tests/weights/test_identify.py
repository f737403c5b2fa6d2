"""Identifying files of weights: by checksum, by names and shapes, or through spandrel."""

import sys
from dataclasses import replace

import pytest
import torch

from srlab.errors import InputError
from srlab.files import checksum
from srlab.models import build
from srlab.weights import catalogue
from srlab.weights.checkpoints import save_network
from srlab.weights.identify import WeightsFile, examine, find_weights

ELAN = {"channels": 6, "layers": 2, "sides": (4, 8)}


@pytest.fixture
def own(tmp_path):
    """A file of this project: a small ELAN ×2."""
    save_network(tmp_path / "own.safetensors", build("elan_light", 2, 0, **ELAN), "elan_light", 2, ELAN)
    return tmp_path / "own.safetensors"


@pytest.fixture
def released(tmp_path):
    """A file as authors release it: ELAN-light ×3 as published, of random weights, its first layer by its old name."""
    weights = build("elan_light", 3, 0).state_dict()
    theirs = {key.replace("head.", "module.head.0."): tensor for key, tensor in weights.items()}
    torch.save({"params": theirs}, tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


def test_files_of_a_folder_are_identified_by_metadata_or_by_names_and_shapes(own, released):
    (own.parent / "README.md").write_text("no weights")
    assert find_weights(own.parent) == [
        WeightsFile(path, checksum(path), None, "elan_light", scale) for path, scale in ((own, 2), (released, 3))
    ]


def test_a_catalogued_file_is_recognised_by_its_checksum_and_another_of_its_name_is_a_fault(released, monkeypatch):
    known = catalogue.CATALOGUE["elan_light_x4.pth"]
    released = released.rename(released.with_name(known.file))
    found = examine(released)
    assert (found.model, found.scale, found.checkpoint) == ("elan_light", 3, None)
    assert known.sha256[:12] in found.fault
    entry = replace(known, file="x.pth", scale=3, sha256=checksum(released))
    monkeypatch.setitem(catalogue.CATALOGUE, "x.pth", entry)
    assert examine(released) == WeightsFile(released, entry.sha256, entry, "elan_light", 3)


def test_a_broken_file_is_a_fault(released, tmp_path):
    weights = torch.load(released, weights_only=True)
    weights["params"]["module.head.0.bias"][0] = torch.nan
    torch.save(weights, tmp_path / "nan.pth")
    assert "'module.head.0.bias'" in examine(tmp_path / "nan.pth").fault
    released.write_bytes(released.read_bytes()[:-1000])
    assert examine(released).model is None and examine(released).fault


def test_unknown_weights_need_spandrel_and_a_folder_without_weights_is_refused(tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=folder.name):
            find_weights(folder)
    torch.save({"odd": torch.ones(3)}, tmp_path / "odd.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert "srlab[zoo]" in examine(tmp_path / "odd.pth").fault


def test_the_catalogue_is_complete():
    for name, each in catalogue.CATALOGUE.items():
        assert name == each.file and each.file.startswith(each.model) and f"_x{each.scale}." in each.file
        assert each.page.startswith("https://") and each.licence and each.trained
        assert len(each.sha256) == 64 and set(each.sha256) <= set("0123456789abcdef")
    assert len({each.sha256 for each in catalogue.CATALOGUE.values()}) == len(catalogue.CATALOGUE)


def test_the_catalogues_checksums_are_those_of_the_files(shared_data):
    files = {
        path: each
        for each in catalogue.CATALOGUE.values()
        if (path := shared_data.parent / "weights" / each.file).is_file()
    }
    assert files and all(checksum(path) == each.sha256 for path, each in files.items())
