"""Weights in and out: what fits comes back bit for bit, what does not is refused in a sentence."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from srlab.errors import InputError
from srlab.models import build
from srlab.weights.checkpoints import (
    from_released,
    load_network,
    load_tensors,
    open_network,
    read_pth,
    save_network,
    save_tensors,
)
from srlab.weights.released import RELEASED

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
    save_network(path, build("lcoan", 2, **OPTIONS), "trunk_lsp", 2, OPTIONS)
    with pytest.raises(InputError, match=r"does not fit Trunk: missing: groups\.1\.attention\.match"):
        load_network(path)
    save_network(path, build("lcoan", 2, **OPTIONS), "lcoan", 2, {**OPTIONS, "clusters": 5})
    with pytest.raises(InputError, match=r"of another shape: .*means \(1, 4, 8\) for \(1, 5, 8\)"):
        load_network(path)


TENSOR_PAST_THE_END = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'


@pytest.mark.parametrize(
    "content",
    {
        "empty": b"",
        "text": b"weights, I promise",
        "no header": b"\xff" * 100,
        "huge header": (2**62).to_bytes(8, "little") + b"{}",
        "truncated": len(TENSOR_PAST_THE_END).to_bytes(8, "little") + TENSOR_PAST_THE_END + bytes(8),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_safetensors_file_is_named(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content[1])
    for read in (load_network, lambda path: open_network("lcoan", path, 2)):
        with pytest.raises(InputError, match=r"bad\.safetensors: broken, or no safetensors file \(.+\)$"):
            read(path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model": None}, "metadata: key 'model' is missing"),
        ({"scale": "two"}, "metadata: 'scale' is 'two', allowed: a valid integer"),
        ({"config": [1]}, r"metadata: 'config' is \[1\], allowed: a valid dictionary"),
        ({"model": "lcoann"}, "lcoann ×2 cannot be built as its metadata says: model 'lcoann' is unknown"),
        ({"scale": 5}, "cannot be built as its metadata says: scale is 5; allowed are 2, 3, 4, 8"),
        ({"config": {"depth": 3}}, "cannot be built.*option 'depth' is unknown to model 'lcoan'"),
        ({"config": {"channels": "wide"}}, "cannot be built.*'channels' is 'wide'"),
        ({"config": {"scale": 3}}, "cannot be built"),
        ({"config": {**OPTIONS, "channels": 10**6}}, "of another shape: head"),  # not first given memory
    ],
)
def test_metadata_of_no_network_of_ours_is_told(tmp_path, changed, told):
    path = tmp_path / "weights.safetensors"
    metadata = {"model": "lcoan", "scale": 2, "config": OPTIONS, **changed}
    held = {key: value for key, value in metadata.items() if value is not None}
    save_tensors(path, build("lcoan", 2, **OPTIONS).state_dict(), held)
    with pytest.raises(InputError, match=rf"weights\.safetensors.*{told}") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_named(tmp_path):
    for value in (torch.nan, torch.inf):
        network = build("lcoan", 2, **OPTIONS)
        network.tail.weight.data[0, 0, 0, 0] = value
        save_network(tmp_path / "nan.safetensors", network, "lcoan", 2, OPTIONS)
        with pytest.raises(InputError, match=r"nan\.safetensors: 'tail\.weight' holds values that are not"):
            open_network("lcoan", tmp_path / "nan.safetensors", 2)


@pytest.fixture
def published(golden, monkeypatch):
    """The golden networks, for as long as a test takes, in place of the published ones: they are smaller."""
    cases = {
        "esc": golden("esc_tiny_x4"),
        "esc_fp": golden("esc_fp_tiny_x2"),
        "hit_srf": golden("hit_srf_tiny_x2"),
        "elan_light": golden("elan_light"),
        "lcoan": golden("lcoan_tiny_x2"),
    }

    def build_small(name, scale, **options):
        if name not in cases:
            return build(name, scale, **options)
        config = {**cases[name].config}
        config.update({key: scale for key in ("scale", "upscale", "upscaling_factor") if key in config})
        return RELEASED[name].make(config)

    monkeypatch.setattr("srlab.weights.checkpoints.build", build_small)
    return cases


@pytest.mark.parametrize(("name", "scale"), [("esc", 4), ("esc_fp", 2), ("hit_srf", 2)])
def test_released_files_open_by_name_and_scale(published, tmp_path, name, scale):
    case = published[name]
    torch.save({"params": case.weights}, tmp_path / "released.pth")
    whole = {key: tensor.contiguous() for key, tensor in case.weights.items()}
    save_file(whole, tmp_path / "released.safetensors", {"format": "pt"})
    for path in tmp_path.iterdir():
        network = open_network(name, path, scale)
        assert not network.training
        with torch.no_grad():
            y = network(case.tensors["input"])
        torch.testing.assert_close(y, case.tensors["output"], rtol=1e-3, atol=1e-3)


def test_released_weights_of_another_network_or_scale_are_told_by_name(published, tmp_path):
    path = tmp_path / "released.pth"
    torch.save(published["hit_srf"].weights, path)
    with pytest.raises(InputError, match=r"released\.pth are of hit_srf ×2, not hit_srf ×4$"):
        open_network("hit_srf", path, 4)
    with pytest.raises(InputError, match=r"released\.pth are of hit_srf ×2, not esc ×2$"):
        open_network("esc", path, 2)
    torch.save({"some.weight": torch.ones(3)}, path)
    with pytest.raises(InputError, match=r"released\.pth does not fit ESC: missing: .* unexpected: some\.weight"):
        open_network("esc", path, 2)


def test_our_weights_of_another_network_or_scale_are_told_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, build("lcoan", 2, **OPTIONS), "lcoan", 2, OPTIONS)
    for asked, scale in (("lcoan", 4), ("trunk_lsp", 2), ("craft", 2)):
        with pytest.raises(InputError, match=rf"are of lcoan ×2, not {asked} ×{scale}$"):
            open_network(asked, path, scale)


def test_a_missing_file_is_named(tmp_path):
    for read in (load_network, read_pth):
        for path in (tmp_path / "absent.pth", tmp_path):
            with pytest.raises(InputError, match="there is no such file"):
                read(path)
        with pytest.raises(InputError, match=r"cannot be read \(File name too long\)"):
            read(tmp_path / ("n" * 300))


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
        from_released("nla", {k: v for k, v in case.weights.items() if k != "conv_match1.0.weight"}, **case.config)
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
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    (tmp_path / "ran").unlink()  # so it does run, when nobody takes care
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(InputError, match=name):
            read_pth(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_what_is_no_pth_file_is_named(tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.pth: (broken|refused).* no \.pth file$"):
        read_pth(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_pth_file_is_refused(tmp_path, zipped):
    path = tmp_path / "cut.pth"
    torch.save({"weight": torch.ones(100)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(InputError, match=r"cut\.pth: (broken|refused)"):
            read_pth(path)


@pytest.mark.parametrize(
    "unusual",
    [
        torch.eye(3).to_sparse(),
        torch.zeros(3, dtype=torch.complex64),
        torch.empty(3, device="meta"),
        "a text",
        {"weight": torch.ones(3)},
    ],
    ids=["sparse", "complex", "meta", "text", "nested"],
)
def test_what_holds_no_ordinary_tensors_is_refused(tmp_path, unusual):
    path = tmp_path / "unusual.pth"
    torch.save({"a": torch.ones(3), "b": unusual}, path)
    with pytest.raises(InputError, match=r"unusual\.pth: ('b' is of torch\.|not a mapping of names to tensors)"):
        read_pth(path)
