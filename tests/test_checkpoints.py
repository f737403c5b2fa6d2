"""Weights in and out: what fits comes back bit for bit, what does not is refused in a sentence."""

import pickle

import pytest
import torch

from srlab.checkpoints import from_released, load_network, load_tensors, read_pth, save_network, save_tensors
from srlab.errors import InputError
from srlab.models import build

OPTIONS = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}


def test_a_saved_network_comes_back_bit_for_bit(tmp_path):
    network = build("lcoan", 3, seed=5, **OPTIONS).eval()
    save_network(tmp_path / "a" / "weights.safetensors", network, "lcoan", 3, OPTIONS)
    loaded, held = load_network(tmp_path / "a" / "weights.safetensors")
    assert held == {"model": "lcoan", "scale": 3, "config": OPTIONS}
    assert not loaded.training
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(network(x), loaded(x))
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["weights.safetensors"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"a": torch.ones(3)}, {})
    with pytest.raises(TypeError):
        save_tensors(path, {"a": torch.zeros(3)}, {"unwritable": object()})
    assert torch.equal(load_tensors(path)[0]["a"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, build("lcoan", 2, **OPTIONS), "lspn", 2, OPTIONS)
    with pytest.raises(InputError, match=r"does not fit Trunk: missing: groups\.1\.attention\.match"):
        load_network(path)
    save_network(path, build("lcoan", 2, **OPTIONS), "lcoan", 2, {**OPTIONS, "clusters": 5})
    with pytest.raises(InputError, match=r"of another shape: .*means \(1, 4, 8\) for \(1, 5, 8\)"):
        load_network(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_what_is_no_safetensors_file_is_named(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.safetensors: not a safetensors file"):
        load_network(path)


def test_a_missing_file_is_named(tmp_path):
    for read in (load_network, read_pth):
        with pytest.raises(InputError, match="there is no such file"):
            read(tmp_path / "absent.pth")


@pytest.mark.parametrize("wrap", ["params_ema", "params", None])
def test_released_weights_are_found_where_the_file_wraps_them(golden, tmp_path, wrap):
    case = golden("nla_module")
    path = tmp_path / "released.pth"
    torch.save({wrap: case.weights} if wrap else case.weights, path)
    layer = from_released("nla", read_pth(path), **case.config)
    assert torch.equal(layer.theta[0].weight, case.weights["conv_match1.0.weight"])


def test_released_weights_that_do_not_fit_are_refused(golden):
    case = golden("nla_module")
    with pytest.raises(InputError, match=r"missing: theta\.0\.weight"):
        from_released(
            "nla", {k: v for k, v in case.weights.items() if k != "conv_match1.0.weight"}, **case.config
        )
    with pytest.raises(InputError, match="unexpected: extra"):
        from_released("nla", {**case.weights, "extra": torch.ones(1)}, **case.config)
    with pytest.raises(InputError, match="of another shape: theta"):
        from_released("nla", case.weights, **{**case.config, "reduction": 4})
    with pytest.raises(InputError, match="config lacks 'channels'"):
        from_released("nla", case.weights)
    with pytest.raises(InputError, match="'nlaa' is unknown; there are: lcoan"):
        from_released("nlaa", case.weights)


class Malicious:
    def __reduce__(self):
        return (exec, ("open('ran', 'w').close()",))


def test_a_pickle_that_tries_to_run_code_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"params": Malicious()}, "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malicious()))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(InputError, match=name):
            read_pth(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_what_is_no_pth_file_is_named(tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.pth"):
        read_pth(path)
