"""Spherical k-means: the released iterations, the updates as the paper defines them, and other ways."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from srlab.attention.kmeans import SphericalKMeans, assign, cluster_sums, draw, draw_apart, lloyd_step, reseed


@pytest.mark.parametrize("name", ["kmeans_spherical", "kmeans_empty_cluster"])
def test_lloyd_iterations_equal_the_released_code(golden, name):
    case = golden(name).tensors
    points, means = case["points"][:, 0], case["centroids_start"]
    for iteration in range(1, 11):
        means = lloyd_step(points, means)
        if iteration in (1, 10):
            torch.testing.assert_close(means, case[f"centroids_after_{iteration}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("start", [draw, draw_apart])
@settings(max_examples=40)
@given(n=st.integers(1, 30), k=st.integers(1, 40), rounds=st.integers(1, 3), seed=st.integers(0, 99))
def test_drawn_centroids_are_distinct_unit_points(start, n, k, rounds, seed):
    points = torch.randn(2, n, 5, generator=torch.Generator().manual_seed(seed))
    centroids, again = (start(points, rounds, k, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(centroids, again)
    torch.testing.assert_close(centroids.norm(dim=-1), torch.ones(rounds, k))
    if k <= 2 * n:
        assert all(len(one.unique(dim=0)) == k for one in centroids)


def test_the_first_training_batch_sets_the_centroids_and_already_uses_them():
    kmeans, points = SphericalKMeans(4, 6), torch.randn(2, 50, 6)
    before = kmeans.means.clone()
    kmeans.eval()(points)
    assert torch.equal(kmeans.means, before) and not kmeans.initialised
    codes = kmeans.train()(points)
    assert kmeans.initialised and not torch.equal(kmeans.means, before)
    assert torch.equal(codes, assign(3 * points, kmeans.means))  # whatever the points' length
    loaded = SphericalKMeans(4, 6).train()
    loaded.load_state_dict(kmeans.state_dict())  # these centroids are followed, not set anew
    assert torch.equal(kmeans(points), loaded(points)) and torch.equal(kmeans.means, loaded.means)


@pytest.mark.parametrize(
    ("update", "decay", "training"),
    [("ema", 0.0, True), ("ema", 0.9, True), ("ema", 1.0, True), ("frozen", 0.9, True), ("ema", 0.5, False)],
)
def test_centroids_follow_by_moving_average_in_training_unless_frozen(update, decay, training):
    kmeans = SphericalKMeans(4, 6, centroid_update=update, ema_decay=decay).train()
    kmeans(torch.randn(2, 50, 6))
    before, points = kmeans.means.clone(), 3 * torch.randn(2, 50, 6)
    codes = kmeans.train(training)(points)
    assert torch.equal(codes, assign(points, before))  # codes come from the centroids before the update
    if update == "frozen" or not training:
        assert torch.equal(kmeans.means, before)
        return
    for c, (old, new) in enumerate(zip(before[0], kmeans.means[0], strict=True)):
        members = normalize(points[codes[:, 0] == c], dim=-1)
        expected = normalize(decay * old + (1 - decay) * normalize(members.sum(0), dim=0), dim=0)
        torch.testing.assert_close(new, expected if len(members) else old)


@pytest.mark.parametrize("seed", range(5))
def test_kmeans_plus_plus_finds_small_groups_that_uniform_draws_miss(seed):
    """Narrow groups along eight axes: 600 points on the first, eight on each other one."""
    axes = torch.eye(8).repeat_interleave(torch.tensor([600] + [8] * 7), 0)
    points = (axes + 0.002 * torch.randn(axes.shape))[None]
    uniform, apart = (
        assign(start(points, 1, 8, torch.Generator().manual_seed(seed)), torch.eye(8)[None]).unique()
        for start in (draw, draw_apart)
    )
    assert len(uniform) < 5 and len(apart) == 8
    repeated = draw_apart(torch.eye(8)[None], 2, 20, torch.Generator().manual_seed(seed))  # goes on after all points
    assert repeated.shape == (2, 20, 8) and all(len(one[:8].unique(dim=0)) == 8 for one in repeated)


def test_empty_clusters_take_the_worst_represented_points_and_the_others_stay():
    centroids = torch.eye(4)[None]
    points = torch.tensor([[[5.0, 0, 0, 0], [1, 0.9, 0, 0], [1, 0, 0.1, 0], [1, 0, 0.5, 0]]])
    sizes = cluster_sums(points, assign(points, centroids), 4)[1]
    moved = reseed(points, centroids, sizes)
    assert torch.equal(moved[0, 0], centroids[0, 0])
    torch.testing.assert_close(moved[0, 1:], normalize(points[0, [1, 3, 2]], dim=-1))
    few = reseed(points[:, 1:2], centroids, sizes)
    torch.testing.assert_close(few[0, 1], normalize(points[0, 1], dim=-1))
    assert torch.equal(few[0, 2:], centroids[0, 2:])


@pytest.mark.parametrize("start", ["points", "kmeans++"])
@pytest.mark.parametrize("rounds", [1, 2])
def test_reseeded_clusters_do_not_stay_empty(start, rounds):
    """Features leave the first centroids, as those of a network in training do."""
    generator = torch.Generator().manual_seed(0)
    before, after = (torch.randn(2, 60, 8, generator=generator) + shift for shift in (3, -3))
    empty = {}
    for policy in ("stay", "reseed"):
        torch.manual_seed(1)
        kmeans = SphericalKMeans(40, 8, rounds, centroid_start=start, empty_clusters=policy).train()
        for points in (before, *10 * [after]):
            kmeans(points)
        empty[policy] = (cluster_sums(after, assign(after, kmeans.means), 40)[1] == 0).sum(1)
        torch.testing.assert_close(kmeans.means.norm(dim=-1), torch.ones(rounds, 40))
    assert (empty["stay"] > 20).all() and (empty["reseed"] == 0).all()


@pytest.mark.parametrize("options", [{}, {"centroid_start": "kmeans++"}, {"empty_clusters": "reseed"}])
def test_k_means_follows_from_the_seed_and_options_are_the_papers_by_default(options):
    batches = torch.randn(3, 2, 50, 6, generator=torch.Generator().manual_seed(0)) + 1

    def learnt(**options):
        torch.manual_seed(7)
        kmeans = SphericalKMeans(20, 6, 2, ema_decay=0.5, **options).train()
        return torch.stack([kmeans(batch) for batch in batches]), kmeans.state_dict()

    (codes, state), (again, same) = learnt(**options), learnt(**options)
    assert torch.equal(state["means"], same["means"]) and torch.equal(codes, again)
    assert set(state) == {"means", "initialised"}
    _, paper = learnt(centroid_start="points", empty_clusters="stay")
    assert torch.equal(state["means"], paper["means"]) == (not options)


LEARN = """
import multiprocessing, sys, torch, torch.distributed as dist
from srlab.attention.kmeans import SphericalKMeans

def learn(rank, processes, folder=sys.argv[1]):
    if processes > 1:
        dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=processes)
    batches = torch.randn(6, 4, 50, 6, generator=torch.Generator().manual_seed(0)) + 1
    batches[3:] -= 2  # features move on, so that clusters become empty
    torch.manual_seed(7 + rank)
    kmeans = SphericalKMeans(30, 6, 2, "ema", 0.5, "kmeans++", "reseed").train()
    for batch in batches:
        kmeans(batch[rank::processes])
    torch.save(kmeans.means, f"{folder}/{processes}-{rank}.pt")
    if processes > 1:  # a process that leaves early may abort the other
        dist.barrier()
        dist.destroy_process_group()

for of_all in ((0, 1), (0, 2), (1, 2)):
    multiprocessing.get_context("fork").Process(target=learn, args=of_all).start()
"""


@pytest.mark.slow
def test_two_processes_end_with_the_centroids_of_one(tmp_path):
    """With gloo, two processes learn from halves of each batch the same as one from all."""
    subprocess.run([sys.executable, "-c", LEARN, tmp_path], check=True, timeout=120)
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert torch.equal(first, second)
    torch.testing.assert_close(alone, first, rtol=0, atol=1e-5)
