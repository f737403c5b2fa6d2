"""BRA: equal to the released code, routing exactly, padding included."""

import pytest
import torch

from srlab.attention import BRA
from srlab.weights.checkpoints import from_released


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_bra_equals_the_released_code(golden, backend):
    case = golden("bra_module")
    layer = from_released("bra", case.weights, **case.config)
    layer.backend = backend
    x, expected = (case.tensors[name].permute(0, 3, 1, 2) for name in ("input", "output"))
    with torch.no_grad():
        y, _ = layer(x)
        routes = layer.pattern(x).routes
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5)
    assert torch.equal(routes, case.tensors["routing_indices"])


@pytest.mark.parametrize(("size", "pixels"), [((9, 9), 4), ((7, 14), 2), ((1, 1), 1), ((3, 20), 3), ((15, 6), 3)])
def test_there_are_always_s_by_s_windows(size, pixels):
    layer = BRA(8, windows=7, top=4).eval()
    x = torch.randn(1, 8, *size)
    pattern = layer.pattern(x)
    assert pattern.routes.shape == (1, 49, 4)
    assert pattern.key.shape[2] == 49 * pixels
    assert layer(x)[0].shape == x.shape


def test_filling_carries_the_bias_and_is_seen():
    layer = BRA(4, heads=1, windows=2, top=4).double().eval()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64)
    filled = torch.nn.functional.pad(x, (0, 0, 0, 1))
    torch.testing.assert_close(layer(x)[0], layer(filled)[0][:, :, :3], rtol=0, atol=1e-12)


def test_on_the_trunk_it_adds_its_input():
    alone, added = BRA(8).eval(), BRA(8, residual_scale=0.1).eval()
    added.load_state_dict(alone.state_dict())
    x = torch.randn(1, 8, 9, 9)
    torch.testing.assert_close(added(x)[0], x + 0.1 * alone(x)[0])
