"""CATA: content-aware token aggregation of CATANet (arXiv 2503.06896, CVPR 2025). From end to end::

# for features x [b, c, h, w] of N = h·w tokens and centres M [m, c], a moving average over training batches
Z = LayerNorm(x)                                       # tokens [b, N, c]
codes = argmax_j cos(Z, M_j)                           # similar tokens share a centre
q, k, v = Z·Wq, Z·Wk, Z·Wv                             # heads of e / heads and c / heads channels
own, near = groups of g of the sorted sequence, each with the next one       # sorted_groups.py
grouped = softmax(q_own·k_nearᵀ / √d)·v_near           # SortedGroups.attend
centred = softmax(q·(M·Wk′)ᵀ / √d)·(M·Wv′)             # a second softmax, over the centres
y = x + conv1×1(proj(grouped + centred))
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from srlab.attention.contract import Attention, Map, Pattern, check_heads, softmax_attention, to_map, to_tokens
from srlab.attention.fused import Keys, Queries, fitted_width, widen_heads
from srlab.attention.kmeans import assign, lloyd_step
from srlab.attention.precision import without_autocast
from srlab.attention.sorted_groups import Backend, SortedGroups
from srlab.attention.window_grid import mirrored

Tokens = Float[Tensor, "b l c"]
Centres = Float[Tensor, "m c"]
CentroidUpdate = Literal["ema", "frozen"]
TrainedOn = Literal["batch", "average"]
Neighbours = Literal["next", "both"]


class TokenCentres(nn.Module):
    """Centres that all images share: a moving average, of decay `ema_decay`, of each batch's own centres.

    A batch's own centres are `iterations` steps of spherical k-means from the average. The last step has a gradient,
    into the tokens. Training uses the batch's centres, evaluation the average, whose length is below one.

    Parameters
    ----------
    centroid_update : {"ema", "frozen"}
        "frozen" keeps the first batch's centres as the average.
    trained_on : {"batch", "average"}
        The centres that training groups by and attends to; "average" has no gradient.
    """

    means: Centres
    initialised: Bool[Tensor, ""]

    def __init__(
        self,
        count: int,
        channels: int,
        iterations: int = 5,
        ema_decay: float = 0.999,
        centroid_update: CentroidUpdate = "ema",
        trained_on: TrainedOn = "batch",
    ):
        super().__init__()
        self.iterations, self.ema_decay = iterations, ema_decay
        self.centroid_update, self.trained_on = centroid_update, trained_on
        self.register_buffer("means", torch.randn(count, channels))
        self.register_buffer("initialised", torch.tensor(False))
        self._begun = False  # the same on the host: no step waits for the device

    def _load_from_state_dict(self, *arguments: object, **options: object) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._begun = bool(self.initialised)

    def forward(self, tokens: Tokens) -> tuple[Centres, Int[Tensor, "b l"]]:
        """Return the centres to attend to and the code of each token."""
        tokens = tokens.float() if tokens.dtype in (torch.bfloat16, torch.float16) else tokens
        with without_autocast(tokens.device):
            centres = self.means
            if self.training:
                own = self._of_batch(tokens)
                average = self._follow(own.detach())
                centres = own if self.trained_on == "batch" else average
            return centres, assign(tokens.detach(), normalize(centres.detach(), dim=-1)[None])[:, 0]

    def _of_batch(self, tokens: Tokens) -> Centres:
        unit = normalize(tokens, dim=-1)
        with torch.no_grad():
            centres = normalize(self.means if self._begun else self._first(tokens), dim=-1)[None]
            for _ in range(self.iterations - 1):
                centres = lloyd_step(unit, centres)
        return lloyd_step(unit, centres)[0]

    def _first(self, tokens: Tokens) -> Centres:
        """Return the means over runs of equal length of the images' tokens, prolonged by reflection."""
        length, count = tokens.shape[1], len(self.means)
        places = torch.arange(length + count - length % count, device=tokens.device)
        return tokens[:, mirrored(places, length)].unflatten(1, (count, -1)).mean((0, 2))

    @torch.no_grad()
    def _follow(self, own: Centres) -> Centres:
        """Move the average and return what it was before; the first time, the batch's centres."""
        before = self.means.clone() if self._begun else own
        if not self._begun:
            self.means.copy_(own)
            self.initialised.fill_(True)
            self._begun = True
        elif self.centroid_update == "ema":
            self.means.lerp_(own.to(self.means.dtype), 1 - self.ema_decay)
        return before


class CATA(Attention):
    """Attention within sorted groups, plus attention to the centres that sort them; LayerNorm before, two 1×1 after.

    Output x + residual_scale · result. `query_channels` and `channels` are multiples of `heads`; scores are scaled by
    the root of a head's width. `learning` are options of :class:`TokenCentres`.

    Parameters
    ----------
    neighbours : {"next", "both"}
        Keys are those of the own and the next group, as published, or of the previous one too, as in LSP.
    attends_centres : bool
        Add the attention to the centres.
    """

    def __init__(
        self,
        channels: int,
        query_channels: int,
        heads: int = 4,
        centres: int = 128,
        group: int = 256,
        residual_scale: float = 1.0,
        neighbours: Neighbours = "next",
        attends_centres: bool = True,
        backend: Backend = "fused",
        **learning: int | float | str,
    ):
        super().__init__()
        check_heads(channels, heads)
        check_heads(query_channels, heads, "query_channels")
        self.heads, self.group, self.residual_scale, self.backend = heads, group, residual_scale, backend
        self.before = int(neighbours == "both")
        self.norm = nn.LayerNorm(channels)
        self.centres = TokenCentres(centres, channels, **learning)
        self.to_query = nn.Linear(channels, query_channels, bias=False)
        self.to_key = nn.Linear(channels, query_channels, bias=False)
        self.to_value = nn.Linear(channels, channels, bias=False)
        self.centre_key = nn.Linear(channels, query_channels, bias=False) if attends_centres else None
        self.centre_value = nn.Linear(channels, channels, bias=False) if attends_centres else None
        self.project = nn.Linear(channels, channels, bias=False)
        self.merge = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        tokens = self.norm(to_tokens(x))
        centres, codes = self.centres(tokens)
        query, key, value = self._project(tokens)
        pattern = self._pattern(query, key, codes)
        return self._output(x, pattern.attend(value), query, centres), shared

    def pattern(self, x: Map, shared: Pattern | None = None) -> SortedGroups:
        tokens = self.norm(to_tokens(x))
        query, key, _ = self._project(tokens)
        return self._pattern(query, key, self.centres(tokens)[1])

    def value(self, x: Map) -> Float[Tensor, "b heads m d"]:
        return self._project(self.norm(to_tokens(x)))[2]

    def output(self, x: Map, attended: Float[Tensor, "b heads l e"]) -> Map:
        tokens = self.norm(to_tokens(x))
        return self._output(x, attended, self._project(tokens)[0], self.centres(tokens)[0])

    def _project(self, tokens: Tokens) -> list[Float[Tensor, "b heads l d"]]:
        """Return queries, keys and values by one product, all of the width that the kernel wants."""
        scale = (self.to_query.out_features // self.heads) ** -0.5
        weights = (self.to_query.weight * scale, self.to_key.weight, self.to_value.weight)
        held = [self._widened(weight) for weight in weights]
        parts = linear(tokens, torch.cat(held)).split([len(weight) for weight in held], -1)
        return [self._split(part) for part in parts]

    def _widened(self, weight: Float[Tensor, "e c"]) -> Float[Tensor, "f c"]:
        """Widen the heads of a projection for the fused kernel, by zeros; the plain path takes them as they are."""
        if self.backend == "reference":
            return weight
        widths = (len(each.weight) // self.heads for each in (self.to_query, self.to_value))
        return widen_heads(weight, self.heads, fitted_width(*widths))

    def _pattern(self, query: Queries, key: Keys, codes: Int[Tensor, "b l"]) -> SortedGroups:
        return SortedGroups(query, key, codes, self.group, self.before, 1, self.backend)

    def _split(self, tokens: Float[Tensor, "*b l c"]) -> Float[Tensor, "*b heads l d"]:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def _output(self, x: Map, attended: Float[Tensor, "b heads l e"], query: Queries, centres: Centres) -> Map:
        if self.centre_key is not None and self.centre_value is not None:
            key, value = (
                self._split(linear(centres, self._widened(to.weight))).expand(len(x), -1, -1, -1)
                for to in (self.centre_key, self.centre_value)
            )
            attended = attended + softmax_attention(query, key, value)
        both = self.merge.weight.flatten(1) @ self.project.weight
        result = linear(attended.transpose(1, 2).flatten(2), self._widened(both.mT).mT)
        return x.add(to_map(result, *x.shape[2:]), alpha=self.residual_scale)
