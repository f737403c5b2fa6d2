"""What files of weights are: by checksum, by their names and shapes, or through spandrel."""

import sys
from dataclasses import replace

import pytest
import torch

from srlab.errors import InputError
from srlab.files import checksum
from srlab.models import build
from srlab.weights import catalogue
from srlab.weights.checkpoints import save_network
from srlab.weights.identify import examine, find_weights, identify

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


def test_a_file_of_this_project_says_what_it_is(own):
    assert identify(own) == ("elan_light", 2)
    found = examine(own)
    assert (found.model, found.scale, found.checkpoint, found.fault) == ("elan_light", 2, None, "")
    assert found.sha256 == checksum(own)


def test_a_released_file_is_known_by_its_names_and_shapes(released):
    assert identify(released) == ("elan_light", 3)


def test_a_catalogued_file_is_known_by_its_checksum_whatever_it_is_called(released, monkeypatch):
    entry = replace(catalogue.CATALOGUE["elan_light_x4.pth"], file="x.pth", scale=3, sha256=checksum(released))
    monkeypatch.setitem(catalogue.CATALOGUE, "x.pth", entry)
    found = examine(released)
    assert found.checkpoint == entry and found.fault == ""
    assert (found.model, found.scale) == ("elan_light", 3)


def test_another_content_under_a_catalogued_name_is_a_fault(released):
    path = released.rename(released.with_name("elan_light_x4.pth"))
    found = examine(path)
    assert (found.model, found.scale, found.checkpoint) == ("elan_light", 3, None)
    assert found.fault.startswith("not the catalogued elan_light_x4.pth")


def test_a_file_that_is_cut_off_is_a_fault(released):
    released.write_bytes(released.read_bytes()[:-1000])
    found = examine(released)
    assert found.model is None and "broken" in found.fault


def test_numbers_that_are_not_finite_are_a_fault(released):
    weights = torch.load(released, weights_only=True)
    weights["params"]["module.head.0.bias"][0] = torch.nan
    torch.save(weights, released)
    assert "'module.head.0.bias' holds values that are not finite" in examine(released).fault


def test_of_others_spandrel_is_asked(tmp_path, monkeypatch):
    torch.save({"odd": torch.ones(3)}, tmp_path / "odd.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert "pip install 'srlab[zoo]'" in examine(tmp_path / "odd.pth").fault


def test_spandrel_names_what_it_knows(tmp_path):
    pytest.importorskip("spandrel", reason="needs the extra srlab[zoo]")
    from spandrel.architectures.CRAFT import CRAFT

    torch.save({"params": CRAFT(upscale=2).state_dict()}, tmp_path / "craft.pth")
    assert identify(tmp_path / "craft.pth") == ("craft", 2)


def test_a_folder_is_gone_through_by_name(own, released):
    (own.parent / "README.md").write_text("no weights")
    assert [found.path.name for found in find_weights(own.parent)] == ["own.safetensors", "theirs.pth"]


def test_a_folder_that_holds_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="no files of weights"):
        find_weights(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_weights(tmp_path / "none")


def test_the_catalogue_is_complete():
    for name, each in catalogue.CATALOGUE.items():
        assert name == each.file and each.file.startswith(f"{each.model}_x{each.scale}.")
        assert each.page.startswith("https://") and each.licence and each.trained
        assert len(each.sha256) == 64 and set(each.sha256) <= set("0123456789abcdef")
    assert len({each.sha256 for each in catalogue.CATALOGUE.values()}) == len(catalogue.CATALOGUE)


def test_the_files_at_hand_are_those_of_the_catalogue(shared_data):
    folder = shared_data.parent / "weights"
    if not folder.is_dir():
        pytest.skip(f"needs the released weights at {folder}")
    for found in find_weights(folder):
        assert found.checkpoint and found.checkpoint.file == found.path.name
