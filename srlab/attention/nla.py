"""NLA: plain non-local attention (Wang et al., CVPR 2018), the baseline of LCoA's paper, arXiv 2404.04922."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from srlab.attention.contract import Attention, Map, Pattern, narrowed, softmax_attention, to_map, to_tokens, unit


@dataclass
class DensePattern(Pattern):
    """Every query attends to every key once; `stored` holds the weights for layers that reuse them."""

    query: Float[Tensor, "b heads l d"]
    key: Float[Tensor, "b heads m d"]
    stored: Float[Tensor, "b heads l m"] | None = None

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        if self.stored is not None:
            return self.stored @ value
        return softmax_attention(self.query, self.key, value)


class NLA(Attention):
    """Plain non-local attention: a softmax(θ φᵀ) g + b x, unscaled scores; θ, φ have channels // reduction channels.

    a, `residual_scale`, and b, `input_scale`, are 0.1 and 1 as for every mechanism on our trunk. Released code has
    a = 1, and b = 1 (NLSN) or b = 0.1 (the non-local network beside LCoAN, which damps its input tenfold). Later CoA
    layers reuse queries and keys, without holding scores ("recomputed"), or the [L, L] weights ("stored"). `tied`: θ
    is a 3×3 convolution and keys are θ / ‖θ‖, as LSP and NLSA compare a token with itself.
    """

    shares = True

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        residual_scale: float = 0.1,
        input_scale: float = 1.0,
        sharing: Literal["recomputed", "stored"] = "recomputed",
        tied: bool = False,
    ):
        super().__init__()
        self.residual_scale, self.input_scale, self.sharing = residual_scale, input_scale, sharing
        inner = narrowed(channels, reduction)
        if tied:
            self.theta, self.phi = nn.Conv2d(channels, inner, 3, padding=1), None
        else:
            self.theta = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.PReLU())
            self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.PReLU())
        self.g = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.PReLU())

    def pattern(self, x: Map, shared: Pattern | None = None) -> DensePattern:
        query = to_tokens(self.theta(x))[:, None]
        key = unit(query) if self.phi is None else to_tokens(self.phi(x))[:, None]
        stored = (query @ key.mT).softmax(-1) if self.sharing == "stored" else None
        return DensePattern(query, key, stored)

    def value(self, x: Map) -> Float[Tensor, "b heads m c"]:
        return to_tokens(self.g(x))[:, None]

    def output(self, x: Map, attended: Float[Tensor, "b heads l c"]) -> Map:
        return self.input_scale * x + self.residual_scale * to_map(attended[:, 0], *x.shape[2:])
