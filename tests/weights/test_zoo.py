"""Networks of other projects through spandrel: a stand-in everywhere, the real one where it is installed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from srlab.errors import InputError
from srlab.weights import open_network
from srlab.weights.identify import identify


class Enlarger(nn.Module):
    """A small network ×2 of one convolution."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.up = nn.Conv2d(channels, 4 * channels, 3, padding=1)

    def forward(self, lr):
        return nn.functional.pixel_shuffle(self.up(lr), 2)


class Descriptor:
    """Like spandrel's: pad images to a multiple of 4, crop the network's output and clamp it."""

    architecture = SimpleNamespace(name="Real Enlarger", id="Enlarger")
    scale = 2

    def __init__(self, weights):
        self.input_channels = self.output_channels = weights["up.weight"].shape[1]
        self.model = Enlarger(self.input_channels)
        self.model.load_state_dict(weights)

    @torch.inference_mode()
    def __call__(self, image):
        *_, height, width = image.shape
        padded = nn.functional.pad(image, (0, -width % 4, 0, -height % 4), mode="replicate")
        return self.model(padded)[..., : 2 * height, : 2 * width].clamp(0, 1)


class ModelLoader:
    def load_from_state_dict(self, weights):
        if "up.weight" not in weights:
            raise LookupError
        return Descriptor(weights)


@pytest.fixture
def stand_in(monkeypatch):
    names = {"ImageModelDescriptor": Descriptor, "UnsupportedModelError": LookupError, "ModelLoader": ModelLoader}
    monkeypatch.setitem(sys.modules, "spandrel", SimpleNamespace(**names))


def released(network: nn.Module, folder: Path) -> Path:
    torch.save({"params_ema": network.state_dict()}, folder / "released.pth")
    return folder / "released.pth"


def test_a_network_of_spandrel_is_called_as_ours_are(stand_in, tmp_path):
    network, lr = Enlarger(), torch.rand(1, 3, 9, 13)
    opened = open_network("real enlarger", released(network, tmp_path), 2)
    assert not opened.training and not opened.network.training
    with torch.inference_mode():
        sr, inside = opened(lr), network(lr).clamp(0, 1)[..., :16, :24]  # where the padding is not seen
    assert sr.shape == (1, 3, 18, 26) and torch.equal(sr[..., :16, :24], inside)
    opened.to("meta")
    assert opened.descriptor.model.up.weight.is_meta  # its parameters move with it
    lr = (3 * torch.randn(1, 3, 8, 12)).requires_grad_()  # gradients are those of the network itself
    sr = open_network("ENLARGER", released(network, tmp_path), 2)(lr)
    assert torch.equal(sr, network(lr)) and sr.max() > 1  # clamped it would have none here
    [gradient] = torch.autograd.grad(sr.sum(), lr)
    assert (gradient != 0).any()


@pytest.mark.parametrize(
    ("name", "scale", "network", "named"),
    [
        ("craft", 2, Enlarger(), "Real Enlarger ×2, not craft ×2$"),
        ("enlarger", 4, Enlarger(), "Real Enlarger ×2, not enlarger ×4$"),
        ("enlarger", 2, Enlarger(channels=1), "1 channels"),
        ("enlarger", 2, nn.Linear(2, 2), "'enlarger'"),
        ("enlarger", 2, nn.ModuleDict({"up": nn.Conv2d(3, 12, 3, bias=False)}), "Missing key"),
        ("enlarger", 2, nn.ModuleDict({"up": nn.ParameterDict({"weight": torch.tensor(torch.nan)})}), r"'up\.weight'"),
    ],
)
def test_weights_of_another_network_are_refused(stand_in, tmp_path, name, scale, network, named):
    with pytest.raises(InputError, match=rf"released\.pth.*{named}") as caught:
        open_network(name, released(network, tmp_path), scale)
    assert "\n" not in str(caught.value)


def test_without_spandrel_or_with_a_broken_torchvision_the_error_names_the_remedy(monkeypatch, tmp_path):
    path = released(Enlarger(), tmp_path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(InputError, match=r"released\.pth.*srlab\[zoo\]"):
        open_network("craft", path, 4)
    (tmp_path / "spandrel.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "spandrel")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="torchvision::nms"):
        open_network("craft", path, 4)


def test_spandrel_itself_loads_pads_and_names_a_network(tmp_path):
    pytest.importorskip("spandrel", reason="needs the extra srlab[zoo]")
    from spandrel.architectures.CRAFT import CRAFT

    network, lr = CRAFT(upscale=2).eval(), torch.rand(1, 3, 16, 32)
    opened = open_network("craft", released(network, tmp_path), 2)
    with torch.inference_mode():
        assert torch.equal(opened(lr), network(lr).clamp(0, 1))
        assert opened(lr[..., :9, :13]).shape == (1, 3, 18, 26)  # the network itself takes multiples of 16
    assert identify(released(network, tmp_path)) == ("craft", 2)
    with pytest.raises(InputError, match=r"released\.pth"):
        open_network("craft", released(nn.Linear(2, 2), tmp_path), 2)
