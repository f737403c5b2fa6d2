"""LSP: the learnable sparse pattern, the first layer of LCoA. The whole path of LCoA (arXiv 2404.04922):

::

    # The first layer, LSP, of x [b, c, h, w], which has L = h·w tokens
    E = conv3x3(x)                                # [b, L, c], queries             lsp.py
    K = E / ‖E‖                                   # [b, L, c], keys                lsp.py
    codes = argmax_j ⟨K, means_j⟩                 # [b, L], j of k clusters        kmeans.py: assign
    means = unit(λ·means + (1 − λ)·sums of K)     # in training, no gradient       kmeans.py: SphericalKMeans
    order = stable_argsort(codes)                 # similar tokens meet            sorted_windows.py
    Q, N = windows(E[order]), neighbours(K[order])  # w queries, 3w keys each      sorted_windows.py: own, neighbours
    A = softmax(Q·Nᵀ)                             # fused: scores are not held     contract.py, fused.py
    y = x + 0.1·unsort(A·neighbours(conv1x1(x)))  # values and output              contract.py: ResidualAttention
    # Each later layer, CoA: the same order and A, values of its own
    y = x + 0.1·unsort(A·neighbours(conv1x1(x)))  #                                coa.py
    # Units of residual blocks around these layers: srlab/models/trunk.py, lcoan in on_trunk.py
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from srlab.attention.contract import Map, Pattern, ResidualAttention, to_tokens
from srlab.attention.kmeans import EmptyClusters, SphericalKMeans, Start
from srlab.attention.sorted_windows import Sharing, SortedWindows


class LSP(ResidualAttention):
    """Attention among tokens of one k-means cluster and its neighbours, wherever they lie in the image.

    Parameters
    ----------
    clusters, window : int
        k and w of the paper, 128 and 384; a window attends to itself and its two neighbours.
    reduction : int
        E has channels // reduction channels.
    rounds : int
        Independent sets of centroids; 1 in the paper.
    residual_scale : float
        Output x + residual_scale · result.
    sharing : {"recomputed", "stored", "plain", "auto"}
        What :class:`~srlab.attention.coa.CoA` layers reuse; see
        :class:`~srlab.attention.sorted_windows.SortedWindows`. Memory grows with w except for "recomputed".
    centroid_update, ema_decay, centroid_start, empty_clusters
        See :class:`~srlab.attention.kmeans.SphericalKMeans`.
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
        self.window, self.sharing = window, sharing
        inner = channels // reduction
        self.match = nn.Conv2d(channels, inner, 3, padding=1)
        learning = (centroid_update, ema_decay, centroid_start, empty_clusters)
        self.kmeans = SphericalKMeans(clusters, inner, rounds, *learning)

    def pattern(self, x: Map, shared: Pattern | None = None) -> SortedWindows:
        query = to_tokens(self.match(x))
        key = nn.functional.normalize(query, dim=-1, eps=5e-5)
        codes = self.kmeans(key)
        return SortedWindows(query[:, None], key[:, None], codes, self.window, self.sharing)
