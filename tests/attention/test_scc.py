"""Spatial-channel correlation: the fast path equal to the formula as written."""

import pytest
import torch
from mechanisms import assert_same

from srlab.attention import SCC


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (17, 20), (16, 16)])
@pytest.mark.parametrize(  # fewer pixels than the base, as many, more; not square
    ("window", "base"), [((4, 4), (8, 8)), ((8, 8), (8, 8)), ((16, 16), (8, 8)), ((2, 4), (4, 8)), ((8, 16), (4, 8))]
)
def test_reassociated_equals_the_formula_as_written_in_numbers_and_gradients(window, base, size):
    layer = SCC(32, 2, window, base).double()
    for parameter in layer.position.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 32, *size, dtype=torch.float64, requires_grad=True)

    def output(backend: str) -> torch.Tensor:
        layer.backend = backend
        return layer(x)[0]

    assert_same(output, ("reassociated", "reference"), [x, *layer.parameters()], rtol=1e-8, atol=1e-8)


def test_the_pattern_is_the_window():
    layer = SCC(32, 2, (4, 4))
    seen = layer.pattern(torch.zeros(1, 32, 6, 6)).multiplicity(torch.tensor([0, 5]))
    assert seen.shape == (1, 1, 2, 64)
    assert seen.sum(-1).tolist() == [[[16, 16]]]
    assert seen[0, 0].argmax(-1).tolist() == [0, 16]
