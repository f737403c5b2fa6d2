"""CoA: collaborative attention; every later layer of LCoA reuses the first one's weights (the path: lsp.py)."""

from __future__ import annotations

from srlab.attention.contract import Map, Pattern, ResidualAttention


class CoA(ResidualAttention):
    """x + residual_scale · (shared weights · value); only the value, conv1×1(x), is this layer's own.

    The weights are those of an earlier layer: :class:`~srlab.attention.lsp.LSP`, or
    :class:`~srlab.attention.nla.NLA` without the sparse pattern. Every layer that shares them sends gradients back.

    References
    ----------
    arXiv 2404.04922, collaborative attention; without the match convolution that the released code runs here in vain.
    """

    shares = True

    def pattern(self, x: Map, shared: Pattern | None = None) -> Pattern:
        if shared is None:
            raise ValueError("CoA reuses an earlier layer's pattern, but `shared` is None: put LSP or NLA before it")
        return shared
