"""Networks as ONNX files: onnxruntime makes of images of any size what torch does."""

import os
import sys
from importlib.util import find_spec

import pytest
import torch
from networks import ALIKE, SHORT, small

from srlab.cli import main
from srlab.errors import InputError
from srlab.models import REGISTRY, build
from srlab.weights.checkpoints import save_network
from srlab.weights.export import check_export, export_network

#: Networks that ONNX cannot express.
REFUSED = ("nlsn", "trunk_cata", "trunk_adapt", "trunk_pfa", "catanet", "atd_light", "pft_light")
#: ELAN-light's first weights with colours of 255 magnify any rounding. LCoA has its published
#: window: no image has fewer pixels than that, which the exporter must learn.
EXPORTED = SHORT | {"elan_light": {"layers": 2, "reuses": 0, "sides": (4, 8), "colours": 1.0}}
EXPORTED["lcoan"] = {"window": 384}
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
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in (*REFUSED, *ALIKE)])
def test_onnxruntime_makes_what_torch_makes(onnxruntime, tmp_path, name):
    network, path = small(name, skip="bicubic", **EXPORTED.get(name, {})).eval(), tmp_path / "net.onnx"
    torch.nn.init.normal_(network.last.weight, std=0.05)  # bicubic enlargement alone would be equal to itself
    images = [torch.rand(1, 3, *size) for size in SIZES]
    with torch.no_grad():
        expected = [network(lr) for lr in images]
    assert export_network(network, path, {}) < 1e-4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for lr, sr in zip(images, expected, strict=True):
        [found] = session.run(["sr"], {"lr": lr.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), sr, rtol=0, atol=1e-4)


def test_what_cannot_be_exported_leaves_no_file(onnxruntime, tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_text("old")
    for name in REFUSED:
        with pytest.raises(InputError, match=r"net\.onnx"):
            export_network(small(name).eval(), path, {})
    monkeypatch.setattr("srlab.weights.export._difference", lambda network, path: 0.5)
    with pytest.raises(InputError, match=r"net\.onnx.* 0\.5 "):
        export_network(small("no_attention").eval(), path, {})
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_wrong_suffix_and_a_missing_package_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"'\.pt'"):
        check_export(tmp_path / "net.pt")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(InputError, match="onnxruntime"):
        check_export(tmp_path / "net.onnx")


def test_the_command_writes_a_file_that_names_its_network(onnxruntime, tmp_path, monkeypatch, capsys):
    options = {"channels": 8, "groups": 1, "blocks": 1, "skip": "bicubic"}
    weights, path = tmp_path / "weights.safetensors", tmp_path / "folder" / "net.onnx"
    save_network(weights, build("no_attention", 2, seed=0, **options), "no_attention", 2, options)
    command = f"srlab export --model no_attention --weights {weights} --scale 2 -o {path}"
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code and capsys.readouterr().err == ""
    session = onnxruntime.InferenceSession(path)
    assert {"model": "no_attention", "scale": "2"}.items() <= session.get_modelmeta().custom_metadata_map.items()
    [lr], [sr] = session.get_inputs(), session.get_outputs()
    assert (lr.name, lr.shape, sr.name) == ("lr", [1, 3, "height", "width"], "sr")
    assert list(path.parent.iterdir()) == [path]
