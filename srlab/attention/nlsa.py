"""NLSA: non-local sparse attention (Mei et al., CVPR 2021); hashing puts similar tokens next to each other."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from srlab.attention.contract import Map, Pattern, ResidualAttention, narrowed, to_tokens, unit
from srlab.attention.precision import without_autocast
from srlab.attention.sorted_windows import SortedWindows

Rotations = Float[Tensor, "1 d rounds half"]
SHARING = {"fused": "recomputed", "reference": "plain"}


class NLSA(ResidualAttention):
    """Attention among tokens of one spherical hash code and their neighbours, averaged over several hashings.

    Query E = conv3×3(x), of channels // reduction channels, key E / ‖E‖, value conv1×1(x). Tokens are sorted by code
    and cut into windows, in the paper of 144 tokens; a window attends to itself and its two neighbours. `rounds` are
    independent hashings, 4 in the paper. Evaluation always draws the same ones, so that an image's result is
    reproducible; the released code draws anew. Backend "reference" holds the scores of every window and round, as the
    paper's formula reads. Not `tied`: keys, which are hashed, are E / ‖E‖ as before, and queries come from a
    convolution of their own.
    """

    def __init__(
        self,
        channels: int,
        window: int = 144,
        reduction: int = 4,
        rounds: int = 4,
        residual_scale: float = 0.1,
        backend: Literal["fused", "reference"] = "fused",
        tied: bool = True,
    ):
        super().__init__(channels, residual_scale)
        self.window, self.rounds, self.backend = window, rounds, backend
        inner = narrowed(channels, reduction)
        self.match = nn.Conv2d(channels, inner, 3, padding=1)
        self.ask = None if tied else nn.Conv2d(channels, inner, 3, padding=1)

    def draw_rotations(self, length: int) -> Rotations:
        """Draw random directions for maps of `length` tokens: one for two buckets, a bucket for each window.

        Buckets are even in number, 2 to 128; the paper leaves maps smaller than a window open. Training draws anew at
        each call, evaluation always the same.
        """
        windows = length // self.window
        buckets = min(max(2, windows + windows % 2), 128)
        shape = (1, self.match.out_channels, self.rounds, buckets // 2)
        return torch.randn(shape) if self.training else draw_the_same(shape)

    def pattern(self, x: Map, shared: Pattern | None = None, rotations: Rotations | None = None) -> SortedWindows:
        embedding = to_tokens(self.match(x))
        query, key = embedding if self.ask is None else to_tokens(self.ask(x)), unit(embedding)
        if rotations is None:
            rotations = self.draw_rotations(embedding.shape[1])
        codes = hash_codes(embedding, rotations.to(query.device, non_blocking=True))
        return SortedWindows(query[:, None], key[:, None], codes, self.window, SHARING[self.backend])

    def forward(
        self, x: Map, shared: Pattern | None = None, rotations: Rotations | None = None
    ) -> tuple[Map, Pattern | None]:
        """Attend, by the given `rotations` in place of those that :meth:`draw_rotations` draws."""
        attended = self.pattern(x, rotations=rotations).attend(self.value(x))
        return self.output(x, attended), shared


def draw_the_same(shape: tuple[int, ...]) -> Tensor:
    """Draw normal numbers from one seed, whatever the state of torch's own generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# No generator can be made in compiled code. This is `torch.compiler.assume_constant_result` without its import of the
# compiler, which takes two seconds in every process.
draw_the_same._dynamo_marked_constant = True


@torch.no_grad()
def hash_codes(tokens: Float[Tensor, "b l d"], rotations: Rotations) -> Int[Tensor, "b rounds l"]:
    """Return spherical LSH codes: the nearest of the given directions and their opposites."""
    with without_autocast(tokens.device):
        # By a product that leaves each token's numbers side by side: argmax takes 2.6 times as long if they are not.
        along = tokens.float()[:, None] @ rotations[0].transpose(0, 1)
        nearest = along.abs().argmax(-1, keepdim=True)
        opposite = along.gather(-1, nearest) < 0
        return (nearest + along.shape[-1] * opposite)[..., 0]
