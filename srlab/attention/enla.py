"""ENLA: efficient non-local contrastive attention (Xia et al., AAAI 2022), by random features, linear in the tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from srlab.attention.contract import Pattern, ResidualAttention, gather_rows, to_tokens
from srlab.attention.precision import without_autocast
from srlab.errors import InputError

Tokens = Float[Tensor, "b 1 l d"]

#: Tokens in a block on a CPU: 1 MiB of features at the published size.
BLOCK = 2048


@dataclass
class RandomFeatures(Pattern):
    """Every query attends to every key, by φ(q)·φ(k) in place of exp(q·k), its expectation."""

    query: Tokens
    key: Tokens
    projection: Float[Tensor, "features d"]

    def features(self, tokens: Tokens) -> Float[Tensor, "b 1 l features"]:
        """Return φ without the paper's factor 1 / √features, which normalisation cancels."""
        exponent = tokens @ self.projection.mT - tokens.square().sum(-1, keepdim=True) / 2
        return exponent.exp() + 1e-4

    def attend(self, value: Float[Tensor, "b 1 l c"]) -> Float[Tensor, "b 1 l c"]:
        """Return φ(q)·(φ(k)ᵀ v) / φ(q)·(φ(k)ᵀ 1): sums over keys come first.

        A block's features stay in a CPU's cache. An exported program, for images of any size, has one block.
        """
        with without_autocast(value.device):
            carried = total = 0.0
            for key, values in zip(_blocks(self.key), _blocks(value), strict=True):
                features = self.features(key)
                carried = carried + features.mT @ values.to(features.dtype)
                total = total + features.sum(-2).unsqueeze(-1)
            queries = (self.features(query) for query in _blocks(self.query))
            return torch.cat([features @ carried / (features @ total) for features in queries], 2)

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b 1 q l"]:
        """Return attention weights by the plain formula, here the normalised products of features."""
        query = self.query if queries is None else self.query[:, :, queries]
        products = self.features(query) @ self.features(self.key).mT
        return products / products.sum(-1, keepdim=True)


def _blocks(tokens: Float[Tensor, "b 1 l d"]) -> tuple[Float[Tensor, "b 1 _ d"], ...]:
    whole = tokens.device.type != "cpu" or torch.compiler.is_exporting()
    return (tokens,) if whole else tokens.split(BLOCK, 2)


class ENLA(ResidualAttention):
    """Non-local attention by random features; in training, with a contrastive loss that sharpens it.

    Query, key and value are conv1×1(x); query and key have channels // reduction channels and the length
    `amplification`. `features` is m of the paper, 128. `contrastive_weight` is that of the loss in `auxiliary_loss`;
    0 for none. The loss needs maps of at least 65 tokens.
    """

    projection: Float[Tensor, "features d"]

    def __init__(
        self,
        channels: int,
        reduction: int = 4,
        features: int = 128,
        amplification: float = 6**0.5,
        residual_scale: float = 0.1,
        contrastive_weight: float = 1e-3,
    ):
        super().__init__(channels, residual_scale)
        self.amplification, self.contrastive_weight = amplification, contrastive_weight
        self.match_query = nn.Conv2d(channels, channels // reduction, 1)
        self.match_key = nn.Conv2d(channels, channels // reduction, 1)
        self.register_buffer("projection", orthogonal_gaussian(features, channels // reduction))

    def pattern(self, x: Map, shared: Pattern | None = None) -> RandomFeatures:
        query, key = (
            self.amplification * normalize(to_tokens(match(x))[:, None].to(self.projection.dtype), dim=-1, eps=5e-5)
            for match in (self.match_query, self.match_key)
        )
        if self.training and self.contrastive_weight:
            self.auxiliary_loss = self.contrastive_weight * contrastive_loss(query[:, 0], key[:, 0])
        return RandomFeatures(query, key, self.projection)


def orthogonal_gaussian(rows: int, width: int) -> Float[Tensor, "rows width"]:
    """Draw Gaussian rows, orthogonal to each other in blocks of `width`; their lengths are chi-distributed."""
    q, r = torch.linalg.qr(torch.randn(-(-rows // width), width, width))
    # LAPACK fixes the signs of Q; times those of R, every direction is equally likely.
    directions = (q * r.diagonal(dim1=1, dim2=2).sign()[:, None]).flatten(0, 1)
    return directions[:rows] * torch.randn(rows, width).norm(dim=1, keepdim=True)


def contrastive_loss(query: Float[Tensor, "b l d"], key: Float[Tensor, "b l d"]) -> Float[Tensor, ""]:
    """Return the mean over queries of relu(1 − log(positive / (negative + 10⁻⁶))).

    Positive and negative are mean weights exp(q·k) of a query's keys at ranks 0 to 14 and 50 to 64. Gradients flow
    through these scores only. Queries go in blocks: no [L, L] matrix is held. Fewer than 65 tokens are an InputError.
    """
    if key.shape[1] < 65:
        raise InputError(
            f"ENLA's contrastive loss compares 65 tokens, and a training patch has {key.shape[1]}: "
            "give patches of 9×9 pixels or more, or contrastive_weight 0"
        )
    losses = []
    with without_autocast(query.device):
        for block in query.split(1024, dim=1):
            with torch.no_grad():
                ranked = (block @ key.mT).topk(65).indices
            chosen = torch.cat([ranked[..., :15], ranked[..., 50:]], -1)
            keys = gather_rows(key, chosen.flatten(1)).unflatten(1, chosen.shape[1:])
            weights = (keys * block[:, :, None]).sum(-1).exp()
            positive, negative = weights[..., :15].mean(-1), weights[..., 15:].mean(-1)
            losses.append((1 - (positive / (negative + 1e-6)).log()).relu())
        return torch.cat(losses, 1).mean()
