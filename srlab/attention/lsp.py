"""LSP, the learnable sparse pattern: the first attention layer of LCoA (arXiv 2404.04922). LCoA from end to end::

# LSP, for features x [b, c, h, w] of L = h·w tokens
E = conv3x3(x)                                   # lsp.py: queries [b, L, d]
K = E / |E|                                      # lsp.py: keys [b, L, d]
codes = argmax_j <K, means_j>                    # kmeans.py: the nearest of k clusters [b, L]
means = unit(λ·means + (1 - λ)·unit(sums of K))  # kmeans.py: in training, without gradient
order = stable_argsort(codes)                    # sorted_windows.py: similar tokens become neighbours
Q = own(E, order)                                # sorted_windows.py: L / w windows of w queries
N = neighbours(K, order)                         # sorted_windows.py: 3w keys: previous, own and next window
A = softmax(Q·Nᵀ)                                # contract.py: softmax_attention, without holding scores
V = neighbours(conv1x1(x), order)                # contract.py: ResidualAttention.value
y = x + 0.1·unsort(A·V)                          # contract.py: ResidualAttention.output
# CoA, each later layer: V and y again, by a conv1x1 of its own, with the same order and A
y = x + 0.1·unsort(A·neighbours(conv1x1(x), order))  # coa.py; the network: srlab/models/on_trunk.py, lcoan
"""

from __future__ import annotations

import torch
from torch import nn

from srlab.attention.contract import Map, Pattern, ResidualAttention, narrowed, to_tokens, unit
from srlab.attention.kmeans import SphericalKMeans
from srlab.attention.sorted_windows import Sharing, SortedWindows


class LSP(ResidualAttention):
    """Attention among tokens of one k-means cluster and its neighbours, wherever they lie in the image.

    `clusters` and `window` are k and w of the paper, 128 and 384; `rounds`, sets of centroids, are 1 there. E has
    channels // reduction channels. `sharing`, what later layers reuse, is an option of
    :class:`~srlab.attention.sorted_windows.SortedWindows`, `learning` are those of
    :class:`~srlab.attention.kmeans.SphericalKMeans`. Not `tied`: keys, which are clustered, are E / ‖E‖ as before, and
    queries come from a convolution of their own.
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
        tied: bool = True,
        **learning: str | float,
    ):
        super().__init__(channels, residual_scale)
        self.window, self.sharing = window, sharing
        inner = narrowed(channels, reduction)
        self.match = nn.Conv2d(channels, inner, 3, padding=1)
        self.ask = None if tied else nn.Conv2d(channels, inner, 3, padding=1)
        self.kmeans = SphericalKMeans(clusters, inner, rounds, **learning)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern]:
        return super().forward(x.contiguous(memory_format=torch.channels_last), shared)

    def pattern(self, x: Map, shared: Pattern | None = None) -> SortedWindows:
        embedding = to_tokens(self.match(x))
        query, key = embedding if self.ask is None else to_tokens(self.ask(x)), unit(embedding)
        codes = self.kmeans(key)
        return SortedWindows(query[:, None], key[:, None], codes, self.window, self.sharing)
