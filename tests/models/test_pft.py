"""PFT-light: equal to the released code; sums of scores equal products of weights."""

import pytest
import torch
from torch.nn.functional import linear

from srlab.attention.pfa import focus
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.window import PositionTable
from srlab.errors import InputError
from srlab.models import build

WAYS = ("fused", "reference")


@pytest.mark.parametrize("way", WAYS)
def test_a_chain_keeps_the_released_keys_and_weights(golden, way):
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


def test_paths_give_the_same_numbers_at_full_size():
    """In float64: in float32 the two weights at a border of a cut can change places."""
    x = torch.rand(1, 3, 20, 33, dtype=torch.float64)
    with torch.no_grad():
        options = {"depths": (2, 4), "kept": (1024, 1024, 256, 256, 32, 32)}
        found = [build("pft_light", 2, 0, backend=way, **options).double().eval()(x) for way in WAYS]
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_kept_keys_that_grow_or_are_not_one_a_layer_are_refused():
    for kept, named in (((8, 8, 9), "must not grow"), ((8, 8), "3 layers")):
        with pytest.raises(InputError, match=named):
            build("pft_light", depths=(2, 1), kept=kept)
