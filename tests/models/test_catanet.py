"""CATANet: its block equals the released code in evaluation and in training, and its patches."""

import pytest
import torch
from networks import set_backend, small

from srlab.attention.overlapping_patches import overlap_weights, patch_starts
from srlab.errors import InputError
from srlab.weights.checkpoints import from_released

WAYS = ("fused", "reference")


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
