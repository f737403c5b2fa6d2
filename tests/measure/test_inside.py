"""Where time goes inside layers, against layers whose every operation is known."""

import pytest
import torch
from torch import nn

from srlab.attention.contract import Attention, Pattern
from srlab.measure.costs import look_inside
from srlab.measure.inside import ATTENDING, CHOOSING, COPIES, PROJECTIONS, SORTING, STAGES, inside
from srlab.models import build
from srlab.models.registry import trunk_networks

CPU = torch.device("cpu")


class OneThing(Attention):
    """A layer whose time goes into one stage for the most part."""

    def __init__(self, thing):
        super().__init__()
        self.thing = thing
        self.convolution = nn.Conv2d(64, 64, 5, padding=2)

    def pattern(self, x, shared=None):
        if self.thing == CHOOSING:
            x.flatten(2).mT.matmul(x.flatten(2))
        return Pattern()

    def forward(self, x, shared=None):
        self.pattern(x, shared)
        if self.thing == PROJECTIONS:
            self.convolution(x)
        if self.thing == SORTING:
            x.argsort(dim=-1)
        if self.thing == COPIES:
            x.flatten(2)[..., torch.arange(x[0, 0].numel()).flip(0)]
        if self.thing == ATTENDING:
            x.flatten(2).mT.matmul(x.flatten(2)).softmax(-1)
        return x, shared


@pytest.mark.parametrize("thing", STAGES)
def test_each_stage_is_told_from_the_others(thing):
    layer, x = OneThing(thing), torch.rand(1, 64, 32, 32)
    with torch.inference_mode():
        found = inside([layer], lambda: layer(x), 3, 1, CPU).set_index("stage")["share"]
    assert list(found.index) == list(STAGES)
    assert found.sum() == pytest.approx(1)
    assert found[thing] > 0.6, found
    assert "pattern" not in vars(layer), "the layer is as it was before"
    assert "forward" not in vars(layer.convolution), "so are its parts"


def test_every_mechanism_of_the_trunk_is_looked_into_and_left_as_it_was():
    networks = {name: build(name, scale=2, channels=64, groups=1, blocks=1).eval() for name in trunk_networks()}
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        before = {name: network(x) for name, network in networks.items()}
        found = look_inside(networks, 16, CPU, repeats=1, warmup=1)
        after = {name: network(x) for name, network in networks.items()}
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
    looked = set(networks) - {"no_attention"}
    assert set(found["label"]) == looked
    assert len(found) == len(looked) * len(STAGES)
    assert found.groupby("label")["share"].sum().values == pytest.approx(1)
    shares = found.set_index(["label", "stage"])["share"]
    assert shares["trunk_lsp", SORTING] > 0, "the sparse pattern sorts"
    assert shares["trunk_nla", SORTING] == 0, "dense attention does not"
