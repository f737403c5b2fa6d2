"""Sort tokens by code, cut the sequence into groups, attend to the own and adjacent groups: CATA, ATD's categories."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from srlab.attention.contract import Pattern, gather_rows, inverse
from srlab.attention.fused import Keys, Outputs, Queries, Values, fit
from srlab.attention.window_grid import mirrored

Backend = Literal["fused", "reference"]
Rows = Int[Tensor, "b s"]


class SortedGroups(Pattern):
    """Attention of several heads to the own group of a sorted sequence and to groups beside it.

    Groups are at most as long as the sequence, which goes on past its ends by reflection with the last token repeated.
    Reflected keys count like others; results past the end are dropped. `before` and `after` are numbers of groups.
    Backend "fused" runs the kernel on overlapping views of one sorted copy, "reference" the formula with all scores.
    """

    def __init__(
        self,
        query: Queries,
        key: Keys,
        codes: Int[Tensor, "b l"],
        group: int,
        before: int = 0,
        after: int = 0,
        backend: Backend = "fused",
    ):
        length = codes.shape[1]
        self.query, self.key, self.codes, self.backend = query, key, codes, backend
        self.group = min(group, length)
        self.before, self.reach = before, 1 + before + after
        end = -(-length // self.group) * self.group
        #: The tokens in their sorted order, and the place of each token in it.
        self.order: Rows = codes.argsort(dim=-1, stable=True)
        self.place_of: Rows = inverse(self.order)
        places = torch.arange(-before * self.group, end + after * self.group, device=codes.device)
        #: The tokens of the sequence from `before` groups ahead of it to `after` groups past it.
        self._near: Rows = self.order[:, mirrored(places, length)]
        self._own: Rows = self._near[:, before * self.group : before * self.group + end]

    def attend(self, value: Values) -> Outputs:
        width = value.shape[-1]
        plain = self.backend == "reference"
        query, key, value = (self.query, self.key, value) if plain else fit(self.query, self.key, value)
        query = self._cut(query, self._own, 1)
        key, value = (self._cut(tokens, self._near, self.reach) for tokens in (key, value))
        if plain:
            out = (query @ key.mT).softmax(-1) @ value
        else:
            out = scaled_dot_product_attention(query, key, value, scale=1.0)
        return self._unsort(out)[..., :width]

    def _cut(self, tokens: Float[Tensor, "b heads l d"], rows: Rows, groups: int) -> Float[Tensor, "n heads m d"]:
        """Sort tokens and cut them into runs of so many groups, which overlap: views of one copy if b is 1."""
        in_order = gather_rows(tokens.transpose(1, 2).flatten(2), rows)
        runs = in_order.unfold(1, groups * self.group, self.group).mT
        return runs.unflatten(3, tokens.shape[1::2]).transpose(2, 3).flatten(0, 1)

    def _unsort(self, groups: Float[Tensor, "n heads m d"]) -> Float[Tensor, "b heads l d"]:
        in_order = groups.transpose(1, 2).flatten(2).unflatten(0, (len(self.codes), -1)).flatten(1, 2)
        return gather_rows(in_order, self.place_of).unflatten(2, groups.shape[1::2]).transpose(1, 2)

    def adjacent(self, token: int, round: int = 0) -> dict[int, Int[Tensor, " g"]]:
        """Return the first image's tokens in each group that a token attends to, by its place: own 0, next 1."""
        first = self.place_of[0, token].item() // self.group
        groups = self._near[0].unflatten(0, (-1, self.group))[first : first + self.reach]
        return {step - self.before: group for step, group in enumerate(groups)}

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b 1 q l"]:
        place = self.place_of if queries is None else self.place_of[:, queries]
        spots = place[..., None] // self.group * self.group
        spots = spots + torch.arange(self.reach * self.group, device=place.device)
        tokens = self._near[:, None].expand(-1, place.shape[1], -1).gather(2, spots)
        counts = tokens.new_zeros(*place.shape, self.codes.shape[1])
        return counts.scatter_add_(2, tokens, torch.ones_like(tokens))[:, None]
