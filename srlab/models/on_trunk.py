"""The trunk with one attention or another: each function makes the layer of unit i = 0, 1, …

To add a mechanism: write `srlab/attention/<name>.py` and one function here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat
from pydantic import PositiveInt as Count

from srlab.attention.atd import ATD
from srlab.attention.bra import BRA
from srlab.attention.cata import CATA, Neighbours, TrainedOn
from srlab.attention.coa import CoA
from srlab.attention.coa_sum import SummedLSP, SummedNLA
from srlab.attention.conv_attn import ConvAttn, LargeKernel
from srlab.attention.enla import ENLA
from srlab.attention.fgca import FGCA
from srlab.attention.focused_windows import PFA
from srlab.attention.gmsa import GMSA, SharedGMSA, Sides
from srlab.attention.gmsa import Backend as Folded
from srlab.attention.kmeans import EmptyClusters, Start
from srlab.attention.local import LocalConvolution
from srlab.attention.lsp import LSP
from srlab.attention.nla import NLA
from srlab.attention.nlsa import NLSA
from srlab.attention.routed_windows import Backend as Fused
from srlab.attention.window import Backend, ImplicitPosition, PositionTable, WindowAttention
from srlab.models.registry import register_on_trunk
from srlab.models.trunk import ADDED

ATD_PAPER = "arXiv:2401.08209"
PFT = "arXiv:2503.20337"
LCOA = "arXiv:2404.04922"
CATANET = "arXiv:2503.06896"
ESC = "arXiv:2503.06671"
ELAN = "arXiv:2203.06697"
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Sharing = Literal["recomputed", "stored"]
CentroidUpdate = Literal["ema", "frozen"]
Position = Literal["none", "table", "rib"]


def _lsp(*sizes: int, sharing: str, learning: tuple[str | float, ...], tied: bool = True) -> LSP:
    names = ("centroid_update", "ema_decay", "centroid_start", "empty_clusters")
    return LSP(*sizes, ADDED, sharing, tied=tied, **dict(zip(names, learning, strict=True)))


@register_on_trunk("lcoan", "LCoA", "LSP in the first layer; later layers share its weights", LCOA)
def lcoan(
    i: int,
    channels: int,
    clusters: Count = 128,
    window: Count = 384,
    reduction: Count = 1,
    rounds: Count = 1,
    sharing: Literal["auto", "recomputed", "stored"] = "auto",
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
    centroid_start: Start = "points",
    empty_clusters: EmptyClusters = "stay",
    renew_every: Count | None = None,
) -> LSP | CoA:
    """Compute weights in the first layer only, as published, or in every `renew_every`-th one."""
    renewed = i == 0 if renew_every is None else i % renew_every == 0
    if not renewed:
        return CoA(channels)
    learning = (centroid_update, ema_decay, centroid_start, empty_clusters)
    return _lsp(channels, clusters, window, reduction, rounds, sharing=sharing, learning=learning)


@register_on_trunk("trunk_lsp", "LSP", "k-means sorts all pixels; each attends to those near it in this order", LCOA)
def trunk_lsp(
    i: int,
    channels: int,
    clusters: Count = 128,
    window: Count = 384,
    reduction: Count = 1,
    rounds: Count = 1,
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
    centroid_start: Start = "points",
    empty_clusters: EmptyClusters = "stay",
    sharing: Literal["recomputed", "plain"] = "recomputed",
    tied: bool = True,
) -> LSP:
    learning = (centroid_update, ema_decay, centroid_start, empty_clusters)
    return _lsp(channels, clusters, window, reduction, rounds, sharing=sharing, learning=learning, tied=tied)


@register_on_trunk("trunk_cata", "CATA", "groups sorted by centres that all images share, and the centres", CATANET)
def trunk_cata(
    i: int,
    channels: int,
    clusters: Count = 128,
    window: Count = 256,
    heads: Count = 4,
    neighbours: Neighbours = "next",
    attends_centres: bool = True,
    trained_on: TrainedOn = "batch",
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
) -> CATA:
    # The options are what separates it from LSP, one at a time.
    learning = {"trained_on": trained_on, "centroid_update": centroid_update, "ema_decay": ema_decay}
    return CATA(channels, channels, heads, clusters, window, ADDED, neighbours, attends_centres, **learning)


@register_on_trunk("trunk_adapt", "ATD", "groups sorted by a learnt dictionary that the image adapts", ATD_PAPER)
def trunk_adapt(
    i: int, channels: int, clusters: Count = 128, window: Count = 192, rank: Count = 8, heads: Count = 4
) -> ATD:
    # Not ATD's groups of 128: operations match LCoAN's.
    return ATD(channels, heads, clusters, rank, window, ADDED)


@register_on_trunk("trunk_nla", "dense (NLA)", "every pixel attends to every pixel", LCOA)
def trunk_nla(i: int, channels: int, reduction: Count = 2, sharing: Sharing = "recomputed", tied: bool = False) -> NLA:
    return NLA(channels, reduction, sharing=sharing, tied=tied)


@register_on_trunk("trunk_nla_shared", "dense, shared (NLA)", "dense in the first layer, shared by later ones", LCOA)
def trunk_nla_shared(i: int, channels: int, reduction: Count = 2, sharing: Sharing = "recomputed") -> NLA | CoA:
    return CoA(channels) if i > 0 else NLA(channels, reduction, sharing=sharing)


@register_on_trunk("trunk_coa_sum", "CoA, summed", "LSP's windows; each layer adds its scores to those before", LCOA)
def trunk_coa_sum(
    i: int, channels: int, clusters: Count = 128, window: Count = 384, reduction: Count = 1
) -> LSP | SummedLSP:
    return SummedLSP(channels, reduction, ADDED) if i > 0 else LSP(channels, clusters, window, reduction)


@register_on_trunk("trunk_nla_sum", "dense, summed (NLA)", "dense; each layer adds its scores to those before", LCOA)
def trunk_nla_sum(i: int, channels: int, reduction: Count = 2) -> NLA:
    return SummedNLA(channels, reduction, ADDED) if i > 0 else NLA(channels, reduction, ADDED)


@register_on_trunk("no_attention", "no attention", "convolutions alone: a control", "arXiv:1707.02921 (as a baseline)")
def no_attention(i: int, channels: int) -> None:
    return None


@register_on_trunk("trunk_conv7", "7×7 convolution", "a 7×7 convolution in place of attention", "a control of ours")
def trunk_conv7(i: int, channels: int, kernel_size: Count = 7) -> LocalConvolution:
    return LocalConvolution(channels, kernel_size)


@register_on_trunk("nlsn", "NLSA", "each pixel attends within its own bucket of a hash", "Mei et al., CVPR 2021")
def nlsn(
    i: int,
    channels: int,
    window: Count = 144,
    reduction: Count = 4,
    rounds: Count = 4,
    backend: Fused = "fused",
    tied: bool = True,
) -> NLSA:
    return NLSA(channels, window, reduction, rounds, backend=backend, tied=tied)


@register_on_trunk("enlcn", "ENLA", "random features make attention to all pixels linear", "Xia et al., AAAI 2022")
def enlcn(
    i: int, channels: int, reduction: Count = 4, features: Count = 128, contrastive_weight: NonNegativeFloat = 1e-3
) -> ENLA:
    return ENLA(channels, reduction, features, contrastive_weight=contrastive_weight)


@register_on_trunk("trunk_fgca", "FGCA", "each small window picks the windows that match it best", "arXiv:2504.06634")
def trunk_fgca(
    i: int,
    channels: int,
    heads: Count = 4,
    side: Count = 8,
    top: Count = 16,
    backend: Fused = "fused",
    tied: bool = False,
) -> FGCA:
    return FGCA(channels, heads, side, top, ADDED, backend, tied)


@register_on_trunk("trunk_bra", "BRA", "each region picks the regions that match it best", "arXiv:2303.08810")
def trunk_bra(
    i: int, channels: int, heads: Count = 4, windows: Count = 8, top: Count = 16, backend: Fused = "fused"
) -> BRA:
    return BRA(channels, heads, windows, top, ADDED, backend)


@register_on_trunk("trunk_window", "windows", "each pixel attends within its own window", ESC)
def trunk_window(
    i: int,
    channels: int,
    heads: Count = 4,
    side: Count = 32,
    position: Position = "table",
    backend: Backend = "sdpa",
    tied: bool = False,
) -> WindowAttention:
    maker = {"none": None, "table": PositionTable, "rib": ImplicitPosition}[position]
    return WindowAttention(channels, heads, side, maker, residual_scale=ADDED, backend=backend, tied=tied)


@register_on_trunk("trunk_pfa", "PFA", "windows; scores add up over layers, fewer and fewer keys are kept", PFT)
def trunk_pfa(i: int, channels: int, heads: Count = 4, side: Count = 32, kept: Sides = (1024, 256, 128, 64, 32)) -> PFA:
    return PFA(channels, heads, side, kept[min(i, len(kept) - 1)], ADDED)


@register_on_trunk("trunk_conv_attn", "ConvAttn", "one large convolution for all layers in place of attention", ESC)
def trunk_conv_attn(i: int, channels: int, attended: Count = 48, kernel_size: Count = 13) -> ConvAttn:
    # 48 channels are attended, not ESC's quarter: operations match LCoAN's.
    kernel = LargeKernel(attended, kernel_size) if i == 0 else None
    return ConvAttn(channels, attended, kernel=kernel, residual_scale=ADDED)


@register_on_trunk("trunk_elan", "ELAN", "windows of several sizes; every second layer reuses the weights", ELAN)
def trunk_elan(i: int, channels: int, sides: Sides = (8, 16, 32), backend: Folded = "sdpa") -> SharedGMSA:
    # Not ELAN's sides of 4, 8 and 16: operations match LCoAN's.
    if i % 2 > 0:
        return SharedGMSA(channels, sides, residual_scale=ADDED, backend=backend)
    return trunk_elan_own(i, channels, sides, backend)


@register_on_trunk("trunk_elan_own", "ELAN, not shared", "windows of several sizes; each layer makes its weights", ELAN)
def trunk_elan_own(i: int, channels: int, sides: Sides = (8, 16, 32), backend: Folded = "sdpa") -> GMSA:
    # As in ELAN, every second pair of layers shifts its windows: from the third layer on, so a trunk needs four units.
    return GMSA(channels, sides, shifted=i // 2 % 2 > 0, residual_scale=ADDED, backend=backend)
