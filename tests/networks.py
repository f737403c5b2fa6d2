"""Small networks of the registry, for tests."""

import torch

from srlab.models import REGISTRY, build

SMALL = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}
SMALL |= {"heads": 2, "side": 8, "attended": 4}
#: Options of networks that are deep by default: every kind of layer once or twice.
SHORT = {"hit_srf": {"stages": 1, "ratios": (0.5, 2.0)}, "elan_light": {"layers": 4, "sides": (4, 8)}}
SHORT["atd_light"] = {"depths": (2, 1)}
SHORT["sscan"] = {"depth": 1}
SHORT["pft_light"] = {"depths": (4, 2), "kept": (64, 64, 20, 20, 9, 9)}
SHORT |= {name: {"pairs": 1} for name in ("esc", "esc_light", "esc_fp", "esc_rib")}
ONE_UNIT = (
    "no_attention",
    "nlsn",
    "enlcn",
    *(f"trunk_{name}" for name in ("nla", "window", "fgca", "bra", "conv_attn")),
)
SHORT |= {name: {"groups": 1} for name in ONE_UNIT}
#: Networks with no layer that another has not; the compiler and the exporter take them as they take those.
ALIKE = ("esc_light", "esc_fp", "trunk_lsp", "trunk_nla_shared", "trunk_nla_sum", "trunk_coa_sum", "trunk_conv7")
ALIKE += ("trunk_elan", "trunk_elan_own", "no_attention", "trunk_window", "trunk_conv_attn", "trunk_fgca", "trunk_cata")


def small(name: str, scale: int = 2, seed: int | None = 0, **options: object) -> torch.nn.Module:
    known = {key: value for key, value in SMALL.items() if key in REGISTRY[name].options}
    return build(name, scale, seed, **(known | options))


def short(name: str, *scale: int, **options: object) -> torch.nn.Module:
    """Build a small network with every kind of layer once or twice."""
    return small(name, *scale, **(SHORT.get(name, {}) | options))


def set_backend(network: torch.nn.Module, way: str) -> torch.nn.Module:
    """Let every layer that has a choice compute in this way; return the network."""
    for module in network.modules():
        if hasattr(module, "backend"):
            module.backend = way
    return network
