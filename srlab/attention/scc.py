"""SCC: HiT-SRF's spatial-channel correlation, attention in windows without softmax.

Without softmax, (q·vᵀ/d + bias)·v = q·(vᵀ·v/d) + bias·v: no correlations of pairs are held, and the cost is linear in
the pixels of a window. Source: HiT-SR, ECCV 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, linear

from srlab.attention.contract import Attention, Map, Pattern
from srlab.attention.from_weights import FromWeights
from srlab.attention.window_grid import Pair, WindowGrid
from srlab.errors import InputError


class GroupPosition(FromWeights):
    """The position bias between a window's pixels and its groups, by a network on offsets; sizes: (height, width)."""

    def __init__(self, heads: int, hidden: int, window: Pair, groups: Pair):
        super().__init__()
        self.window, self.groups = window, groups
        self.members = (window[0] // groups[0], window[1] // groups[1])
        layers: list[nn.Module] = [nn.Linear(2, hidden)]
        for outputs in (hidden, hidden, heads):
            layers += [nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, outputs)]
        self.network = nn.Sequential(*layers)

    def offsets(self) -> Float[Tensor, "heads rows columns"]:
        """Return the bias of each offset from key to query: rows 1 − height … height − 1, columns likewise."""
        weight = self.network[0].weight
        height, width = (torch.arange(1 - side, side, device=weight.device, dtype=weight.dtype) for side in self.window)
        offsets = torch.stack(torch.meshgrid(height, width, indexing="ij"), -1)
        return self.network(offsets).permute(2, 0, 1)

    def plain(self) -> Float[Tensor, "heads p groups"]:
        """Average the bias of every two pixels over each group of keys, as the paper writes it."""
        height, width = self.window
        pixels = torch.arange(height * width, device=self.network[0].weight.device)
        rows = pixels[:, None] // width - pixels // width + height - 1
        columns = pixels[:, None] % width - pixels % width + width - 1
        pairs = self.offsets().flatten(1)[:, rows * (2 * width - 1) + columns]
        (across, down), (tall, wide) = self.groups, self.members
        return pairs.unflatten(2, (across, tall, down, wide)).mean((3, 5)).flatten(2)

    def compute(self) -> Float[Tensor, "heads p groups"]:
        """Average offsets over patches first: each group's biases are a patch of the averages."""
        averages = avg_pool2d(self.offsets(), self.members, stride=1)
        (height, width), (tall, wide) = self.window, self.members
        # The last group's patch begins at 0, each earlier one a group further on.
        of_group = averages.unfold(1, height, tall).unfold(2, width, wide).flip(1, 2)
        return of_group.flatten(3, 4).flatten(1, 2).mT


@dataclass
class CorrelationPattern(Pattern):
    """Every query attends to the pixels of its window, by signed correlations without softmax."""

    grid: WindowGrid
    device: torch.device

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "1 1 q m"]:
        return self.grid.multiplicity(queries, self.device)

    def pixels(self) -> Int[Tensor, " m"]:
        return self.grid.pixels(self.grid.size, self.device)


class SCC(Attention):
    """Half of the output correlates a window's pixels with groups of them, half correlates channels.

    Queries and values are conv1×1(x) times a bottleneck of three convolutions. In a window of p pixels, for heads of
    d = channels / (2 · heads): spatial = (q·rᵀ/d + bias)·r for each head, with r = v reduced to one token a group by a
    learned linear; channel = v·(qᵀ·v/p)ᵀ for all heads together; then a linear of both. A window, of (height, width)
    pixels, has min(window, base) groups. Backend "reassociated" computes q·(rᵀ·r/d) + bias·r, with the last linear
    folded in; "reference" the formula as written.
    """

    def __init__(
        self,
        channels: int = 60,
        heads: int = 6,
        window: Pair = (8, 8),
        base: Pair = (8, 8),
        backend: Literal["reassociated", "reference"] = "reassociated",
    ):
        super().__init__()
        if channels % (2 * heads):
            raise InputError(f"channels is {channels}: it must be a multiple of twice the heads, {heads}")
        groups = (min(window[0], base[0]), min(window[1], base[1]))
        if window[0] % groups[0] or window[1] % groups[1]:
            raise InputError(f"window {window} must be a multiple of base {base}, or not larger")
        self.heads, self.window, self.groups, self.backend = heads, window, groups, backend
        narrow = max(1, channels // 5)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, narrow, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(narrow, channels, 1),
        )
        self.straight = nn.Conv2d(channels, channels, 1)
        self.position = GroupPosition(heads, max(1, channels // 16), window, groups)
        tall, wide = self.position.members
        self.reduce = nn.Linear(tall * wide, 1)
        self.out = nn.Linear(channels, channels)

    def pattern(self, x: Map, shared: Pattern | None = None) -> CorrelationPattern:
        return CorrelationPattern(WindowGrid(tuple(x.shape[2:]), self.window), x.device)

    def forward(self, x: Map, shared: Pattern | None = None) -> tuple[Map, Pattern | None]:
        grid = WindowGrid(tuple(x.shape[2:]), self.window)
        x = grid.pad(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        qv = grid.cut((self.bottleneck(x) * self.straight(x)).permute(0, 2, 3, 1))
        correlate = self._reassociated if self.backend == "reassociated" else self._plain
        return grid.crop(grid.join(correlate(qv))).permute(0, 3, 1, 2), shared

    def _reduced(self, v: Float[Tensor, "b n p half"]) -> Float[Tensor, "b n groups half"]:
        """Reduce each group to one token."""
        (across, down), (tall, wide) = self.groups, self.position.members
        members = v.unflatten(2, (across, tall, down, wide)).transpose(3, 4)
        weighted = members * self.reduce.weight.reshape(tall, wide, 1)
        return (weighted.sum((4, 5)) + self.reduce.bias).flatten(2, 3)

    def _plain(self, qv: Float[Tensor, "b n p c"]) -> Float[Tensor, "b n p c"]:
        q, v = qv.chunk(2, -1)
        q_heads, r_heads = (tokens.unflatten(-1, (self.heads, -1)).transpose(2, 3) for tokens in (q, self._reduced(v)))
        correlation = q_heads @ r_heads.mT / q_heads.shape[-1] + self.position.plain()
        spatial = (correlation @ r_heads).transpose(2, 3).flatten(3)
        channel = (q.mT @ v / q.shape[2] @ v.mT).mT
        return self.out(torch.cat([spatial, channel], -1))

    def _reassociated(self, qv: Float[Tensor, "b n p c"]) -> Float[Tensor, "b n p c"]:
        q, v = qv.chunk(2, -1)
        r = self._reduced(v)
        depth = q.shape[-1] // self.heads
        head = torch.arange(q.shape[-1], device=q.device) // depth
        gram = r.mT @ r * (head[:, None] == head) / depth  # rᵀ·r/d of each head, on the diagonal
        of_spatial, of_channel = self.out.weight.T.chunk(2)
        matrix = torch.cat([gram @ of_spatial, (v.mT @ q) @ (of_channel / q.shape[2])], -2)
        biased = torch.einsum("hpg,bnghd->bnphd", self.position(), r.unflatten(-1, (self.heads, depth)))
        return linear(biased.flatten(3), of_spatial.T, self.out.bias).add_(qv @ matrix)
