"""NLSA: non-local sparse attention, tokens put near each other by locality-sensitive hashing."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from srlab.attention.contract import Pattern, ResidualAttention, to_tokens
from srlab.attention.precision import without_autocast
from srlab.attention.sorted_windows import SortedWindows

Rotations = Float[Tensor, "1 d rounds half"]
SHARING = {"fused": "recomputed", "reference": "plain"}


class NLSA(ResidualAttention):
    """Attention among tokens of one spherical hash code and their neighbours, averaged over several hashings.

    Query E = conv3×3(x), key E / ‖E‖, value conv1×1(x); tokens sorted by hash code and cut into windows, each
    of which sees itself and its two neighbours; x + residual_scale · result.

    Parameters
    ----------
    channels : int
    window : int
        w of the paper, 144 tokens.
    reduction : int
        E has channels // reduction channels.
    rounds : int
        Independent hashings (the paper uses four).
    residual_scale : float
    backend : {"fused", "reference"}
        "reference" holds the scores of every window and round, as the paper's formula reads.

    References
    ----------
    Mei et al., Image Super-Resolution with Non-Local Sparse Attention, CVPR 2021. The released code draws
    new rotations at every forward pass, in evaluation too; here evaluation draws the same ones each time, so
    that an image's result depends on the image alone.
    """

    def __init__(
        self,
        channels: int,
        window: int = 144,
        reduction: int = 4,
        rounds: int = 4,
        residual_scale: float = 0.1,
        backend: Literal["fused", "reference"] = "fused",
    ):
        super().__init__(channels, residual_scale)
        self.window, self.rounds, self.backend = window, rounds, backend
        self.match = nn.Conv2d(channels, channels // reduction, 3, padding=1)

    def draw_rotations(self, length: int) -> Rotations:
        """Random directions for maps of `length` tokens, one for each two buckets; a window holds a bucket.

        Maps of fewer tokens than a window have two buckets; the paper leaves that open. In training they are new at
        each call, in evaluation always the same.
        """
        windows = length // self.window
        buckets = min(max(2, windows + windows % 2), 128)
        shape = (1, self.match.out_channels, self.rounds, buckets // 2)
        return torch.randn(shape) if self.training else draw_the_same(shape)

    def pattern(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None, rotations: Rotations | None = None
    ) -> SortedWindows:
        query = to_tokens(self.match(x))
        key = nn.functional.normalize(query, dim=-1, eps=5e-5)
        if rotations is None:
            rotations = self.draw_rotations(query.shape[1])
        codes = hash_codes(query, rotations.to(query.device, non_blocking=True))
        return SortedWindows(query[:, None], key[:, None], codes, self.window, SHARING[self.backend])

    def forward(
        self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None, rotations: Rotations | None = None
    ) -> tuple[Float[Tensor, "b c h w"], Pattern | None]:
        """`rotations` replaces the drawn ones; see :meth:`draw_rotations`."""
        attended = self.pattern(x, rotations=rotations).attend(self.value(x))
        return self.output(x, attended), shared


@torch.compiler.assume_constant_result  # no generator can be made in compiled code
def draw_the_same(shape: tuple[int, ...]) -> Tensor:
    """Normal numbers from one seed, whatever the state of torch's own generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def hash_codes(tokens: Float[Tensor, "b l d"], rotations: Rotations) -> Int[Tensor, "b rounds l"]:
    """Spherical LSH: the direction, of those given and their opposites, that a token lies nearest to."""
    with without_autocast(tokens.device):
        directions = torch.cat([rotations[0], -rotations[0]], -1)
        return torch.einsum("bld,drk->brlk", tokens.float(), directions).argmax(-1)
