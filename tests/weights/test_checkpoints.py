"""Weights in and out: what fits comes back bit for bit, what does not is refused by name."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from srlab.errors import InputError
from srlab.models import build
from srlab.weights import from_released, load_network, open_network, save_network
from srlab.weights.checkpoints import load_tensors, read_pth, save_tensors
from srlab.weights.released import RELEASED

OPTIONS = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}


@pytest.fixture
def own(tmp_path):
    """A file of a small LCoAN ×2."""
    save_network(tmp_path / "own.safetensors", build("lcoan", 2, seed=0, **OPTIONS), "lcoan", 2, OPTIONS)
    return tmp_path / "own.safetensors"


@pytest.fixture
def published(golden, monkeypatch):
    """The golden networks in place of the published ones, which are larger."""
    names = {"esc": "esc_tiny_x4", "esc_fp": "esc_fp_tiny_x2", "hit_srf": "hit_srf_tiny_x2"}
    cases = {name: golden(file) for name, file in (names | {"elan_light": "elan_light"}).items()}

    def build_small(name, scale, **options):
        if name not in cases:
            return build(name, scale, **options)
        config = {**cases[name].config}
        config.update({key: scale for key in ("scale", "upscale", "upscaling_factor") if key in config})
        return RELEASED[name].build(config)

    monkeypatch.setattr("srlab.weights.checkpoints.build", build_small)
    return cases


def test_a_saved_network_comes_back_bit_for_bit(own):
    loaded, metadata = load_network(own)
    assert metadata == {"model": "lcoan", "scale": 2, "config": OPTIONS} and not loaded.training
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(build("lcoan", 2, seed=0, **OPTIONS).eval()(x), loaded(x))
    assert torch.equal(loaded(x), open_network("lcoan", own, 2)(x))
    assert list(own.parent.iterdir()) == [own]


#: Empty, text, no header, a huge header, a zip file; tests/test_fuzz.py has files that are cut off.
BROKEN = (b"", b"weights, I promise", b"\xff" * 100, (2**62).to_bytes(8, "little") + b"{}", b"PK\x03\x04broken")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_what_is_no_file_of_weights_is_named(tmp_path, suffix):
    for number, content in enumerate(BROKEN):
        (tmp_path / f"{number}.{suffix}").write_bytes(content)
    for path in (*tmp_path.iterdir(), tmp_path / f"absent.{suffix}", tmp_path / ("n" * 300), tmp_path):
        with pytest.raises(InputError, match=path.name):
            open_network("lcoan", path, 2)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model": None}, "'model'"),
        ({"scale": "two"}, "'scale' is 'two'"),
        ({"config": [1]}, r"'config' is \[1\]"),
        ({"model": "lcoann"}, "'lcoann'"),
        ({"scale": 5}, "scale is 5"),
        ({"config": {"depth": 3}}, "'depth'"),
        ({"config": {"channels": "wide"}}, "'channels' is 'wide'"),
        ({"config": {"scale": 3}}, "scale"),
        ({"model": "trunk_lsp"}, r"groups\.1\.attention\.match"),
        ({"config": {**OPTIONS, "clusters": 5}}, r"means \(1, 4, 8\) for \(1, 5, 8\)"),
        ({"config": {**OPTIONS, "channels": 60000}}, "head"),  # not first given memory
    ],
)
def test_metadata_of_no_network_and_weights_of_another_are_refused(own, changed, named):
    tensors, metadata = load_tensors(own)
    metadata = {key: value for key, value in {**metadata, **changed}.items() if value is not None}
    save_tensors(own, tensors, metadata)
    with pytest.raises(InputError, match=rf"own\.safetensors.*{named}") as caught:
        load_network(own)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_named(own, value):
    tensors, metadata = load_tensors(own)
    tensors["tail.weight"][0, 0, 0, 0] = value
    save_tensors(own, tensors, metadata)
    with pytest.raises(InputError, match=r"own\.safetensors: 'tail\.weight'"):
        open_network("lcoan", own, 2)


@pytest.mark.parametrize(("name", "scale"), [("esc", 4), ("esc_fp", 2), ("hit_srf", 2)])
def test_released_files_open_by_name_and_scale(published, tmp_path, name, scale):
    case = published[name]
    torch.save({"params": case.weights}, tmp_path / "released.pth")
    save_file({k: t.contiguous() for k, t in case.weights.items()}, tmp_path / "released.safetensors", {"format": "pt"})
    for path in tmp_path.iterdir():
        network = open_network(name, path, scale).requires_grad_(False)
        assert not network.training
        torch.testing.assert_close(network(case.tensors["input"]), case.tensors["output"], rtol=1e-3, atol=1e-3)


def test_weights_of_another_network_or_scale_are_recognised(published, own, tmp_path):
    path = tmp_path / "released.pth"
    torch.save(published["hit_srf"].weights, path)
    theirs, ours = (path, "hit_srf"), (own, "lcoan")
    cases = [(theirs, "hit_srf", 4), (theirs, "esc", 2), (ours, "lcoan", 4), (ours, "trunk_lsp", 2), (ours, "craft", 2)]
    for (file, name), asked, scale in cases:
        with pytest.raises(InputError, match=rf"{file.name}.* {name} ×2, not {asked} ×{scale}$"):
            open_network(asked, file, scale)
    torch.save({"some.weight": torch.ones(3)}, path)
    with pytest.raises(InputError, match=r"released\.pth.* ESC.*some\.weight"):
        open_network("esc", path, 2)


def test_released_weights_are_found_inside_their_wrapper_and_refused_where_they_do_not_fit(golden, tmp_path):
    case = golden("nla_module")
    for wrapped in ({"params_ema": case.weights}, {"params": case.weights}, case.weights):
        torch.save(wrapped, tmp_path / "released.pth")
        layer = from_released("nla", read_pth(tmp_path / "released.pth"), **case.config)
        assert torch.equal(layer.theta[0].weight, case.weights["conv_match1.0.weight"])
    less = {key: tensor for key, tensor in case.weights.items() if key != "conv_match1.0.weight"}
    for name, weights, config, named in (
        ("nla", less, case.config, r"theta\.0\.weight"),
        ("nla", {**case.weights, "extra": torch.ones(1)}, case.config, "extra"),
        ("nla", case.weights, {**case.config, "reduction": 4}, "theta"),
        ("nla", case.weights, {}, "'channels'"),
        ("nlaa", case.weights, case.config, "'nlaa'"),
    ):
        with pytest.raises(InputError, match=named):
            from_released(name, weights, **config)


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


def test_what_holds_no_ordinary_tensors_is_refused(tmp_path):
    sparse, complex_, meta = torch.eye(3).to_sparse(), torch.ones(3) * 1j, torch.empty(3, device="meta")
    for unusual in (sparse, complex_, meta, "a text", {"weight": torch.ones(3)}):
        torch.save({"a": torch.ones(3), "b": unusual}, tmp_path / "unusual.pth")
        with pytest.raises(InputError, match=r"unusual\.pth"):
            read_pth(tmp_path / "unusual.pth")
