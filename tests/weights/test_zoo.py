"""Networks of others through spandrel: the real one where it is installed, and a stand-in everywhere."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from srlab.errors import InputError
from srlab.weights.checkpoints import open_network


class Enlarger(nn.Module):
    """A small network ×2 of one convolution."""

    def __init__(self, channels: int = 3):
        super().__init__()
        self.up = nn.Conv2d(channels, 4 * channels, 3, padding=1)

    def forward(self, lr):
        return nn.functional.pixel_shuffle(self.up(lr), 2)


class Descriptor:
    """As spandrel's: it pads images to a multiple of 4, crops the network's output and clamps it."""

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


class UnsupportedModelError(Exception):
    pass


class ModelLoader:
    def load_from_state_dict(self, weights):
        if "up.weight" not in weights:
            raise UnsupportedModelError
        return Descriptor(weights)


@pytest.fixture
def stand_in(monkeypatch):
    """A module that answers to `import spandrel`, and knows one architecture."""
    module = ModuleType("spandrel")
    module.ModelLoader, module.UnsupportedModelError = ModelLoader, UnsupportedModelError
    module.ImageModelDescriptor = Descriptor
    monkeypatch.setitem(sys.modules, "spandrel", module)
    return module


@pytest.fixture
def weights(tmp_path):
    """`weights(channels)`: a released file of an Enlarger, and the network that is in it."""

    def write(channels: int = 3):
        network = Enlarger(channels)
        torch.save({"params_ema": network.state_dict()}, tmp_path / "released.pth")
        return tmp_path / "released.pth", network

    return write


@pytest.mark.parametrize("name", ["enlarger", "real enlarger", "ENLARGER"])
def test_a_network_that_spandrel_knows_is_called_as_ours_are(stand_in, weights, name):
    path, network = weights()
    opened = open_network(name, path, 2)
    assert not opened.training and not opened.network.training
    lr = torch.rand(1, 3, 9, 13)
    with torch.inference_mode():
        sr = opened(lr)
        inside = network(lr).clamp(0, 1)[..., :16, :24]  # where the padding is not seen
    assert sr.shape == (1, 3, 18, 26) and sr.dtype == torch.float32
    assert torch.equal(sr[..., :16, :24], inside)


def test_gradients_are_of_the_network_itself(stand_in, weights):
    path, network = weights()
    lr = (3 * torch.randn(1, 3, 8, 12)).requires_grad_()
    sr = open_network("enlarger", path, 2)(lr)
    assert torch.equal(sr, network(lr)) and sr.max() > 1  # clamped it would have none here
    [gradient] = torch.autograd.grad(sr.sum(), lr)
    assert (gradient != 0).any()


def test_its_parameters_move_with_it(stand_in, weights):
    opened = open_network("enlarger", weights()[0], 2)
    assert {name for name, _ in opened.named_parameters()} == {"network.up.weight", "network.up.bias"}
    opened.to("meta")
    assert opened.descriptor.model.up.weight.is_meta


def test_another_name_scale_or_number_of_channels_is_refused(stand_in, weights):
    path, _ = weights()
    with pytest.raises(InputError, match=r"released\.pth are of Real Enlarger ×2, not craft ×2$"):
        open_network("craft", path, 2)
    with pytest.raises(InputError, match=r"released\.pth are of Real Enlarger ×2, not enlarger ×4$"):
        open_network("enlarger", path, 4)
    path, _ = weights(channels=1)
    with pytest.raises(InputError, match=r"released\.pth: Real Enlarger maps 1 channels to 1; .* RGB to RGB"):
        open_network("enlarger", path, 2)


def test_a_network_that_needs_more_than_an_image_is_refused(stand_in, weights, monkeypatch):
    path, _ = weights()
    monkeypatch.setattr(stand_in, "ImageModelDescriptor", int)  # as of one that needs a mask too
    with pytest.raises(InputError, match="a network from RGB to RGB is expected"):
        open_network("enlarger", path, 2)


def test_weights_that_spandrel_does_not_know_are_refused(stand_in, tmp_path):
    torch.save({"odd": torch.ones(3)}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth are of no network that spandrel knows, and 'enlarger' is"):
        open_network("enlarger", tmp_path / "odd.pth", 2)
    torch.save({"up.weight": torch.ones(12, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"part\.pth: spandrel cannot load them \(.*Missing key.*\)$") as caught:
        open_network("enlarger", tmp_path / "part.pth", 2)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(stand_in, weights):
    path, network = weights()
    network.up.bias.data[1] = torch.nan
    torch.save(network.state_dict(), path)
    with pytest.raises(InputError, match=r"released\.pth: 'up\.bias' holds values that are not finite"):
        open_network("enlarger", path, 2)


def test_without_spandrel_a_sentence_says_what_to_install(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(
        InputError, match=r"released\.pth: 'craft' is none of `srlab models`; .*pip install 'srlab\[zoo\]'"
    ):
        open_network("craft", weights()[0], 4)


def test_a_torchvision_that_does_not_belong_to_torch_is_told(weights, monkeypatch, tmp_path):
    (tmp_path / "spandrel.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "spandrel", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"torchvision::nms does not exist\); torchvision must be the build"):
        open_network("craft", weights()[0], 4)


def test_spandrel_itself_loads_pads_and_names_a_network(tmp_path):
    pytest.importorskip("spandrel", reason="needs the extra srlab[zoo]")
    from spandrel.architectures.CRAFT import CRAFT

    network = CRAFT(upscale=2).eval()
    torch.save({"params": network.state_dict()}, tmp_path / "craft.pth")
    opened = open_network("craft", tmp_path / "craft.pth", 2)
    lr = torch.rand(1, 3, 16, 32)
    with torch.inference_mode():
        assert torch.equal(opened(lr), network(lr).clamp(0, 1))
        assert opened(lr[..., :9, :13]).shape == (1, 3, 18, 26)  # the network itself takes multiples of 16
    with pytest.raises(InputError, match=r"craft\.pth are of CRAFT ×2, not craft ×4$"):
        open_network("craft", tmp_path / "craft.pth", 4)
    torch.save({"odd": torch.ones(3)}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match="are of no network that spandrel knows"):
        open_network("craft", tmp_path / "odd.pth", 2)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "psnr"), [("craft", 32.387), ("dctlsa", 32.520)])
def test_released_weights_give_what_they_gave_through_spandrel_alone(shared_data, name, psnr):
    pytest.importorskip("spandrel", reason="needs the extra srlab[zoo]")
    from srlab.data.sources import open_data
    from srlab.measure.evaluation import evaluate, summarise
    from srlab.measure.protocol import Protocol

    path = shared_data.parent / "weights" / f"{name}_x4.pth"
    if not path.is_file():
        pytest.skip(f"needs the released weights at {path}")
    refs = open_data(shared_data).benchmarks["Set5"]
    found = summarise(evaluate(open_network(name, path, 4), refs, 4, Protocol("none")))
    assert found["psnr_y"] == pytest.approx(psnr, abs=0.001)
