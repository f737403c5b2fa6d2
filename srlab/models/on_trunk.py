"""The networks that are the trunk with one attention or another.

To add a mechanism: write `srlab/attention/<name>.py` and one function here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from srlab.attention import LSP, NLA, CoA
from srlab.models.registry import register
from srlab.models.trunk import Trunk

LCOA = "arXiv:2404.04922"
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
    sharing: Sharing = "recomputed",
    centroid_update: CentroidUpdate = "ema",
    ema_decay: UnitInterval = 0.999,
) -> Trunk:
    def attention(i: int) -> LSP | CoA:
        if i > 0:
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
        )

    return Trunk(attention, scale, channels, groups, blocks)


@register("lspn", "LSP in every layer: sparse, not shared", LCOA)
def lspn(
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
) -> Trunk:
    def attention(i: int) -> LSP:
        return LSP(
            channels,
            clusters,
            window,
            reduction,
            rounds,
            centroid_update=centroid_update,
            ema_decay=ema_decay,
        )

    return Trunk(attention, scale, channels, groups, blocks)


@register("nlan", "plain non-local attention in every layer: dense, not shared", LCOA)
def nlan(
    scale: int,
    channels: PositiveInt = 128,
    groups: PositiveInt = 10,
    blocks: PositiveInt = 4,
    reduction: PositiveInt = 2,
) -> Trunk:
    return Trunk(lambda i: NLA(channels, reduction), scale, channels, groups, blocks)


@register("nlan_shared", "plain non-local weights computed once, shared by all later layers: CoA alone", LCOA)
def nlan_shared(
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


@register("edsr_like", "the trunk without non-local attention", "arXiv:1707.02921 (as a baseline)")
def edsr_like(
    scale: int, channels: PositiveInt = 128, groups: PositiveInt = 10, blocks: PositiveInt = 4
) -> Trunk:
    return Trunk(lambda i: None, scale, channels, groups, blocks)
