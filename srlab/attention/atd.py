"""ATD: adaptive token dictionary (arXiv 2401.08209, CVPR 2024). A learnt dictionary sorts an image's tokens.

One layer, for tokens x [b, N, c] and a dictionary D [b, M, c]::

Z = LayerNorm(x);  q, k, v = Z·Wqkv
A = softmax_m(cos(Z·Wq′, D·Wk′)·temperature)     # how much each token is like each entry [b, N, M]
y1 = A·(D·Wv′)                                   # attention to the dictionary
y2 = SortedGroups(q, k, argmax_m A)·v            # attention within categories, over the whole image
y3 = ShiftedWindows(q, k)·v                      # attention in windows, of the same q, k, v
x = x + y1 + y2 + y3;  x = x + FFN(LayerNorm(x))
D = σ·D + (1 − σ)·softmax_n(norm_n(A))ᵀ·x        # the image's own tokens refine the dictionary
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from srlab.attention.contract import Attention, Map, Pattern, check_heads, to_map, to_tokens
from srlab.attention.fused import Queries, fitted_width, widen_heads
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.sorted_groups import Backend, SortedGroups
from srlab.attention.window import PositionTable

Tokens = Float[Tensor, "b l c"]
Dictionary = Float[Tensor, "b m c"]
Similarity = Float[Tensor, "b l m"]


class TokenDictionary(nn.Module):
    """Attention to a dictionary, by cosines of width `rank` with a learnt temperature for each of `entries`."""

    def __init__(self, channels: int, entries: int, rank: int):
        super().__init__()
        self.to_query, self.to_key = nn.Linear(channels, rank), nn.Linear(channels, rank)
        self.to_value = nn.Linear(channels, channels)
        self.scale = nn.Parameter(torch.full((entries,), 0.5))

    def forward(self, tokens: Tokens, dictionary: Dictionary) -> tuple[Similarity, Tokens]:
        """Return A, how much each token is like each entry, and the entries' values weighted by it."""
        temperature = 1 + self.scale.clamp(0, 1) * math.log(len(self.scale))
        key = normalize(self.to_key(dictionary), dim=-1) * temperature[:, None]
        similarity = (normalize(self.to_query(tokens), dim=-1) @ key.mT).softmax(-1)
        return similarity, similarity @ self.to_value(dictionary)


class Refinement(nn.Module):
    """Move each entry of the dictionary towards the tokens that are like it, by a share that is learnt.

    `bias` cancels in the softmax; released weights have it.
    """

    def __init__(self, entries: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(entries)), nn.Parameter(torch.zeros(entries))
        self.sigma = nn.Parameter(torch.zeros(entries, 1))

    def forward(self, dictionary: Dictionary, similarity: Similarity, tokens: Tokens) -> Dictionary:
        centred = similarity - similarity.mean(1, keepdim=True)
        gain = self.weight * (centred.square().mean(1, keepdim=True) + 1e-5).rsqrt()  # var takes eight times as long
        shares = torch.addcmul(self.bias, centred, gain).softmax(1)
        kept = self.sigma.sigmoid()
        return kept * dictionary + (1 - kept) * (shares.mT @ tokens)


class ATDAttention(nn.Module):
    """The three attentions of a layer, on tokens that are normalised: dictionary, categories, windows.

    `group` is the number of tokens of a category that attend to each other at once, `side` that of a window.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        side: int,
        shifted: bool,
        group: int,
        entries: int,
        rank: int,
        backend: Backend = "fused",
    ):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.side, self.shifted, self.group, self.backend = heads, side, shifted, group, backend
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.dictionary = TokenDictionary(channels, entries, rank)
        self.logit_scale = nn.Parameter(torch.full((1, 1), math.log(10)))
        self.category_out = nn.Linear(channels, channels)
        self.position = PositionTable(heads, side)
        self.window_out = nn.Linear(channels, channels)

    def forward(self, tokens: Tokens, dictionary: Dictionary, size: tuple[int, int]) -> tuple[Tokens, Similarity]:
        """Return the sum of the attentions, and how much each token of the map of that size is like each entry."""
        similarity, attended = self.dictionary(tokens, dictionary)
        qkv = self.project(tokens)
        return attended + self.categories(qkv, similarity) + self.windows(qkv, size), similarity

    def project(self, tokens: Tokens) -> Float[Tensor, "b l e"]:
        """Return what windows and categories share: queries, keys and values side by side."""
        return project(tokens, self.to_qkv, self.heads, self.backend)

    def pattern(self, qkv: Float[Tensor, "b l e"], similarity: Similarity) -> SortedGroups:
        query, key, _ = by_head(qkv, self.heads)
        return by_category(query, key, similarity, self.logit_scale, self.group, self.backend)

    def categories(self, qkv: Float[Tensor, "b l e"], similarity: Similarity) -> Tokens:
        attended = self.pattern(qkv, similarity).attend(by_head(qkv, self.heads)[2])
        return merge(attended.transpose(1, 2), self.category_out)

    def windows(self, qkv: Float[Tensor, "b l e"], size: tuple[int, int]) -> Tokens:
        windows = ShiftedWindows(size, self.side, self.shifted)
        parts = windows.cut(qkv.unflatten(1, size)).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.unbind()
        bias = self.position.plain() if self.backend == "reference" else self.position()
        scale = (self.to_qkv.in_features // self.heads) ** -0.5
        attended = windows.attend(query * scale, key, value, bias, self.backend)
        joined = windows.join(attended.transpose(2, 3).flatten(3)).flatten(1, 2)
        return merge(joined.unflatten(-1, (self.heads, -1)), self.window_out)


class ATD(Attention):
    """ATD's attention to a dictionary and within its categories, as a layer on the trunk; no windows.

    In ATD a layer adapts its block's dictionary for the next layer. Here each layer has a dictionary of its own and
    adapts it to the image before it sorts. Output x + residual_scale · result.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        entries: int = 64,
        rank: int = 8,
        group: int = 128,
        residual_scale: float = 0.1,
        backend: Backend = "fused",
    ):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.group, self.residual_scale, self.backend = heads, group, residual_scale, backend
        self.norm, self.to_qkv = nn.LayerNorm(channels), nn.Linear(channels, 3 * channels)
        self.entries = nn.Parameter(torch.randn(entries, channels))
        self.dictionary, self.refinement = TokenDictionary(channels, entries, rank), Refinement(entries)
        self.logit_scale = nn.Parameter(torch.full((1, 1), math.log(10)))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        tokens = self.norm(to_tokens(x))
        query, key, value = self._project(tokens)
        similarity, of_dictionary = self._adapted(tokens)
        attended = self._pattern(query, key, similarity).attend(value)
        return self._output(x, attended, of_dictionary), shared

    def pattern(self, x: Map, shared: Pattern | None = None) -> SortedGroups:
        tokens = self.norm(to_tokens(x))
        query, key, _ = self._project(tokens)
        return self._pattern(query, key, self._adapted(tokens)[0])

    def value(self, x: Map) -> Queries:
        return self._project(self.norm(to_tokens(x)))[2]

    def output(self, x: Map, attended: Queries) -> Map:
        return self._output(x, attended, self._adapted(self.norm(to_tokens(x)))[1])

    def _project(self, tokens: Tokens) -> tuple[Queries, Queries, Queries]:
        return by_head(project(tokens, self.to_qkv, self.heads, self.backend), self.heads)

    def _adapted(self, tokens: Tokens) -> tuple[Similarity, Tokens]:
        """Return how much each token is like each entry that the image has adapted, and the attention to these."""
        entries = self.entries.repeat(len(tokens), 1, 1)
        return self.dictionary(tokens, self.refinement(entries, self.dictionary(tokens, entries)[0], tokens))

    def _pattern(self, query: Queries, key: Queries, similarity: Similarity) -> SortedGroups:
        return by_category(query, key, similarity, self.logit_scale, self.group, self.backend)

    def _output(self, x: Map, attended: Queries, of_dictionary: Tokens) -> Map:
        result = merge(attended.transpose(1, 2), self.out) + of_dictionary
        return x.add(to_map(result, *x.shape[2:]), alpha=self.residual_scale)


def project(tokens: Tokens, to_qkv: nn.Linear, heads: int, backend: Backend) -> Float[Tensor, "b l e"]:
    """Return queries, keys and values side by side; heads are widened for the fused kernel, by zeros."""
    if backend == "reference":
        return to_qkv(tokens)
    width = fitted_width(to_qkv.in_features // heads)
    weight, bias = (widen_heads(part, 3 * heads, width) for part in (to_qkv.weight, to_qkv.bias[:, None]))
    return linear(tokens, weight, bias[:, 0])


def merge(attended: Float[Tensor, "b l heads d"], out: nn.Linear) -> Tokens:
    """Apply a linear layer to all heads, which may be wider than the layer knows."""
    heads, width = attended.shape[2:]
    return linear(attended.flatten(2), widen_heads(out.weight.mT, heads, width).mT, out.bias)


def by_head(qkv: Float[Tensor, "b l e"], heads: int) -> tuple[Queries, Queries, Queries]:
    """Return queries, keys and values of each head."""
    return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind()


def by_category(
    query: Queries, key: Queries, similarity: Similarity, logit_scale: Tensor, group: int, backend: Backend
) -> SortedGroups:
    """Return who attends to whom within categories; a single temperature, no root of the width."""
    return SortedGroups(query * logit_scale.exp().clamp(max=100), key, similarity.argmax(-1), group, backend=backend)
