"""PFA: progressive focused attention of PFT (arXiv 2503.20337, CVPR 2025). Weights are handed on and sharpened.

A chain of layers attends in the same windows. In each layer, for each query, over its set I of kept keys::

a = softmax(q·k / √d + bias)                 # this layer's own weights
a = normalise(a ∘ P)                         # times those of the chain's layer before
I, P = the largest t of a                    # kept as they are, without normalising again
y = Σ a·v over the kept keys

Products of softmaxes are softmaxes of sums: a = softmax(S₀ + S₁ + …) over I. So the fast path hands on sums of scores.
CoA keeps the first layer's weights, PFA multiplies them by each layer's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from srlab.attention.contract import Pattern
from srlab.attention.fused import BLOCK
from srlab.attention.kept_keys import largest, sum_of_kept
from srlab.attention.shifted_windows import Heads, ShiftedWindows, Values
from srlab.attention.sorted_groups import Backend

Scores = Float[Tensor, "n p t"]
Kept = Int[Tensor, "n p t"]
Bias = Float[Tensor, "1 p p"]
#: Keeps weights from vanishing in the plain path.
EPSILON = 1e-20


@dataclass(frozen=True)
class Chain:
    """State that a layer passes on, by window and head: dense queries, keys and bias at first, kept keys after a cut.

    `sums` of scores belong to `kept`, the numbers of the keys; in the plain path `sums` are weights.
    """

    dense: tuple[Heads, Heads, Bias] | None = None
    sums: Scores | None = None
    kept: Kept | None = None


class FocusedWindows(Pattern):
    """The keys that each query of one layer keeps, pixels of a map, with weights that sum to one over the kept keys.

    PFT's own sum to less after a cut. `chain` is what the layer passes on.
    """

    def __init__(self, windows: ShiftedWindows, heads: int, chain: Chain, backend: Backend):
        self.windows, self.heads, self.chain, self.plain = windows, heads, chain, backend == "reference"
        held = chain.sums if chain.dense is None else chain.dense[0]
        self._pixels = windows.pixels(held.device)

    def pixels(self) -> Int[Tensor, " m"]:
        return torch.arange(self._pixels.numel(), device=self._pixels.device)

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        keys, scores = self._found(queries)
        counts = keys.new_zeros(*keys.shape[:3], self._pixels.numel())
        return counts.scatter(-1, keys, (scores > -torch.inf).long())

    def weights(self, queries: Int[Tensor, " q"] | None = None) -> Float[Tensor, "b heads q m"]:
        keys, scores = self._found(queries)
        return scores.new_zeros(*keys.shape[:3], self._pixels.numel()).scatter(-1, keys, scores.softmax(-1))

    def _found(
        self, queries: Int[Tensor, " q"] | None
    ) -> tuple[Int[Tensor, "b heads q t"], Float[Tensor, "b heads q t"]]:
        """Return the pixels of the kept keys of each query, and their scores; −inf for those of another region."""
        queries = self.pixels() if queries is None else queries
        places = self._pixels.flatten().argsort()[queries]
        window, place = places // self._pixels.shape[1], places % self._pixels.shape[1]
        chain, keys = self.chain, self._pixels[window]
        if chain.dense is not None:
            query, key, bias = chain.dense
            scores = torch.einsum("bqhd,bqhpd->bhqp", query[:, window, :, place].transpose(0, 1), key[:, window])
            scores = scores + bias[0, place]
        else:
            b = len(chain.sums) // (len(self._pixels) * self.heads)
            scores = self._of(chain.sums, b, window, place)
            scores = scores.log() if self.plain else scores
        if chain.kept is None and self.windows.shifted:
            scores = scores.masked_fill(self.windows.mask(scores)[window, place] < 0, -torch.inf)
        keys = keys.expand(*scores.shape[:2], -1, -1)
        return (keys if chain.kept is None else keys.gather(-1, self._of(chain.kept, b, window, place).long())), scores

    def _of(
        self, held: Shaped[Tensor, "n p t"], b: int, window: Int[Tensor, " q"], place: Int[Tensor, " q"]
    ) -> Shaped[Tensor, "b heads q t"]:
        return held.unflatten(0, (b, -1, self.heads))[:, window, :, place].permute(1, 2, 0, 3)


def focus(
    query: Heads,
    key: Heads,
    value: Values,
    bias: Bias,
    windows: ShiftedWindows,
    top: int,
    chain: Chain | None,
    backend: Backend,
) -> tuple[Values, Chain]:
    """Attend to the `top` keys by this layer's scores and the chain's; queries are scaled, heads share the bias."""
    if backend == "reference":
        return _plain(query, key, value, bias, windows, top, chain)
    if chain is None or chain.dense is not None:
        if chain is not None:
            query, key = torch.cat([chain.dense[0], query], -1), torch.cat([chain.dense[1], key], -1)
            bias = chain.dense[2] + bias
        if top >= key.shape[3]:
            # The mask need not be summed: it is added in each layer until the cut, and one suffices.
            heads = bias.expand(query.shape[2], -1, -1)
            return windows.attend(query, key, value, heads, backend), Chain(dense=(query, key, bias))
        return _cut(query, key, value, bias, windows, top, Chain())
    return _cut(query, key, value, bias, windows, top, chain)


def _cut(
    query: Heads, key: Heads, value: Values, bias: Bias, windows: ShiftedWindows, top: int, chain: Chain
) -> tuple[Values, Chain]:
    """Keep the largest weights, a tile of queries at a time: all its scores are held, and then those of kept keys."""
    shape = value.shape
    outs, sums, kept = [], [], []
    query, key, value = (part.flatten(0, 2) for part in (query, key, value))
    for some, rows in _tiles(len(query), shape[3]):
        scores, places = torch.baddbmm(bias[:, rows], query[some, rows], key[some].mT), None
        if chain.kept is not None and chain.sums is not None:
            places = chain.kept[some, rows].long()
            scores = scores.gather(-1, places) + chain.sums[some, rows]
        elif windows.shifted:
            window = torch.arange(some.start, some.stop, device=value.device) // shape[2] % shape[1]
            scores = scores + windows.mask(scores, window, rows)
        weights = scores.softmax(-1)
        if top < scores.shape[-1]:
            scores, chosen = largest(scores, top)
            weights, places = weights.gather(-1, chosen), chosen if places is None else places.gather(-1, chosen)
            kept.append(places.to(torch.int16) if shape[3] < 2**15 else places)
        outs.append(sum_of_kept(weights, places, value[some]))
        sums.append(scores)
    out, total = (
        torch.cat([part.flatten(0, 1) for part in parts]).unflatten(0, (-1, shape[3])) for parts in (outs, sums)
    )
    left = torch.cat([part.flatten(0, 1) for part in kept]).unflatten(0, (-1, shape[3])) if kept else chain.kept
    return out.unflatten(0, shape[:3]), Chain(sums=total, kept=left)


def _tiles(count: int, pixels: int) -> Iterator[tuple[slice, slice]]:
    """Yield windows of a head and queries of these, half a block of scores: several windows or a part of one."""
    step, rows = max(1, BLOCK // 2 // pixels**2), min(pixels, max(1, BLOCK // 2 // pixels))
    for first in range(0, count, step):
        for row in range(0, pixels, rows):
            yield slice(first, min(first + step, count)), slice(row, min(row + rows, pixels))


def _plain(
    query: Heads, key: Heads, value: Values, bias: Bias, windows: ShiftedWindows, top: int, chain: Chain | None
) -> tuple[Values, Chain]:
    """Attend as the paper writes it: weights times those handed on, all held."""
    scores = query @ key.mT + bias
    if windows.shifted and (chain is None or chain.kept is None):
        scores = scores + windows.mask(scores)[:, None]
    scores = scores.flatten(0, 2)
    kept = None if chain is None else chain.kept
    weights = (scores if kept is None else scores.gather(-1, kept)).softmax(-1)
    if chain is not None and chain.sums is not None:
        weights = weights * chain.sums + EPSILON
        weights = weights / (EPSILON + weights.sum(-1, keepdim=True))
    if top < weights.shape[-1]:
        weights, chosen = weights.topk(top, dim=-1, sorted=False)
        kept = chosen if kept is None else kept.gather(-1, chosen)
    dense = weights if kept is None else weights.new_zeros(scores.shape).scatter(-1, kept, weights)
    return (dense @ value.flatten(0, 2)).unflatten(0, value.shape[:3]), Chain(sums=weights, kept=kept)
