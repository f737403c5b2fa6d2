"""Spherical k-means: the learnable part of LCoA's sparse pattern."""

from __future__ import annotations

from typing import Literal

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

Points = Float[Tensor, "b n d"]
Centroids = Float[Tensor, "rounds k d"]
Codes = Int[Tensor, "b rounds n"]


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
    sizes = labels.bincount(minlength=rounds * clusters)
    if dist.is_initialized():
        dist.all_reduce(sums)
        dist.all_reduce(sizes)
    return sums.unflatten(0, (rounds, clusters)), sizes.unflatten(0, (rounds, clusters))


def lloyd_step(points: Points, centroids: Centroids) -> Centroids:
    """One Lloyd iteration: each centroid becomes the normalised sum of its points; an empty one stays."""
    sums, sizes = cluster_sums(points, assign(points, centroids), centroids.shape[1])
    return torch.where(sizes[..., None] > 0, normalize(sums, dim=-1), centroids)


def draw(points: Points, rounds: int, clusters: int, generator: torch.Generator) -> Centroids:
    """Distinct points of the pooled batch as centroids, unit length, drawn for each round by itself.

    With replacement only if there are fewer points than clusters.
    """
    pooled = normalize(points.flatten(0, 1), dim=-1)
    weights = torch.ones(rounds, len(pooled))
    rows = weights.multinomial(clusters, replacement=len(pooled) < clusters, generator=generator)
    return pooled[rows.to(pooled.device)]


class SphericalKMeans(nn.Module):
    """Centroids learnt beside the network, without gradient.

    The first training batch initialises them: k of its points, then ten Lloyd iterations. Afterwards each
    training batch moves them by an exponential moving average, or they stay frozen.

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

    References
    ----------
    arXiv 2404.04922, learnable sparse pattern.
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
    ):
        super().__init__()
        self.centroid_update = centroid_update
        self.ema_decay = ema_decay
        self.register_buffer("means", normalize(torch.randn(rounds, clusters, channels), dim=-1))
        self.register_buffer("initialised", torch.tensor(False))

    @torch.no_grad()
    def forward(self, points: Points) -> Codes:
        """Codes of the points; in training mode, learn from them too."""
        points = points.float() if points.dtype in (torch.bfloat16, torch.float16) else points
        with torch.autocast(points.device.type, enabled=False):
            if self.training and not self.initialised:
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
            everyone = [torch.empty_like(points) for _ in range(dist.get_world_size())]
            dist.all_gather(everyone, points.contiguous())
            pooled = torch.stack(everyone, 1).flatten(0, 1)
            shared_seed = torch.tensor(seed, device=points.device)
            dist.broadcast(shared_seed, 0)
            seed = shared_seed.item()
        means = draw(pooled, rounds, clusters, torch.Generator().manual_seed(seed))
        for _ in range(self.iterations):
            means = lloyd_step(points, means)
        self.means.copy_(means)
        self.initialised.fill_(True)

    def _follow(self, points: Points, codes: Codes) -> None:
        sums, sizes = cluster_sums(normalize(points, dim=-1), codes, self.means.shape[1])
        moved = normalize(
            self.ema_decay * self.means + (1 - self.ema_decay) * normalize(sums, dim=-1), dim=-1
        )
        self.means.copy_(torch.where(sizes[..., None] > 0, moved, self.means))
