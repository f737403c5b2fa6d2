"""CoA that sums scores: each later layer adds its own q·k to the scores handed on, before the softmax.

CoA keeps the first layer's scores, LSP or NLA in every layer makes its own; the sum lies between. It is what PFT does
without cuts (arXiv 2503.20337), since a product of softmaxes is the softmax of a sum::

E = conv3x3(x)                                           # this layer's own match
Q, K = [Q_before, E], [K_before, E / |E|]                # Q·Kᵀ = the sum of all layers' scores so far
y = x + 0.1·softmax(Q·Kᵀ)·conv1x1(x)                     # on the first layer's windows, or dense
"""

from __future__ import annotations

import torch
from torch import nn

from srlab.attention.contract import Map, Pattern, ResidualAttention, to_tokens, unit
from srlab.attention.nla import NLA, DensePattern
from srlab.attention.sorted_windows import SortedWindows


class SummedLSP(ResidualAttention):
    """A layer after :class:`~srlab.attention.lsp.LSP`: its clusters and windows, the sum of its scores and one's own.

    The layer's own scores are LSP's: a match convolution of channels // reduction channels, keys of length one.
    """

    shares = True

    def __init__(self, channels: int, reduction: int = 1, residual_scale: float = 0.1):
        super().__init__(channels, residual_scale)
        self.match = nn.Conv2d(channels, channels // reduction, 3, padding=1)

    def pattern(self, x: Map, shared: Pattern | None = None) -> SortedWindows:
        if not isinstance(shared, SortedWindows):
            raise ValueError("SummedLSP adds to an earlier layer's scores: `shared` must be the pattern of an LSP")
        query = to_tokens(self.match(x))[:, None]
        queries, keys = torch.cat([shared.query, query], -1), torch.cat([shared.key, unit(query)], -1)
        return SortedWindows(queries, keys, shared.codes, shared.window)


class SummedNLA(NLA):
    """A layer after :class:`~srlab.attention.nla.NLA` that adds its own scores to those handed on."""

    def pattern(self, x: Map, shared: Pattern | None = None) -> DensePattern:
        if shared is None:
            raise ValueError("SummedNLA adds to an earlier layer's scores, but `shared` is None: put NLA before it")
        own = super().pattern(x)
        return DensePattern(torch.cat([shared.query, own.query], -1), torch.cat([shared.key, own.key], -1))
