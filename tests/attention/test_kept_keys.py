"""Largest scores, and sums over kept keys."""

import pytest
import torch

from srlab.attention.kept_keys import largest, sum_of_kept


@pytest.mark.parametrize("kind", ["random", "equal", "infinite"])
@pytest.mark.parametrize("top", [1, 5, 16])
def test_the_largest_scores_are_those_of_topk(kind, top):
    scores = torch.randn(2, 7, 16)
    if kind == "equal":  # at the border of some rows' cuts, where either key is right
        scores = scores.round()
    elif kind == "infinite":
        scores[0, :3, 4:] = -torch.inf
    found, places = largest(scores, top)
    torch.testing.assert_close(found.sort(-1)[0], scores.topk(top)[0].sort(-1)[0], rtol=0, atol=0)
    assert torch.equal(scores.gather(-1, places), found) and all(len(set(row.tolist())) == top for row in places[0])


def test_sums_of_kept_keys_are_products_with_zeros_between():
    weights = torch.rand(3, 6, 4, dtype=torch.float64, requires_grad=True)
    value = torch.randn(3, 9, 5, dtype=torch.float64, requires_grad=True)
    kept = torch.rand(3, 6, 9).argsort(-1)[..., :4]
    dense = torch.zeros(3, 6, 9, dtype=torch.float64).scatter(-1, kept, weights) @ value
    found = [
        [y, *torch.autograd.grad(y.square().sum(), [weights, value])]
        for y in (sum_of_kept(weights, kept, value), dense)
    ]
    torch.testing.assert_close(*found)
