"""Spherical k-means: the released iterations, and the centroids' updates as the paper defines them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from srlab.attention.kmeans import SphericalKMeans, assign, draw, lloyd_step


@pytest.mark.parametrize("name", ["kmeans_spherical", "kmeans_empty_cluster"])
def test_lloyd_iterations_equal_the_released_code(golden, name):
    case = golden(name).tensors
    points, means = case["points"][:, 0], case["centroids_start"]
    for iteration in range(1, 11):
        means = lloyd_step(points, means)
        if iteration in (1, 10):
            torch.testing.assert_close(means, case[f"centroids_after_{iteration}"], rtol=0, atol=1e-5)


def test_an_empty_cluster_keeps_its_centroid(golden):
    case = golden("kmeans_empty_cluster").tensors
    moved = lloyd_step(case["points"][:, 0], case["centroids_start"])
    assert torch.equal(moved[0, 3], case["centroids_start"][0, 3])
    assert not torch.equal(moved[0, 5], case["centroids_start"][0, 5])


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 30), k=st.integers(1, 40), rounds=st.integers(1, 3), seed=st.integers(0, 99))
def test_drawn_centroids_are_distinct_unit_points(n, k, rounds, seed):
    points = torch.randn(2, n, 5, generator=torch.Generator().manual_seed(seed))
    centroids = draw(points, rounds, k, torch.Generator().manual_seed(seed))
    again = draw(points, rounds, k, torch.Generator().manual_seed(seed))
    assert torch.equal(centroids, again)
    torch.testing.assert_close(centroids.norm(dim=-1), torch.ones(rounds, k))
    if k <= 2 * n:
        assert all(len(one.unique(dim=0)) == k for one in centroids)


def test_assignment_ignores_length():
    points, centroids = torch.randn(2, 50, 6), normalize(torch.randn(1, 4, 6), dim=-1)
    assert torch.equal(assign(points, centroids), assign(3 * points, centroids))


def test_the_first_training_batch_sets_the_centroids_and_already_uses_them():
    kmeans = SphericalKMeans(4, 6)
    points = torch.randn(2, 50, 6)
    before = kmeans.means.clone()
    kmeans.eval()(points)
    assert torch.equal(kmeans.means, before) and not kmeans.initialised
    codes = kmeans.train()(points)
    assert kmeans.initialised and not torch.equal(kmeans.means, before)
    assert torch.equal(codes, assign(points, kmeans.means))


def moved_by(update: str, decay: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means before and after a second batch, that batch, and the codes it got."""
    kmeans = SphericalKMeans(4, 6, centroid_update=update, ema_decay=decay).train()
    kmeans(torch.randn(2, 50, 6))
    before, points = kmeans.means.clone(), 3 * torch.randn(2, 50, 6)
    codes = kmeans(points)
    return before, kmeans.means, points, codes


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_moving_average_is_as_the_paper_defines_it(decay):
    before, after, points, codes = moved_by("ema", decay)
    assert torch.equal(codes, assign(points, before))  # codes come from the centroids before the update
    unit = normalize(points, dim=-1).flatten(0, 1)
    for c in range(4):
        members = unit[codes.flatten() == c]
        expected = before[0, c]
        if len(members):
            expected = normalize(decay * before[0, c] + (1 - decay) * normalize(members.sum(0), dim=0), dim=0)
        torch.testing.assert_close(after[0, c], expected)


def test_frozen_centroids_stay_as_the_first_batch_left_them():
    before, after, _, _ = moved_by("frozen", 0.9)
    assert torch.equal(before, after)


def test_centroids_follow_in_training_only():
    kmeans = SphericalKMeans(4, 6, ema_decay=0.5).train()
    kmeans(torch.randn(1, 50, 6))
    before = kmeans.means.clone()
    kmeans.eval()(torch.randn(1, 50, 6))
    assert torch.equal(kmeans.means, before)
    kmeans.train()(torch.randn(1, 50, 6))
    assert not torch.equal(kmeans.means, before)
