"""Sort tokens by code, cut the sequence into windows, attend to the own, previous and next window: LSP, CoA, NLSA."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx

from srlab.attention.contract import Pattern, gather_rows, softmax_attention
from srlab.attention.fused import attend, attend_backward, fit, softmax, widen

Tokens = Float[Tensor, "b l d"]
Values = Float[Tensor, "b l c"]
OneHead = Float[Tensor, "b 1 l d"]
Codes = Int[Tensor, "b rounds l"]
Windows = Float[Tensor, "b rounds n w d"]
ALL = slice(None)
Sharing = Literal["auto", "recomputed", "stored", "plain"]
#: Bytes of weights that "auto" stores, at most; with gradients, which are as large again, fewer.
STORED, STORED_IN_TRAINING = 2**28, 2**26


class SortedWindows(Pattern):
    """Attention to the own and the two neighbouring windows of a sequence sorted by code.

    The last sorted tokens repeat to fill the last window: they count twice as keys, and the results of the repeats are
    dropped. Neighbours are cyclic: a single window counts three times, the other of two windows double. A window is at
    most as long as the sequence. Several rounds are averaged with weights softmax over rounds of logsumexp(scores): one
    softmax over all their keys.

    Of `sharing`, "recomputed" computes the weights in the fused kernel at each use. "stored" holds them for layers that
    reuse them, [b, rounds, windows, w, 3w], as the paper does. "plain" is the paper's formula at each use, all scores
    and copies of neighbours included. "auto" takes the faster one for sharing layers: "stored" on a CPU within `STORED`
    or `STORED_IN_TRAINING` bytes, else "recomputed".
    """

    def __init__(self, query: OneHead, key: OneHead, codes: Codes, window: int, sharing: Sharing = "recomputed"):
        length = codes.shape[-1]
        self.query, self.key, self.codes = query, key, codes
        self.window = min(window, length)
        if sharing == "auto":
            held = query.element_size() * codes.numel() * 3 * self.window
            limit = STORED_IN_TRAINING if torch.is_grad_enabled() else STORED
            sharing = "stored" if query.device.type == "cpu" and held <= limit else "recomputed"
        self.sharing = sharing
        order = codes.argsort(dim=-1, stable=True)
        #: Number of slots at the end of the sorted sequence that repeat a token.
        self.repeats = -length % self.window
        #: The token in each slot of the sorted, padded sequence.
        self.slots: Int[Tensor, "b rounds s"] = torch.cat([order, order[..., length - self.repeats :]], -1)
        #: The slot of each token (the first one of a repeated token).
        self.slot_of: Codes = order.argsort(-1)
        # One more window before the first and after the last: neighbours become a sliding view.
        self._ring = torch.cat([self.slots[..., -self.window :], self.slots, self.slots[..., : self.window]], -1)
        self._held: tuple[Windows, Float[Tensor, "b rounds n m d"]] | None = None
        self.stored, self.round_weights = self._weigh() if sharing == "stored" else (None, None)

    def own(self, tokens: Tokens, rounds: slice = ALL) -> Windows:
        """Return tokens by window, of the given rounds."""
        slots = self.slots[:, rounds]
        return gather_rows(tokens, slots.flatten(1)).unflatten(1, (slots.shape[1], -1, self.window))

    def neighbours(self, tokens: Tokens, rounds: slice = ALL) -> Float[Tensor, "b rounds n m d"]:
        """Return [previous, own, next] of each window: overlapping views of one sorted copy."""
        ring = self._ring[:, rounds]
        tokens = gather_rows(tokens, ring.flatten(1)).unflatten(1, ring.shape[1:])
        return tokens.unfold(2, 3 * self.window, self.window).mT

    def unsort(self, windows: Windows, rounds: slice = ALL) -> Float[Tensor, "b rounds l d"]:
        """Undo :meth:`own`: return the content of each token's slot."""
        slot_of = self.slot_of[:, rounds]
        starts = self.slots.shape[-1] * torch.arange(slot_of.shape[1], device=slot_of.device)[:, None]
        return gather_rows(windows.flatten(1, 3), (slot_of + starts).flatten(1)).unflatten(1, slot_of.shape[1:])

    @property
    def _sorted(self) -> tuple[Windows, Float[Tensor, "b rounds n m d"]]:
        """Queries and keys by window, held for all layers that share the pattern."""
        if self._held is None:  # by hand: torch.compile cannot enter the lock of a cached_property
            self._held = self.own(self.query[:, 0]), self.neighbours(self.key[:, 0])
        return self._held

    def _weigh(self) -> tuple[Float[Tensor, "b rounds n w m"], Float[Tensor, "b rounds l"] | None]:
        """Return the weights within each round, and each token's weights of several rounds."""
        queries, keys = self._sorted
        scores = queries @ keys.mT
        if self.codes.shape[1] == 1:
            return softmax(scores), None
        mass = self.unsort(scores.logsumexp(-1, keepdim=True))
        return softmax(scores), mass[..., 0].softmax(1)

    def attend(self, value: Float[Tensor, "b 1 l c"]) -> Float[Tensor, "b 1 l c"]:
        if self.sharing == "plain":
            return self._plain(value[:, 0])
        if self.stored is not None:
            out = self.unsort(self.stored @ self.neighbours(value[:, 0]))
            if self.round_weights is None:
                return out
            return (out * self.round_weights[..., None]).sum(1, keepdim=True)
        if self.codes.shape[1] > 1:
            return SoftmaxOverRounds.apply(self, self.query[:, 0], self.key[:, 0], value[:, 0])[:, None]
        queries, keys = self._sorted
        out = softmax_attention(queries[:, 0], keys[:, 0], self.neighbours(value[:, 0])[:, 0])
        return self.unsort(out[:, None])

    def _plain(self, value: Tokens) -> Float[Tensor, "b 1 l c"]:
        """Attend as the paper writes it: own, previous and next window side by side, all scores held."""
        queries, *others = (self.own(tokens) for tokens in (self.query[:, 0], self.key[:, 0], value))
        keys, values = (torch.cat([own, own.roll(1, 2), own.roll(-1, 2)], 3) for own in others)
        scores = queries @ keys.mT
        mass = scores.logsumexp(-1, keepdim=True)
        out = self.unsort((scores - mass).exp() @ values)
        return (out * self.unsort(mass).softmax(1)).sum(1, keepdim=True)

    def adjacent(self, token: int, round: int = 0) -> dict[int, Int[Tensor, " w"]]:
        """Return the first image's tokens in the token's window, 0, in the previous one, −1, and in the next, 1."""
        windows = self.slots[0, round].unflatten(0, (-1, self.window))
        own = self.slot_of[0, round, token].item() // self.window
        return {step: windows[(own + step) % len(windows)] for step in (-1, 0, 1)}

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b 1 q l"]:
        b, rounds, length = self.codes.shape
        slot_of = self.slot_of if queries is None else self.slot_of[..., queries]
        own = slot_of // self.window * self.window
        spots = own[..., None] + torch.arange(3 * self.window, device=own.device)
        tokens = self._ring[..., None, :].expand(-1, -1, own.shape[-1], -1).gather(3, spots)
        counts = tokens.new_zeros(b, rounds, own.shape[-1], length)
        return counts.scatter_add_(3, tokens, torch.ones_like(tokens)).sum(1, keepdim=True)


class SoftmaxOverRounds(torch.autograd.Function):
    """One softmax over the keys of all rounds, a round at a time, without holding the scores.

    Rounds merge by their masses, as in fused.py. Backward, each round's kernel gets the merged result, so that its
    gradients include those of the rounds' weights.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, pattern: SortedWindows, query: Tokens, key: Tokens, value: Values) -> Values:
        for i in range(pattern.codes.shape[1]):
            one = slice(i, i + 1)
            windows = pattern.own(query, one), pattern.neighbours(key, one), pattern.neighbours(value, one)
            out, mass = attend(*(tokens[:, 0] for tokens in windows))
            out, mass = (pattern.unsort(t[:, None], one)[:, 0] for t in (out, mass[..., None]))
            if i == 0:
                merged, total = out, mass
            else:
                merged = merged.lerp_(out, (mass - total).sigmoid().to(out.dtype))
                total = total.logaddexp(mass)
        ctx.pattern = pattern
        ctx.save_for_backward(query, key, value, merged, total)
        return merged

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Values) -> tuple[None, Tokens, Tokens, Values]:
        pattern, (query, key, value, merged, total) = ctx.pattern, ctx.saved_tensors
        inputs = [t.detach().requires_grad_() for t in fit(query, key, value)]
        gradient, merged = (widen(t, inputs[2].shape[-1]) for t in (gradient, merged))
        sums = [torch.zeros_like(t) for t in inputs]
        for i in range(pattern.codes.shape[1]):
            one = slice(i, i + 1)
            with torch.enable_grad():
                sort = pattern.own, pattern.neighbours, pattern.neighbours
                windows = [s(t, one)[:, 0] for s, t in zip(sort, inputs, strict=True)]
            arriving, out, mass = (pattern.own(t, one)[:, 0] for t in (gradient, merged, total))
            if pattern.repeats:  # their results were dropped
                arriving[:, -1, -pattern.repeats :] = 0
            gradients = attend_backward(arriving, *(w.detach() for w in windows), out, mass[..., 0])
            for so_far, more in zip(sums, torch.autograd.grad(windows, inputs, gradients), strict=True):
                so_far += more
        return None, *(s[..., : t.shape[-1]] for s, t in zip(sums, (query, key, value), strict=True))
