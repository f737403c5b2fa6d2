"""ENLA: efficient non-local contrastive attention (Xia et al., AAAI 2022), by random features, linear in the tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from srlab.attention.contract import Map, Pattern, ResidualAttention, gather_rows, narrowed, to_map, to_tokens
from srlab.attention.precision import without_autocast
from srlab.errors import InputError

Tokens = Float[Tensor, "b 1 l d"]

#: Tokens in a block on a CPU: 1 MiB of features at the published size.
BLOCK = 2048
#: What the paper adds to each feature.
ADDED = 1e-4


@dataclass
class RandomFeatures(Pattern):
    """Every query attends to every key, by φ(q)·φ(k) in place of exp(q·k), its expectation."""

    query: Tokens
    key: Tokens
    projection: Float[Tensor, "features d"]

    def features(self, tokens: Tokens) -> Float[Tensor, "b 1 l features"]:
        """Return φ without the paper's factor 1 / √features, which normalisation cancels."""
        exponent = tokens @ self.projection.mT - tokens.square().sum(-1, keepdim=True) / 2
        return exponent.exp() + ADDED

    def attend(self, value: Float[Tensor, "b 1 l c"]) -> Float[Tensor, "b 1 l c"]:
        sums, total = self.sums(value[:, 0])
        return (sums / total)[:, None]

    def sums(self, value: Float[Tensor, "b l c"]) -> tuple[Float[Tensor, "b l c"], Float[Tensor, "b l 1"]]:
        """Return φ(q)·(φ(k)ᵀ v) and φ(q)·(φ(k)ᵀ 1): sums over keys come first.

        What the paper adds to features is added to the sums. A block's exponentials stay in a CPU's cache. An exported
        program, for images of any size, has one block.
        """
        with without_autocast(value.device):
            value = value.to(self.key.dtype)
            carried, total = ADDED * value.sum(1, keepdim=True), ADDED * value.shape[1]
            for key, values in zip(_blocks(self.key[:, 0]), _blocks(value), strict=True):
                exponentials = self._exponentials(key)
                carried = carried + exponentials.mT @ values
                total = total + exponentials.sum(1).unsqueeze(2)
            sums = (carried, total)
            added = [ADDED * each.sum(1, keepdim=True) for each in sums]
            parts = []
            for query in _blocks(self.query[:, 0]):
                exponentials = self._exponentials(query)
                parts.append([torch.baddbmm(more, exponentials, each) for more, each in zip(added, sums, strict=True)])
            return tuple(torch.cat(part, 1) for part in zip(*parts, strict=True))

    def _exponentials(self, tokens: Float[Tensor, "b l d"]) -> Float[Tensor, "b l features"]:
        half = tokens.square().sum(-1, keepdim=True) / -2
        return torch.baddbmm(half, tokens, self.projection.mT.expand(len(tokens), -1, -1)).exp_()

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b 1 q l"]:
        """Return attention weights by the plain formula, here the normalised products of features."""
        query = self.query if queries is None else self.query[:, :, queries]
        products = self.features(query) @ self.features(self.key).mT
        return products / products.sum(-1, keepdim=True)


def _blocks(tokens: Float[Tensor, "b l d"]) -> tuple[Float[Tensor, "b _ d"], ...]:
    whole = tokens.device.type != "cpu" or torch.compiler.is_exporting()
    return (tokens,) if whole else tokens.split(BLOCK, 1)


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
        inner = narrowed(channels, reduction)
        self.match_query = nn.Conv2d(channels, inner, 1)
        self.match_key = nn.Conv2d(channels, inner, 1)
        self.register_buffer("projection", orthogonal_gaussian(features, inner))

    def pattern(self, x: Map, shared: Pattern | None = None) -> RandomFeatures:
        return self._both(to_tokens(x))[0]

    def value(self, x: Map) -> Tokens:
        return self._both(to_tokens(x))[1][:, None]

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        tokens = to_tokens(x)
        pattern, value = self._both(tokens)
        return to_map(torch.addcdiv(tokens, *pattern.sums(value), value=self.residual_scale), *x.shape[2:]), shared

    def _both(self, tokens: Float[Tensor, "b l c"]) -> tuple[RandomFeatures, Float[Tensor, "b l c"]]:
        """Project the tokens to queries, keys and values, by one product."""
        layers = (self.match_query, self.match_key, self.assembly)
        weight = torch.cat([layer.weight.flatten(1) for layer in layers])
        projected = linear(tokens, weight, torch.cat([layer.bias for layer in layers]))
        *matched, value = projected.split([layer.out_channels for layer in layers], -1)
        query, key = (
            self.amplification * normalize(each.to(self.projection.dtype).contiguous(), dim=-1, eps=5e-5)
            for each in matched
        )
        if self.training and self.contrastive_weight:
            self.auxiliary_loss = self.contrastive_weight * contrastive_loss(query, key)
        return RandomFeatures(query[:, None], key[:, None], self.projection), value


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
