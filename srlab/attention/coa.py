"""CoA: collaborative attention, every later layer of LCoA reuses the first one's weights; lsp.py has the whole path."""

from __future__ import annotations

from srlab.attention.contract import Map, Pattern, ResidualAttention


class CoA(ResidualAttention):
    """x + residual_scale · (shared weights · value); only the value, conv1×1(x), is this layer's own.

    The weights are those of an earlier layer, LSP or, without the sparse pattern, NLA; gradients of all layers flow
    back into it. The released code also runs a match convolution here, in vain.
    """

    shares = True

    def pattern(self, x: Map, shared: Pattern | None = None) -> Pattern:
        if shared is None:
            raise ValueError("CoA reuses an earlier layer's pattern, but `shared` is None: put LSP or NLA before it")
        return shared
