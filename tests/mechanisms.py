"""The mechanisms whose fast paths, gradients and maps tests compare with the dense oracle."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from srlab.attention import (
    ATD,
    BRA,
    CATA,
    ENLA,
    FGCA,
    GMSA,
    LSP,
    NLA,
    NLSA,
    PFA,
    CoA,
    ImplicitPosition,
    SharedGMSA,
    SummedLSP,
    SummedNLA,
    WindowAttention,
)
from srlab.attention.contract import Attention


def assert_same(make: Callable[[str], Tensor], ways: Iterable[str], inputs: list[Tensor], rtol: float, atol: float):
    """Compare the numbers and gradients of several ways to compute the same with those of the first."""
    direction, first = None, None
    for way in ways:
        y = make(way)
        direction = torch.randn_like(y) if direction is None else direction
        found = [y, *torch.autograd.grad((y * direction).sum(), inputs)]
        first = first or found
        torch.testing.assert_close(found, first, rtol=rtol, atol=atol)


# One entry for each way of running each mechanism. The layers of a list run in order and share patterns.
MECHANISMS: dict[str, Callable[[int], list[Attention]]] = {
    "nla": lambda c: [NLA(c)],
    "nla-stored": lambda c: [NLA(c, sharing="stored")],
    "nla-tied": lambda c: [NLA(c, tied=True)],
    "lsp": lambda c: [LSP(c, clusters=5, window=12)],
    "lsp-stored": lambda c: [LSP(c, clusters=5, window=12, sharing="stored")],
    "lsp-plain": lambda c: [LSP(c, clusters=5, window=12, sharing="plain")],
    "lsp-plain-two-rounds": lambda c: [LSP(c, clusters=5, window=12, rounds=2, sharing="plain")],
    "lsp-narrow": lambda c: [LSP(c, clusters=5, window=12, reduction=2)],
    "lsp-two-rounds": lambda c: [LSP(c, clusters=5, window=12, rounds=2)],
    "lsp-untied": lambda c: [LSP(c, clusters=5, window=12, tied=False)],
    "coa": lambda c: [LSP(c, clusters=5, window=12), CoA(c)],
    "coa-stored": lambda c: [LSP(c, clusters=5, window=12, sharing="stored"), CoA(c)],
    "coa-two-rounds": lambda c: [LSP(c, clusters=5, window=12, rounds=2, sharing="stored"), CoA(c)],
    "coa-two-rounds-recomputed": lambda c: [LSP(c, clusters=5, window=12, rounds=2), CoA(c)],
    "coa-dense": lambda c: [NLA(c), CoA(c)],
    "coa-dense-stored": lambda c: [NLA(c, sharing="stored"), CoA(c)],
    "coa-sum": lambda c: [LSP(c, clusters=5, window=12), SummedLSP(c), SummedLSP(c, reduction=2)],
    "coa-sum-dense": lambda c: [NLA(c), SummedNLA(c)],
    "cata": lambda c: [CATA(c, 6, 2, centres=5, group=12)],
    "cata-reference": lambda c: [CATA(c, 6, 2, centres=5, group=12, backend="reference")],
    "cata-on-trunk": lambda c: [
        CATA(c, c, 2, 5, 12, residual_scale=0.1, neighbours="both", attends_centres=False, trained_on="average")
    ],
    "atd": lambda c: [ATD(c, 2, 5, 3, 12)],
    "atd-reference": lambda c: [ATD(c, 2, 5, 3, 12, backend="reference")],
    "nlsa": lambda c: [NLSA(c, window=12)],
    "nlsa-one-round": lambda c: [NLSA(c, window=12, rounds=1)],
    "nlsa-reference": lambda c: [NLSA(c, window=12, backend="reference")],
    "nlsa-untied": lambda c: [NLSA(c, window=12, tied=False)],
    "enla": lambda c: [ENLA(c, features=24)],
    "fgca": lambda c: [FGCA(c, side=3, top=2)],
    "fgca-reference": lambda c: [FGCA(c, side=3, top=2, backend="reference")],
    "fgca-on-trunk": lambda c: [FGCA(c, side=4, top=3, residual_scale=0.1)],
    "fgca-tied": lambda c: [FGCA(c, side=3, top=2, tied=True)],
    "bra": lambda c: [BRA(c, windows=3, top=4)],
    "window": lambda c: [WindowAttention(c, 2, 4)],
    "window-reference": lambda c: [WindowAttention(c, 2, 4, backend="reference")],
    "window-no-bias": lambda c: [WindowAttention(c, 2, 8, None)],
    "window-rib": lambda c: [WindowAttention(c, 2, 4, ImplicitPosition, gate=True)],
    "window-on-trunk": lambda c: [WindowAttention(c, 2, 8, residual_scale=0.1)],
    "window-tied": lambda c: [WindowAttention(c, 2, 4, tied=True)],
    "pfa": lambda c: [PFA(c, 2, 4, top=16), PFA(c, 2, 4, top=9), PFA(c, 2, 4, top=3)],
    "gmsa": lambda c: [GMSA(c, (2, 4))],
    "gmsa-reference": lambda c: [GMSA(c, (2, 4), backend="reference")],
    "gmsa-shifted": lambda c: [GMSA(c, (2, 4, 8), shifted=True, residual_scale=0.1)],
    "gmsa-shared": lambda c: [GMSA(c, (2, 4), shifted=True), SharedGMSA(c, (2, 4))],
    "gmsa-shared-reference": lambda c: [
        GMSA(c, (4, 8), backend="reference"),
        SharedGMSA(c, (4, 8), residual_scale=0.1, backend="reference"),
    ],
    "bra-reference": lambda c: [BRA(c, windows=3, top=4, backend="reference")],
}
