"""The networks that are the trunk with one attention or another.

To add a mechanism: write `srlab/attention/<name>.py` and one function here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from srlab.attention import (
    BRA,
    ENLA,
    FGCA,
    GMSA,
    LSP,
    NLA,
    NLSA,
    CoA,
    ConvAttn,
    ImplicitPosition,
    LargeKernel,
    LocalConvolution,
    PositionTable,
    SharedGMSA,
    WindowAttention,
)
from srlab.attention.gmsa import Sides
from srlab.attention.kmeans import EmptyClusters, Start
from srlab.attention.window import Backend
from srlab.models.registry import register
from srlab.models.trunk import Trunk

LCOA = "arXiv:2404.04922"
ELAN = "arXiv:2203.06697"
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Sharing = Literal["recomputed", "stored"]
CentroidUpdate = Literal["ema", "frozen"]


@register("lcoan", "LCoA: sparse pattern first, its weights shared by all later layers", LCOA)
def lcoan(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    clusters: PositiveInt = 128,
    window: PositiveInt = 384,
    reduction: PositiveInt = 1,
    rounds: PositiveInt = 1,
    sharing: Literal["auto", "recomputed", "stored"] = "auto",
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
    centroid_start: Start = "points",
    empty_clusters: EmptyClusters = "stay",
    renew_every: PositiveInt | None = None,
) -> Trunk:
    """Weights are computed once, as published, or anew in every `renew_every`-th layer."""

    def attention(i: int) -> LSP | CoA:
        if i % (renew_every or groups) > 0:
            return CoA(channels)
        return LSP(
            channels,
            clusters,
            window,
            reduction,
            rounds,
            sharing=sharing,
            centroid_update=centroid_update,
            ema_decay=ema_decay,
            centroid_start=centroid_start,
            empty_clusters=empty_clusters,
        )

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_lsp", "LSP in every layer: sparse, not shared", LCOA)
def trunk_lsp(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    clusters: PositiveInt = 128,
    window: PositiveInt = 384,
    reduction: PositiveInt = 1,
    rounds: PositiveInt = 1,
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
    centroid_start: Start = "points",
    empty_clusters: EmptyClusters = "stay",
    sharing: Literal["recomputed", "plain"] = "recomputed",
) -> Trunk:
    def attention(i: int) -> LSP:
        return LSP(
            channels,
            clusters,
            window,
            reduction,
            rounds,
            sharing=sharing,
            centroid_update=centroid_update,
            ema_decay=ema_decay,
            centroid_start=centroid_start,
            empty_clusters=empty_clusters,
        )

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_nla", "plain non-local attention in every layer: dense, not shared", LCOA)
def trunk_nla(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    reduction: PositiveInt = 2,
    sharing: Sharing = "recomputed",
) -> Trunk:
    return Trunk(lambda i: NLA(channels, reduction, sharing=sharing), scale, channels, groups, blocks)


@register("trunk_nla_shared", "plain non-local weights computed once, shared by all later layers: CoA alone", LCOA)
def trunk_nla_shared(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    reduction: PositiveInt = 2,
    sharing: Sharing = "recomputed",
) -> Trunk:
    def attention(i: int) -> NLA | CoA:
        return CoA(channels) if i > 0 else NLA(channels, reduction, sharing=sharing)

    return Trunk(attention, scale, channels, groups, blocks)


@register("no_attention", "the trunk without non-local attention", "arXiv:1707.02921 (as a baseline)")
def no_attention(scale: int, channels: PositiveInt = 128, groups: PositiveInt = 10, blocks: PositiveInt = 4) -> Trunk:
    return Trunk(lambda i: None, scale, channels, groups, blocks)


@register("trunk_conv7", "a 7×7 convolution in every layer: the control that looks no further", "a control of ours")
def trunk_conv7(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    kernel_size: PositiveInt = 7,
) -> Trunk:
    return Trunk(lambda i: LocalConvolution(channels, kernel_size), scale, channels, groups, blocks)


@register("nlsn", "NLSA in every layer: sparse by hashing, four rounds", "Mei et al., CVPR 2021")
def nlsn(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    window: PositiveInt = 144,
    reduction: PositiveInt = 4,
    rounds: PositiveInt = 4,
    backend: Literal["fused", "reference"] = "fused",
) -> Trunk:
    def attention(i: int) -> NLSA:
        return NLSA(channels, window, reduction, rounds, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)


@register("enlcn", "ENLA in every layer: linear, trained with its contrastive loss", "Xia et al., AAAI 2022")
def enlcn(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    reduction: PositiveInt = 4,
    features: PositiveInt = 128,
    contrastive_weight: NonNegativeFloat = 1e-3,
) -> Trunk:
    def attention(i: int) -> ENLA:
        return ENLA(channels, reduction, features, contrastive_weight=contrastive_weight)

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_fgca", "FGCA in every layer: 8×8 windows, each choosing sixteen of all", "arXiv:2504.06634")
def trunk_fgca(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    heads: PositiveInt = 4,
    side: PositiveInt = 8,
    top: PositiveInt = 16,
    backend: Literal["fused", "reference"] = "fused",
) -> Trunk:
    def attention(i: int) -> FGCA:
        return FGCA(channels, heads, side, top, residual_scale=0.1, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_bra", "BRA in every layer: 8×8 windows of any size, each choosing sixteen", "arXiv:2303.08810")
def trunk_bra(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    heads: PositiveInt = 4,
    windows: PositiveInt = 8,
    top: PositiveInt = 16,
    backend: Literal["fused", "reference"] = "fused",
) -> Trunk:
    def attention(i: int) -> BRA:
        return BRA(channels, heads, windows, top, residual_scale=0.1, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_window", "window attention in every layer, with a position table or RIB", "arXiv:2503.06671")
def trunk_window(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    heads: PositiveInt = 4,
    side: PositiveInt = 32,
    position: Literal["none", "table", "rib"] = "table",
    backend: Backend = "sdpa",
) -> Trunk:
    makers = {"none": None, "table": PositionTable, "rib": ImplicitPosition}

    def attention(i: int) -> WindowAttention:
        return WindowAttention(channels, heads, side, makers[position], residual_scale=0.1, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)


@register(
    "trunk_conv_attn",
    "ConvAttn in every layer: one large kernel for all, small ones of the image",
    "arXiv:2503.06671",
)
def trunk_conv_attn(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    attended: PositiveInt = 48,  # not ESC's quarter, so that operations match LCoAN's
    kernel_size: PositiveInt = 13,
) -> Trunk:
    def attention(i: int) -> ConvAttn:
        kernel = LargeKernel(attended, kernel_size) if i == 0 else None
        return ConvAttn(channels, attended, kernel=kernel, residual_scale=0.1)

    return Trunk(attention, scale, channels, groups, blocks)


@register(
    "trunk_elan", "ELAN's attention in three sizes of windows, its weights used again by every second layer", ELAN
)
def trunk_elan(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    sides: Sides = (8, 16, 32),  # not ELAN's 4, 8 and 16, so that operations match LCoAN's
    backend: Literal["sdpa", "reference"] = "sdpa",
) -> Trunk:
    def attention(i: int) -> SharedGMSA:
        if i % 2 > 0:
            return SharedGMSA(channels, sides, residual_scale=0.1, backend=backend)
        return GMSA(channels, sides, shifted=i // 2 % 2 > 0, residual_scale=0.1, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)


@register("trunk_elan_own", "ELAN's attention in three sizes of windows, in every layer: not shared", ELAN)
def trunk_elan_own(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    sides: Sides = (8, 16, 32),
    backend: Literal["sdpa", "reference"] = "sdpa",
) -> Trunk:
    """In each layer the same windows as in `trunk_elan`."""

    def attention(i: int) -> GMSA:
        return GMSA(channels, sides, shifted=i // 2 % 2 > 0, residual_scale=0.1, backend=backend)

    return Trunk(attention, scale, channels, groups, blocks)
