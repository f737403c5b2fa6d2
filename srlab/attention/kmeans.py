"""Spherical k-means: the learnable part of LCoA's sparse pattern."""

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
Start = Literal["points", "kmeans++"]
EmptyClusters = Literal["stay", "reseed"]


def assign(points: Points, centroids: Centroids) -> Codes:
    """The nearest centroid of each point by angle: argmax of ⟨point, centroid⟩ (unit centroids).

    The length of a point does not matter, so points need not be normalised.
    """
    similarity = points[:, None] @ centroids.mT
    return similarity.argmax(-1)


def cluster_sums(
    points: Points, codes: Codes, clusters: int
) -> tuple[Float[Tensor, "rounds k d"], Int[Tensor, "rounds k"]]:
    """Sum of the points of each cluster over the whole batch (and over all processes), and their number."""
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
    """One Lloyd iteration: each centroid becomes the normalised sum of its points.

    That of an empty cluster stays, or is re-seeded; see :func:`reseed`.
    """
    sums, sizes = cluster_sums(points, assign(points, centroids), centroids.shape[1])
    empty = reseed(points, centroids, sizes) if empty_clusters == "reseed" else centroids
    return torch.where(sizes[..., None] > 0, normalize(sums, dim=-1), empty)


def reseed(points: Points, centroids: Centroids, sizes: Int[Tensor, "rounds k"]) -> Centroids:
    """The centroids, those of empty clusters put where the worst represented points are.

    Of m empty clusters each takes one of the m points whose cosine to the nearest centroid is lowest, over
    the whole batch (and over all processes), of unit length. With fewer points than that the others stay.

    References
    ----------
    Bradley, Fayyad: Refining initial points for k-means clustering, ICML 1998: empty clusters take the points
    that are farthest from their centroids.
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
    turn = empty.cumsum(1) - 1
    filled = empty & (turn < worst.shape[1])
    taken = worst.take_along_dim(turn.clamp(0, worst.shape[1] - 1)[..., None], 1)
    return torch.where(filled[..., None], taken, centroids)


def draw(points: Points, rounds: int, clusters: int, generator: torch.Generator) -> Centroids:
    """Distinct points of the pooled batch as centroids, unit length, drawn for each round by itself.

    With replacement only if there are fewer points than clusters.
    """
    pooled = normalize(points.flatten(0, 1), dim=-1)
    weights = torch.ones(rounds, len(pooled))
    rows = weights.multinomial(clusters, replacement=len(pooled) < clusters, generator=generator)
    return pooled[rows.to(pooled.device)]


def draw_apart(points: Points, rounds: int, clusters: int, generator: torch.Generator) -> Centroids:
    """Points of the pooled batch as centroids, unit length, drawn by k-means++ for each round by itself.

    The first is any; each later one is drawn with a probability proportional to 1 − its cosine to the nearest
    of those before it, which on the unit sphere is half the squared distance. Where none is left that differs
    from these, any is drawn.

    References
    ----------
    Arthur, Vassilvitskii: k-means++: the advantages of careful seeding, SODA 2007. With 1 − cosine: Endo,
    Miyamoto: Spherical k-means++ clustering, MDAI 2015.
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
    """The tensor of every process, in their order."""
    part = part.contiguous()
    everyone = [torch.empty_like(part) for _ in range(dist.get_world_size())]
    dist.all_gather(everyone, part)
    return everyone


class SphericalKMeans(nn.Module):
    """Centroids learnt beside the network, without gradient.

    The first training batch initialises them: k of its points, then ten Lloyd iterations on the unit sphere.
    Afterwards each training batch moves them by an exponential moving average, or they stay frozen.

    Parameters
    ----------
    clusters, channels : int
    rounds : int
        Independent sets of centroids.
    centroid_update : {"ema", "frozen"}
        "ema" is the paper's text; "frozen" is what its released code does: it computes the average and
        never writes it back. λ = 0 is "ema" with decay 0: the last batch alone.
    ema_decay : float
        λ in [0, 1].
    centroid_start : {"points", "kmeans++"}
        Which k points: any, as in the paper, or by :func:`draw_apart`.
    empty_clusters : {"stay", "reseed"}
        What becomes of a centroid that no point of a batch is nearest to: it stays, as in the paper, or it is
        put where the batch is worst represented, by :func:`reseed`; in each Lloyd iteration and, unless
        centroids are frozen, with each training batch.

    References
    ----------
    arXiv 2404.04922, learnable sparse pattern. Dhillon, Modha: Concept decompositions for large sparse text
    data using clustering, Machine Learning 42, 2001: spherical k-means.
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
        self.centroid_update = centroid_update
        self.ema_decay = ema_decay
        self.centroid_start = centroid_start
        self.empty_clusters = empty_clusters
        self.register_buffer("means", normalize(torch.randn(rounds, clusters, channels), dim=-1))
        self.register_buffer("initialised", torch.tensor(False))
        self._begun = False  # the same, known without waiting for the device in each step

    def _load_from_state_dict(self, *arguments: object, **options: object) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._begun = bool(self.initialised)

    @torch.no_grad()
    def forward(self, points: Points) -> Codes:
        """Codes of the points; in training mode, learn from them too."""
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
            # All processes draw the same centroids from the points of all of them.
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
