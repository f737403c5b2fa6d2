"""Spherical k-means: the learnable part of LCoA's sparse pattern, arXiv 2404.04922.

Source: Dhillon, Modha, Concept decompositions for large sparse text data using clustering, Machine Learning 42, 2001.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from srlab.attention.precision import without_autocast

Points = Float[Tensor, "b n d"]
Centroids = Float[Tensor, "rounds k d"]
Codes = Int[Tensor, "b rounds n"]
Sizes = Int[Tensor, "rounds k"]
Start = Literal["points", "kmeans++"]
EmptyClusters = Literal["stay", "reseed"]


def assign(points: Points, centroids: Centroids) -> Codes:
    """Return each point's nearest unit centroid by angle, argmax ⟨point, centroid⟩; points may have any length."""
    return (points[:, None] @ centroids.mT).argmax(-1)


def cluster_sums(points: Points, codes: Codes, clusters: int) -> tuple[Centroids, Sizes]:
    """Return the sum of each cluster's points and their number, over the batch and all processes."""
    rounds = codes.shape[1]
    labels = (codes + clusters * torch.arange(rounds, device=codes.device)[:, None]).flatten()
    members = points[:, None].expand(-1, rounds, -1, -1).flatten(0, 2)
    sums = members.new_zeros(rounds * clusters, points.shape[-1]).index_add_(0, labels, members)
    sizes = labels.new_zeros(rounds * clusters).index_add_(0, labels, torch.ones_like(labels))
    if dist.is_initialized():
        dist.all_reduce(sums)
        dist.all_reduce(sizes)
    return sums.unflatten(0, (rounds, clusters)), sizes.unflatten(0, (rounds, clusters))


def lloyd_step(points: Points, centroids: Centroids, empty_clusters: EmptyClusters = "stay") -> Centroids:
    """Run one Lloyd iteration: each centroid becomes the normalised sum of its points; empty ones may be re-seeded."""
    sums, sizes = cluster_sums(points, assign(points, centroids), centroids.shape[1])
    empty = reseed(points, centroids, sizes) if empty_clusters == "reseed" else centroids
    return torch.where(sizes[..., None] > 0, normalize(sums, dim=-1), empty)


def reseed(points: Points, centroids: Centroids, sizes: Sizes) -> Centroids:
    """Move centroids of empty clusters to the points with the lowest cosine to their nearest centroid.

    The points are those of the batch and all processes, at unit length. With fewer points than empty clusters, the
    other centroids stay. Source: Bradley, Fayyad, Refining initial points for k-means clustering, ICML 1998.
    """
    unit = normalize(points, dim=-1)
    nearest = (unit[:, None] @ centroids.mT).amax(-1).transpose(0, 1).flatten(1)
    cosine, rows = nearest.topk(min(sizes.shape[1], nearest.shape[1]), largest=False)
    worst = unit.flatten(0, 1)[rows]
    if dist.is_initialized():
        # The worst of all processes are among the worst of each.
        cosines, tokens = (_gather(part) for part in (cosine, worst))
        cosine, worst = torch.cat(cosines, 1), torch.cat(tokens, 1)
        order = cosine.argsort(stable=True, dim=1)
        worst = worst.take_along_dim(order[..., None], 1)
    empty = sizes == 0
    rank = empty.cumsum(1) - 1
    moved = empty & (rank < worst.shape[1])
    taken = worst.take_along_dim(rank.clamp(0, worst.shape[1] - 1)[..., None], 1)
    return torch.where(moved[..., None], taken, centroids)


def draw(points: Points, rounds: int, clusters: int, generator: torch.Generator) -> Centroids:
    """Draw points of the batch as unit centroids, for each round; distinct unless there are fewer than clusters."""
    pooled = normalize(points.flatten(0, 1), dim=-1)
    weights = torch.ones(rounds, len(pooled))
    rows = weights.multinomial(clusters, replacement=len(pooled) < clusters, generator=generator)
    return pooled[rows.to(pooled.device)]


def draw_apart(points: Points, rounds: int, clusters: int, generator: torch.Generator) -> Centroids:
    """Draw points of the batch as unit centroids by k-means++, for each round.

    The first is uniform. The probability of each later one is proportional to 1 − its cosine to the nearest before it,
    half the squared distance; uniform if all points are drawn. Sources: Arthur, Vassilvitskii, k-means++, SODA 2007;
    Endo, Miyamoto, Spherical k-means++ clustering, MDAI 2015.
    """
    pooled = normalize(points.flatten(0, 1), dim=-1).cpu()  # on the CPU, as the generator is
    apart = torch.ones(rounds, len(pooled))
    drawn = []
    for _ in range(clusters):
        weights = torch.where(apart.amax(1, keepdim=True) > 0, apart, 1.0)
        row = weights.multinomial(1, generator=generator)
        drawn.append(pooled[row[:, 0]])
        apart = apart.minimum((1 - drawn[-1] @ pooled.mT).clamp(min=0)).scatter(1, row, 0)
    return torch.stack(drawn, 1).to(points.device)


def _gather(part: Tensor) -> list[Tensor]:
    """Return the tensor of every process, in their order."""
    part = part.contiguous()
    everyone = [torch.empty_like(part) for _ in range(dist.get_world_size())]
    dist.all_gather(everyone, part)
    return everyone


class SphericalKMeans(nn.Module):
    """Centroids that follow the training batches, without gradient; `rounds` sets of them, independently.

    The first batch initialises them: k of its points, then ten Lloyd iterations on the unit sphere. Each later batch
    moves them by an exponential moving average of decay λ in [0, 1]; 0 keeps the last batch alone.

    Parameters
    ----------
    centroid_update : {"ema", "frozen"}
        "ema" is the paper's text; its released code computes the average but never writes it back: "frozen".
    centroid_start : {"points", "kmeans++"}
        The first k points, by :func:`draw`, as in the paper, or by :func:`draw_apart`.
    empty_clusters : {"stay", "reseed"}
        Centroids of empty clusters stay, as in the paper, or move by :func:`reseed`: in each Lloyd iteration and,
        unless frozen, with each training batch.
    """

    iterations = 10
    means: Float[Tensor, "rounds k d"]
    initialised: Bool[Tensor, ""]

    def __init__(
        self,
        clusters: int,
        channels: int,
        rounds: int = 1,
        centroid_update: Literal["ema", "frozen"] = "ema",
        ema_decay: float = 0.999,
        centroid_start: Start = "points",
        empty_clusters: EmptyClusters = "stay",
    ):
        super().__init__()
        self.centroid_update, self.ema_decay = centroid_update, ema_decay
        self.centroid_start, self.empty_clusters = centroid_start, empty_clusters
        self.register_buffer("means", normalize(torch.randn(rounds, clusters, channels), dim=-1))
        self.register_buffer("initialised", torch.tensor(False))
        self._begun = False  # the same on the host: no step waits for the device

    def _load_from_state_dict(self, *arguments: object, **options: object) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._begun = bool(self.initialised)

    @torch.no_grad()
    def forward(self, points: Points) -> Codes:
        """Return the codes of the points; in training mode, learn from the points too."""
        points = points.float() if points.dtype in (torch.bfloat16, torch.float16) else points
        with without_autocast(points.device):
            if self.training and not self._begun:
                self._initialise(points)
                return assign(points, self.means)
            codes = assign(points, self.means)
            if self.training and self.centroid_update == "ema":
                self._follow(points, codes)
            return codes

    def _initialise(self, points: Points) -> None:
        rounds, clusters, _ = self.means.shape
        seed = torch.randint(2**31, ()).item()
        pooled = points
        if dist.is_initialized():
            # Every process draws the same centroids from the points of all processes.
            pooled = torch.stack(_gather(points), 1).flatten(0, 1)
            shared_seed = torch.tensor(seed, device=points.device)
            dist.broadcast(shared_seed, 0)
            seed = shared_seed.item()
        start = draw_apart if self.centroid_start == "kmeans++" else draw
        means = start(pooled, rounds, clusters, torch.Generator().manual_seed(seed))
        for _ in range(self.iterations):
            means = lloyd_step(points, means, self.empty_clusters)
        self.means.copy_(means)
        self.initialised.fill_(True)
        self._begun = True

    def _follow(self, points: Points, codes: Codes) -> None:
        sums, sizes = cluster_sums(normalize(points, dim=-1), codes, self.means.shape[1])
        moved = normalize(self.ema_decay * self.means + (1 - self.ema_decay) * normalize(sums, dim=-1), dim=-1)
        empty = reseed(points, self.means, sizes) if self.empty_clusters == "reseed" else self.means
        self.means.copy_(torch.where(sizes[..., None] > 0, moved, empty))
