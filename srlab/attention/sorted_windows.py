"""Sort tokens by code, cut the sequence into windows, attend to the own, previous and next window.

The machinery that LSP, CoA and NLSA share; they differ in where codes come from.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srlab.attention.contract import Pattern, gather_rows, softmax_attention

Windows = Float[Tensor, "b rounds n w d"]


class SortedWindows(Pattern):
    """Tokens that fall into neighbouring windows of a sequence sorted by code.

    If the length is no multiple of the window, the last sorted tokens are repeated to fill the last window
    (they count twice as keys; the results of the repeats are dropped). Neighbours are cyclic, so with one
    window it is seen three times, and with two the other one counts double. A window longer than the
    sequence is cut to it.

    With several rounds, a token's result is the average over rounds weighted by softmax over rounds of
    logsumexp(scores), which is one softmax over all the keys that it sees in any round.

    Parameters
    ----------
    query, key : Float[Tensor, "b 1 l d"]
    codes : Int[Tensor, "b rounds l"]
    window : int
        Tokens in a window.
    stored : bool
        Hold the weights [b, rounds, windows, w, 3w], as the paper does, for layers that reuse them;
        otherwise they are computed anew, within the kernel, at each use.
    """

    def __init__(
        self,
        query: Float[Tensor, "b 1 l d"],
        key: Float[Tensor, "b 1 l d"],
        codes: Int[Tensor, "b rounds l"],
        window: int,
        stored: bool = False,
    ):
        self.query, self.key, self.codes = query, key, codes
        length = codes.shape[-1]
        self.window = min(window, length)
        order = codes.argsort(dim=-1, stable=True)
        repeats = -length % self.window
        #: The token in each slot of the sorted, filled sequence.
        self.slots: Int[Tensor, "b rounds s"] = torch.cat([order, order[..., length - repeats :]], -1)
        #: The slot of each token (the first, where it is repeated).
        self.slot_of: Int[Tensor, "b rounds l"] = order.argsort(-1)
        # One more window before the first and after the last: neighbours become a sliding view.
        self._ring = torch.cat(
            [self.slots[..., -self.window :], self.slots, self.slots[..., : self.window]], -1
        )
        self._queries = self._sort(query, self.slots).unflatten(2, (-1, self.window))
        self._keys = self._neighbours(key)
        self.stored, self.round_weights = self._weigh() if stored else (None, None)

    def _sort(
        self, tokens: Float[Tensor, "b 1 l d"], slots: Int[Tensor, "b rounds s"]
    ) -> Float[Tensor, "b rounds s d"]:
        return gather_rows(tokens[:, 0], slots.flatten(1)).unflatten(1, slots.shape[1:])

    def _neighbours(self, tokens: Float[Tensor, "b 1 l d"]) -> Float[Tensor, "b rounds n m d"]:
        """[previous, own, next] of each window: overlapping views of one sorted copy."""
        return self._sort(tokens, self._ring).unfold(2, 3 * self.window, self.window).mT

    def _weigh(self) -> tuple[Float[Tensor, "b rounds n w m"], Float[Tensor, "b rounds l"]]:
        """Weights within each round, and each token's weights of the rounds."""
        scores = self._queries @ self._keys.mT
        mass = scores.logsumexp(-1).flatten(2).gather(2, self.slot_of)
        return scores.softmax(-1), mass.softmax(1)

    def attend(self, value: Float[Tensor, "b 1 l c"]) -> Float[Tensor, "b 1 l c"]:
        values = self._neighbours(value)
        rounds = self.codes.shape[1]
        if self.stored is None and rounds == 1:
            out = softmax_attention(self._queries[:, 0], self._keys[:, 0], values[:, 0])[:, None]
            round_weights = None
        else:
            weights, round_weights = (
                self._weigh() if self.stored is None else (self.stored, self.round_weights)
            )
            out = weights @ values
        slots = out.flatten(1, 3)
        starts = self.slots.shape[-1] * torch.arange(rounds, device=slots.device)[:, None]
        tokens = gather_rows(slots, (self.slot_of + starts).flatten(1)).unflatten(1, (rounds, -1))
        if rounds == 1:
            return tokens
        return (tokens * round_weights[..., None]).sum(1, keepdim=True)

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b 1 q l"]:
        b, rounds, length = self.codes.shape
        slot_of = self.slot_of if queries is None else self.slot_of[..., queries]
        own = slot_of // self.window * self.window
        spots = own[..., None] + torch.arange(3 * self.window, device=own.device)
        seen = self._ring[..., None, :].expand(-1, -1, own.shape[-1], -1).gather(3, spots)
        counts = seen.new_zeros(b, rounds, own.shape[-1], length)
        return counts.scatter_add_(3, seen, torch.ones_like(seen)).sum(1, keepdim=True)
