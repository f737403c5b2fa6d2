"""Networks as ONNX files: onnxruntime makes of images of any size what torch does."""

import os
import sys
from importlib.util import find_spec

import pytest
import torch
from networks import small

from srlab.cli import main
from srlab.errors import InputError
from srlab.models import REGISTRY, build
from srlab.weights.checkpoints import save_network
from srlab.weights.export import check_export, export_network

#: What cannot be exported, and why.
REFUSED = {"nlsn": "NLSA draws as many directions to hash by as an image has tokens for"}
#: Fewer layers than published, for time; and ELAN-light's first weights with colours of 255 magnify any rounding.
SHORT = {"hit_srf": {"stages": 1, "ratios": (0.5, 2.0)}}
SHORT |= {"elan_light": {"layers": 2, "reuses": 0, "sides": (4, 8), "colours": 1.0}}
SHORT |= {name: {"pairs": 1} for name in ("esc", "esc_light", "esc_fp", "esc_rib")}
#: Heights and widths: whole windows, one window or less, and neither.
SIZES = ((32, 48), (17, 23), (70, 41))


@pytest.fixture
def onnxruntime():
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs srlab[onnx]: `pip install -e '.[onnx]'`")
    import onnxruntime

    return onnxruntime


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch):
    """torch.export cannot look into the checks of shapes that tests turn on."""
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in REFUSED])
def test_onnxruntime_makes_what_torch_makes(onnxruntime, tmp_path, name):
    network, path = small(name, skip="bicubic", **SHORT.get(name, {})).eval(), tmp_path / "net.onnx"
    with torch.no_grad():  # bicubic enlargement alone would be equal to itself
        torch.nn.init.normal_(network.last.weight, std=0.05)
    images = [torch.rand(1, 3, *size) for size in SIZES]
    with torch.no_grad():
        expected = [network(lr) for lr in images]
    assert export_network(network, path, {}) < 1e-4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for lr, sr in zip(images, expected, strict=True):
        [found] = session.run(["sr"], {"lr": lr.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), sr, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_lcoa_can_be_exported_with_its_published_window(onnxruntime, tmp_path):
    """The exporter must know that no image has fewer pixels than the window tokens."""
    network = build("lcoan", 2, seed=0, channels=4, groups=1, blocks=1, clusters=4, window=384)
    assert export_network(network.eval(), tmp_path / "net.onnx", {}) < 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_refused(onnxruntime, tmp_path, name):
    with pytest.raises(InputError, match=REFUSED[name]):
        export_network(small(name).eval(), tmp_path / "net.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_makes_other_images_is_not_kept(onnxruntime, tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_text("old")
    monkeypatch.setattr("srlab.weights.export._difference", lambda network, path: 0.5)
    with pytest.raises(InputError, match="not written, for its images differ by 0.5 from the network's"):
        export_network(small("no_attention").eval(), path, {})
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_without_the_packages_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(InputError, match=r"needs onnxruntime, which is not installed; pip install 'srlab\[onnx\]'"):
        check_export(tmp_path / "net.onnx")


@pytest.fixture
def srlab(monkeypatch, capsys):
    """`srlab(…)`: status, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["srlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


def test_the_command_writes_a_file_that_says_what_it_is(onnxruntime, srlab, tmp_path):
    options = {"channels": 8, "groups": 1, "blocks": 1, "skip": "bicubic"}
    weights, path = tmp_path / "weights.safetensors", tmp_path / "folder" / "net.onnx"
    save_network(weights, build("no_attention", 2, seed=0, **options), "no_attention", 2, options)
    status, output, errors = srlab("export", "--model", "no_attention", "--weights", weights, "--scale", 2, "-o", path)
    assert status == 0 and errors == "" and output.startswith(f"{path}: by onnxruntime at most "), errors
    session = onnxruntime.InferenceSession(path)
    assert session.get_modelmeta().custom_metadata_map | {"model": "no_attention", "scale": "2"} == (
        session.get_modelmeta().custom_metadata_map
    )
    [lr], [sr] = session.get_inputs(), session.get_outputs()
    assert (lr.name, lr.shape, sr.name) == ("lr", [1, 3, "height", "width"], "sr")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "nosuch", "-o", "net.onnx"], "model 'nosuch' is unknown; there are: "),
        (["--model", "no_attention", "-o", "net.pt"], "net.pt: a suffix of .onnx is expected, not '.pt'"),
        (["--model", "no_attention", "-o", "net.onnx"], "weights absent.safetensors: there is no such file"),
        (["--model", "no_attention", "--scale", "5", "-o", "net.onnx"], "scale is 5; allowed are 2, 3, 4, 8"),
    ],
)
def test_a_wrong_command_is_one_sentence(srlab, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, sys)
    status, _, errors = srlab("export", "--weights", "absent.safetensors", *arguments)
    assert status == 2 and errors.startswith(f"srlab: {told}") and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
