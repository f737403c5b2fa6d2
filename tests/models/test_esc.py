"""The ESC family: equal to the released networks, and of the published size."""

import time

import pytest
import torch

from srlab.measure.profiling import count_parameters
from srlab.models import build
from srlab.weights.checkpoints import from_released

PUBLISHED = {"esc": (947, 955, 968), "esc_light": (603, 612, 624), "esc_fp": (524, 530, 539)}
TINY = {"channels": 8, "heads": 2, "blocks": 2, "pairs": 2, "side": 8, "attended": 4, "kernel_size": 5}


@pytest.mark.parametrize(("name", "case"), [("esc", "esc_tiny_x4"), ("esc_fp", "esc_fp_tiny_x2")])
def test_equals_the_released_network(golden, name, case):
    case = golden(case)
    network = from_released(name, case.weights, **case.config)
    with torch.no_grad():
        y = network(case.tensors["input"])
    expected = case.tensors["output"]
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("name", PUBLISHED)
def test_has_the_published_parameters(name):
    for scale, thousands in zip((2, 3, 4), PUBLISHED[name], strict=True):
        # Within a thousand: the paper rounds most of them but cuts 603.6 to 603.
        assert abs(count_parameters(build(name, scale)) / 1e3 - thousands) < 1


@pytest.mark.parametrize("name", ["esc", "esc_fp", "esc_rib"])
def test_back_ends_give_the_same_numbers(name):
    fused, reference = (build(name, 2, seed=0, backend=backend, **TINY).double() for backend in ("sdpa", "reference"))
    x = torch.rand(2, 3, 9, 13, dtype=torch.float64)
    torch.testing.assert_close(fused(x), reference(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["esc", "esc_light", "esc_fp", "esc_rib", "hit_srf"])
def test_construction_takes_milliseconds(name):
    build(name)
    took = []
    for _ in range(3):
        start = time.perf_counter()
        build(name)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.5


@pytest.mark.parametrize("name", ["esc", "esc_fp", "esc_rib"])
def test_training_and_evaluation_agree_after_each_step(name):
    network = build(name, 2, seed=0, **TINY)
    adam = torch.optim.Adam(network.parameters(), 1e-2)
    x = torch.rand(1, 3, 8, 8)
    for _ in range(2):
        network.train()(x).square().mean().backward()
        adam.step()
        adam.zero_grad()
        with torch.inference_mode():
            evaluated = network.eval()(x)
        torch.testing.assert_close(network.train()(x).detach(), evaluated.clone(), rtol=1e-4, atol=1e-5)
