"""CATANet, ATD-light and PFT-light: layers equal those of the released code; patches; PFT at full size."""

import pytest
import torch
from networks import set_backend
from torch.nn.functional import linear

from srlab.attention.overlapping_patches import overlap_weights, patch_starts
from srlab.attention.pfa import focus
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.window import PositionTable
from srlab.models import build
from srlab.weights.checkpoints import from_released

WAYS = ("fused", "reference")


@pytest.mark.parametrize("way", WAYS)
def test_a_block_of_catanet_equals_the_released_one(golden, way):
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


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_of_atd_equals_the_released_one(golden, way):
    case = golden("atd_module")
    layer = set_backend(from_released("atd_layer", case.weights, **case.config), way)
    size, known = (case.config["height"], case.config["width"]), case.tensors
    with torch.no_grad():
        tokens, attention = layer.norm(known["input"]), layer.attention
        similarity, attended = attention.dictionary(tokens, known["dictionary"])
        qkv = attention.project(tokens)
        pattern = attention.pattern(qkv, similarity)
        x = known["input"].unflatten(1, size).permute(0, 3, 1, 2)
        y, dictionary = layer(x, known["dictionary"])
    assert torch.equal(pattern.codes, known["codes"]) and torch.equal(pattern.order, known["order"])
    found = [similarity, attended, attention.categories(qkv, similarity), y.flatten(2).mT, dictionary]
    names = ("similarity", "attended_dictionary", "attended_category", "output", "dictionary_output")
    torch.testing.assert_close(found, [known[name] for name in names], rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_chain_of_pft_keeps_the_released_keys_and_weights(golden, way):
    case, chain = golden("pft_module"), None
    heads, side = case.config["num_heads"], case.config["window_size"]
    windows = ShiftedWindows((case.config["height"], case.config["width"]), side, True)
    torch.testing.assert_close(windows.mask(torch.zeros(())), case.tensors["mask"])
    for i, top in enumerate(case.config["num_topk"]):
        position = PositionTable(1, side)
        position.table.data = case.weights[f"{i}.relative_position_bias_table"].flip(0).mT
        parts = case.tensors[f"qkvp_{i}"].unflatten(-1, (4, heads, -1)).permute(2, 0, 3, 1, 4)[:, None]
        query, key, value, local = parts
        with torch.no_grad():
            scaled = query * query.shape[-1] ** -0.5
            out, chain = focus(scaled, key, value, position.plain(), windows, top, chain, way)
            weight, bias = case.weights[f"{i}.proj.weight"], case.weights[f"{i}.proj.bias"]
            y = linear((out + local)[0].transpose(1, 2).flatten(2), weight, bias)
        torch.testing.assert_close(y, case.tensors[f"output_{i}"], rtol=0, atol=1e-5)
        known = case.tensors[f"weights_{i}"].flatten(0, 1)
        if chain.kept is not None:
            there = torch.zeros_like(known).scatter(-1, chain.kept.long(), 1.0)
            assert torch.equal((known > 1e-15), (there > 0) & (known > 1e-15))
            assert torch.equal(there.sum(-1), torch.full_like(there[..., 0], top))


def test_paths_of_pft_give_the_same_numbers_at_full_size():
    """In float64: in float32 the two weights at a border of a cut can change places."""
    x = torch.rand(1, 3, 20, 33, dtype=torch.float64)
    with torch.no_grad():
        options = {"depths": (2, 4), "kept": (1024, 1024, 256, 256, 32, 32)}
        found = [build("pft_light", 2, 0, backend=way, **options).double().eval()(x) for way in WAYS]
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)
