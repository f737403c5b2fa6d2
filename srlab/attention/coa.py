"""CoA: collaborative attention, every later non-local layer of LCoA reuses the first one's weights."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from srlab.attention.contract import Pattern, ResidualAttention


class CoA(ResidualAttention):
    """Only the value, conv1×1(x), is this layer's own; x + residual_scale · (shared weights · value).

    The weights come from the pattern of an earlier layer (:class:`~srlab.attention.lsp.LSP`, or
    :class:`~srlab.attention.nla.NLA` for CoA without the sparse pattern). Gradients flow back into it from
    every layer that shares it.

    Parameters
    ----------
    channels : int
    residual_scale : float

    References
    ----------
    arXiv 2404.04922, collaborative attention. The released code also creates and runs a match convolution
    here and never uses it; this does not.
    """

    shares = True

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> Pattern:
        if shared is None:
            raise ValueError("CoA reuses an earlier layer's pattern, but `shared` is None: put LSP or NLA before it")
        return shared
