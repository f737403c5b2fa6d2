"""PFA on the trunk: windows, sums of scores over all layers so far, and ever fewer kept keys (arXiv 2503.20337).

Weights are normalised over the kept keys, as the contract wants: PFT's own sum to less than one after a cut. There is
one chain, of windows that do not shift, and no position bias; srlab/attention/pfa.py has the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from srlab.attention.contract import Map, Pattern
from srlab.attention.fused import BLOCK
from srlab.attention.window import Tokens, Values, WindowAttention, WindowPattern
from srlab.attention.window_grid import WindowGrid

Kept = Int[Tensor, "n heads p t"]


@dataclass
class FocusedPattern(WindowPattern):
    """Every query attends to the `top` keys of its window with the largest scores, out of those kept `before`."""

    top: int = 1024
    before: Kept | None = None
    kept: Kept = field(init=False)
    sums: Float[Tensor, "n heads p t"] = field(init=False)

    def __post_init__(self) -> None:
        step = max(1, BLOCK // (self.queries.shape[1] * self.queries.shape[2] ** 2))
        found = [self._choose(slice(i, i + step)) for i in range(0, len(self.queries), step)]
        self.sums, self.kept = (torch.cat(part) for part in zip(*found, strict=True))

    def _choose(self, windows: slice) -> tuple[Float[Tensor, "n heads p t"], Kept]:
        """Return the scores and the numbers of the kept keys of some windows."""
        scores = self.queries[windows] @ self.keys[windows].mT
        before = None if self.before is None else self.before[windows]
        if before is not None:
            scores = scores.gather(-1, before)
        scores, chosen = scores.topk(min(self.top, scores.shape[-1]), dim=-1, sorted=False)
        return scores, chosen if before is None else before.gather(-1, chosen)

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        values: Values = value.transpose(1, 2).unflatten(1, (self._windows, -1)).flatten(0, 1).transpose(1, 2)
        outs = []
        step = max(1, BLOCK // (values.shape[1] * values.shape[2] ** 2))
        for sums, kept, v in zip(*(part.split(step) for part in (self.sums, self.kept, values)), strict=True):
            weights = sums.new_zeros(*sums.shape[:3], v.shape[2]).scatter(-1, kept, sums.softmax(-1))
            outs.append(weights.to(v.dtype) @ v)
        return self._to_pixels(torch.cat(outs))

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        window, place = self.grid.place(queries, self.kept.device)
        kept = self.kept.unflatten(0, (-1, self._windows))[:, window, :, place].permute(1, 2, 0, 3)
        keys = window[:, None] * self.keys.shape[2] + kept
        counts = keys.new_zeros(*keys.shape[:3], self._windows * self.keys.shape[2])
        return counts.scatter(-1, keys, 1)


class PFA(WindowAttention):
    """Window attention that adds its scores to the earlier layers' and keeps the `top` keys of those that they kept."""

    shares = True

    def __init__(self, channels: int, heads: int = 4, window: int = 32, top: int = 256, residual_scale: float = 0.1):
        super().__init__(channels, heads, window, None, residual_scale=residual_scale)
        self.top = top

    def pattern(self, x: Map, shared: Pattern | None = None) -> FocusedPattern:
        return self._focused(*self._project(x), shared)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, FocusedPattern]:
        grid, projected = self._project(x)
        pattern = self._focused(grid, projected, shared)
        return self.output(x, pattern.attend(self._value(projected))), pattern

    def _focused(
        self, grid: WindowGrid, projected: Float[Tensor, "b n p 3 heads d"], shared: Pattern | None
    ) -> FocusedPattern:
        queries: Tokens
        keys: Tokens
        queries, keys = (part.flatten(0, 1).transpose(1, 2) for part in projected.unbind(3)[:2])
        if not isinstance(shared, FocusedPattern):
            return FocusedPattern(grid, queries, keys, top=self.top)
        both = (torch.cat(pair, -1) for pair in ((shared.queries, queries), (shared.keys, keys)))
        return FocusedPattern(grid, *both, top=self.top, before=shared.kept)
