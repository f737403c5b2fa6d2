"""CATANet: equal to the released code in evaluation and in training, whatever the path and the size."""

import pytest
import torch
from networks import set_backend, small

from srlab.attention.overlapping_patches import overlap_weights, patch_starts
from srlab.errors import InputError
from srlab.models import build
from srlab.weights.checkpoints import from_released

WAYS = ("fused", "reference")


@pytest.mark.parametrize("way", WAYS)
def test_equals_the_released_network(golden, way):
    case = golden("catanet_tiny_x2")
    network = set_backend(from_released("catanet", case.weights, **case.config), way)
    with torch.no_grad():
        torch.testing.assert_close(network(case.tensors["input"]), case.tensors["output"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_block_equals_the_released_one(golden, way):
    case = golden("catanet_module")
    block = set_backend(from_released("cata", case.weights, **case.config), way)
    with torch.no_grad():
        for size in ("", "_small"):
            y = block(case.tensors["input" + size])
            torch.testing.assert_close(y, case.tensors["output" + size], rtol=0, atol=1e-5)
        pattern = block.attention.pattern(case.tensors["input"])
    assert torch.equal(pattern.codes, case.tensors["codes"]) and torch.equal(pattern.order, case.tensors["order"])


@pytest.mark.parametrize("way", WAYS)
def test_two_training_steps_equal_the_released_ones(golden, way):
    case = golden("catanet_module")
    weights = case.weights | {"initted": torch.tensor(False)}
    block = set_backend(from_released("cata", weights, **case.config), way).train()
    for step in ("1", "2"):
        x = case.tensors[f"train_input_{step}"].requires_grad_()
        y = block(x)
        found = torch.autograd.grad(
            (y * case.tensors[f"train_cotangent_{step}"]).sum(), [x, block.attention.centre_key.weight]
        )
        means = block.attention.centres.means
        expected = [case.tensors[f"train_{name}_{step}"] for name in ("output", "input_gradient", "to_k_gradient")]
        expected.append(case.tensors[f"means_after_{step}"])
        torch.testing.assert_close([y, *found, means], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (5, 4), (9, 13)])
def test_paths_give_the_same_numbers_and_gradients(size, training):
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    found = []
    for way in WAYS:
        network = (
            build(
                "catanet",
                2,
                0,
                channels=8,
                blocks=2,
                query_channels=4,
                heads=2,
                hidden=10,
                backend=way,
                patches=(6, 3),
                centres=(3, 4),
                group_sizes=(16, 5),
            )
            .double()
            .train(training)
        )
        y = network(x)
        found.append([y, *torch.autograd.grad(y.square().sum(), list(network.parameters()))])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("side", "patch"), [(1, 3), (5, 6), (6, 6), (7, 6), (11, 6), (13, 6), (40, 16)])
def test_patches_cover_a_side_and_three_that_meet_are_quartered(side, patch):
    starts = patch_starts(side, patch)
    count = torch.tensor([sum(start <= i < start + patch for start in starts) for i in range(side)])
    assert count.min() >= 1 and starts[-1] == max(0, side - patch)
    torch.testing.assert_close(overlap_weights(side, patch), torch.tensor([0, 1, 1 / 2, 1 / 4])[count])


def test_uneven_heads_and_tiny_patches_are_refused():
    for options, named in (({"heads": 3}, "multiple of heads, 3"), ({"patches": (2,)}, "at least 3")):
        with pytest.raises(InputError, match=named):
            small("catanet", **options)
