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
from torch.nn.functional import normalize

from srlab.attention.fused import Queries
from srlab.attention.shifted_windows import ShiftedWindows
from srlab.attention.sorted_groups import Backend, SortedGroups
from srlab.attention.window import PositionTable
from srlab.errors import InputError

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
        gain = self.weight * (similarity.var(1, correction=0, keepdim=True) + 1e-5).rsqrt()
        shares = torch.addcmul(self.bias, similarity - similarity.mean(1, keepdim=True), gain).softmax(1)
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
        if channels % heads:
            raise InputError(f"channels is {channels}: it must be a multiple of heads, {heads}")
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
        qkv = self.to_qkv(tokens)
        return attended + self.categories(qkv, similarity) + self.windows(qkv, size), similarity

    def pattern(self, qkv: Float[Tensor, "b l e"], similarity: Similarity) -> SortedGroups:
        """Return who attends to whom within categories; a single temperature, no root of the width."""
        query, key, _ = self._split(qkv)
        temperature = self.logit_scale.exp().clamp(max=100)
        return SortedGroups(query * temperature, key, similarity.argmax(-1), self.group, backend=self.backend)

    def categories(self, qkv: Float[Tensor, "b l e"], similarity: Similarity) -> Tokens:
        attended = self.pattern(qkv, similarity).attend(self._split(qkv)[2])
        return self.category_out(attended.transpose(1, 2).flatten(2))

    def windows(self, qkv: Float[Tensor, "b l e"], size: tuple[int, int]) -> Tokens:
        windows = ShiftedWindows(size, self.side, self.shifted)
        parts = windows.cut(qkv.unflatten(1, size)).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.unbind()
        bias = self.position.plain() if self.backend == "reference" else self.position()
        attended = windows.attend(query * query.shape[-1] ** -0.5, key, value, bias, self.backend)
        return self.window_out(windows.join(attended.transpose(2, 3).flatten(3)).flatten(1, 2))

    def _split(self, qkv: Float[Tensor, "b l e"]) -> tuple[Queries, Queries, Queries]:
        return qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
