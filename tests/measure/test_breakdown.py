"""Where time goes inside layers, against layers whose every operation is known."""

import pytest
import torch
from torch import nn

from srlab.attention.contract import Attention, Pattern
from srlab.measure import breakdown
from srlab.measure.breakdown import ATTENDING, CHOOSING, COPIES, PROJECTIONS, SORTING, STAGES
from srlab.models import build
from srlab.models.registry import trunk_networks

CPU = torch.device("cpu")


class OneStage(Attention):
    """A layer that spends its time in one stage for the most part."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage
        self.convolution = nn.Conv2d(64, 64, 5, padding=2)

    def pattern(self, x, shared=None):
        if self.stage == CHOOSING:
            x.flatten(2).mT.matmul(x.flatten(2))
        return Pattern()

    def forward(self, x, shared=None):
        self.pattern(x, shared)
        work = {
            PROJECTIONS: self.convolution,
            SORTING: torch.argsort,
            COPIES: lambda x: x.flatten(2)[..., torch.arange(x[0, 0].numel()).flip(0)],
            ATTENDING: lambda x: x.flatten(2).mT.matmul(x.flatten(2)).softmax(-1),
        }
        work.get(self.stage, id)(x)
        return x, shared


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_is_found(stage):
    layer, x = OneStage(stage), torch.rand(1, 64, 32, 32)
    with torch.inference_mode():
        found = breakdown.stage_shares([layer], lambda: layer(x), 3, 1, CPU).set_index("stage")["share"]
    assert list(found.index) == list(STAGES)
    assert found.sum() == pytest.approx(1)
    assert found[stage] > 0.6, found
    assert "pattern" not in vars(layer) and "forward" not in vars(layer.convolution)


def test_every_mechanism_of_the_trunk_is_measured_and_left_unchanged():
    networks = {name: build(name, scale=2, channels=64, groups=1, blocks=1).eval() for name in trunk_networks()}
    x = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        before = {name: network(x) for name, network in networks.items()}
        found = breakdown.layer_breakdown(networks, 16, CPU, repeats=1, warmup=1)
        after = {name: network(x) for name, network in networks.items()}
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
    having = set(networks) - {"no_attention"}
    assert set(found["label"]) == having and len(found) == len(having) * len(STAGES)
    assert found.groupby("label")["share"].sum().values == pytest.approx(1)
    shares = found.set_index(["label", "stage"])["share"]
    assert shares["trunk_lsp", SORTING] > 0 == shares["trunk_nla", SORTING]
