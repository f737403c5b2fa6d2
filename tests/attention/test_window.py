"""Window attention: padding, position biases, back-ends, and the bias held between calls."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from mechanisms import assert_same
from torch.optim.swa_utils import AveragedModel

from srlab.attention import ImplicitPosition, PositionTable, WindowAttention, dense_attention
from srlab.attention.window_grid import WindowGrid

POSITIONS = {"none": None, "table": PositionTable, "rib": partial(ImplicitPosition, rank=4, hidden=6, frequencies=3)}


def layer_with(position: str, heads: int = 2, window: int = 8, **options: object) -> WindowAttention:
    """Make a small layer with a position bias as large as its scores."""
    layer = WindowAttention(8, heads, window, POSITIONS[position], **options)
    if layer.position is not None:
        for parameter in layer.position.parameters():
            torch.nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (7, 9), (8, 8), (13, 18)])
@pytest.mark.parametrize("position", POSITIONS)
def test_back_ends_give_the_same_numbers_and_gradients_on_any_size(position, size):
    layer = layer_with(position).double()
    x = torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)

    def output(backend: str) -> torch.Tensor:
        layer.backend = backend
        return layer(x)[0]

    assert_same(output, ("sdpa", "reference"), [x, *layer.parameters()], rtol=0, atol=1e-10)
    torch.testing.assert_close(layer(x)[0], dense_attention(layer, x), rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("position", POSITIONS)
def test_flex_attention_agrees(position):
    layer = WindowAttention(32, 2, 8, POSITIONS[position]).eval()
    x = torch.randn(2, 32, 9, 20)
    with torch.no_grad():
        fused, _ = layer(x)
        layer.backend = "flex"
        torch.testing.assert_close(layer(x)[0], fused, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 5), (3, 8), (7, 3), (8, 16), (20, 9)])
def test_padding_is_that_of_numpy(size):
    x, grid = torch.randn(2, *size, 3), WindowGrid(size, (8, 8))
    expected = np.pad(x.numpy(), [(0, 0), *((0, -side % 8) for side in size), (0, 0)], mode="reflect")
    assert np.array_equal(grid.pad(x).numpy(), expected)
    assert torch.equal(grid.crop(grid.join(grid.cut(grid.pad(x)))), x)


def test_the_table_is_read_at_key_minus_query():
    window, heads = 5, 2
    position = PositionTable(heads, window)
    torch.nn.init.normal_(position.table)
    bias, table = position(), position.table.unflatten(1, (2 * window - 1, 2 * window - 1))
    for query, key in [((0, 0), (0, 0)), ((1, 2), (4, 0)), ((4, 4), (0, 0)), ((0, 3), (2, 4))]:
        expected = table[:, key[0] - query[0] + window - 1, key[1] - query[1] + window - 1]
        found = bias[:, query[0] * window + query[1], key[0] * window + key[1]]
        assert torch.equal(found, expected)


@torch.no_grad()
def test_a_held_bias_follows_the_weights():
    layer = layer_with("table").eval()
    position = layer.position

    def is_current(layer: WindowAttention) -> bool:
        return torch.allclose(layer.position(), layer.position.plain(), atol=1e-5)

    assert is_current(layer) and position() is position()
    for change in (
        lambda: position.table.mul_(3),
        lambda: torch._foreach_lerp_([position.table], [torch.randn_like(position.table)], 0.9),
        lambda: layer.load_state_dict(layer_with("table").state_dict()),
        lambda: layer.load_state_dict(layer_with("table").state_dict(), assign=True),
        lambda: setattr(position, "table", torch.nn.Parameter(torch.randn_like(position.table))),
        layer.double,
        layer.float,
    ):
        before = position()
        change()
        assert is_current(layer) and position() is not before and position().dtype == position.table.dtype
    copied = copy.deepcopy(layer)
    copied.position.table.mul_(-1)
    assert is_current(copied) and is_current(layer)
    averaged = AveragedModel(layer, multi_avg_fn=lambda own, new, _: torch._foreach_lerp_(own, new, 0.5))
    for _ in range(2):
        averaged.update_parameters(layer)
        assert is_current(averaged.module)
        position.table.add_(1)


def test_a_held_bias_follows_the_optimizer_and_serves_later_calls_that_record_gradients():
    layer, x = layer_with("table"), torch.randn(1, 8, 8, 8)
    adam = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(2):
        layer(x)[0].square().sum().backward()
        adam.step()
        with torch.inference_mode():
            assert torch.equal(layer.position(), layer.position.compute())
            expected, _ = layer.requires_grad_(False)(x)
        y, _ = layer(x.requires_grad_())
        y.sum().backward()
        torch.testing.assert_close(y.detach(), expected.clone())
        layer.requires_grad_(True)
