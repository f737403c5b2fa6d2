"""LSP: the learnable sparse pattern, the first non-local layer of LCoA."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Pattern, ResidualAttention, to_tokens
from srlab.attention.kmeans import EmptyClusters, SphericalKMeans, Start
from srlab.attention.sorted_windows import Sharing, SortedWindows


class LSP(ResidualAttention):
    """Attention among tokens that k-means puts near each other, wherever they lie in the image.

    Query E = conv3×3(x), key E / ‖E‖, value conv1×1(x); tokens sorted by cluster and cut into windows, each
    of which sees itself and its two neighbours; x + residual_scale · result.

    Parameters
    ----------
    channels : int
    clusters, window : int
        k and w of the paper (128 and 384).
    reduction : int
        E has channels // reduction channels.
    rounds : int
        Independent sets of centroids (the paper uses one).
    residual_scale : float
    sharing : {"recomputed", "stored", "plain", "auto"}
        What :class:`~srlab.attention.coa.CoA` layers reuse: order, queries and keys, from which the fused
        kernel computes the weights anew (memory does not grow with w), or the weights themselves, as in
        the paper; "plain" is the paper's formula in full, to compare with; "auto" takes the faster.
    centroid_update, ema_decay, centroid_start, empty_clusters
        See :class:`~srlab.attention.kmeans.SphericalKMeans`.

    References
    ----------
    arXiv 2404.04922, learnable sparse pattern.
    """

    shares = True

    def __init__(
        self,
        channels: int,
        clusters: int = 128,
        window: int = 384,
        reduction: int = 1,
        rounds: int = 1,
        residual_scale: float = 0.1,
        sharing: Sharing = "recomputed",
        centroid_update: Literal["ema", "frozen"] = "ema",
        ema_decay: float = 0.999,
        centroid_start: Start = "points",
        empty_clusters: EmptyClusters = "stay",
    ):
        super().__init__(channels, residual_scale)
        self.window = window
        self.sharing = sharing
        self.match = nn.Conv2d(channels, channels // reduction, 3, padding=1)
        self.kmeans = SphericalKMeans(
            clusters,
            channels // reduction,
            rounds,
            centroid_update,
            ema_decay,
            centroid_start,
            empty_clusters,
        )

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> SortedWindows:
        query = to_tokens(self.match(x))
        key = nn.functional.normalize(query, dim=-1, eps=5e-5)
        codes = self.kmeans(key)
        return SortedWindows(query[:, None], key[:, None], codes, self.window, self.sharing)
