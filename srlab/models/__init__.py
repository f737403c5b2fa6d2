"""Networks: the trunk that takes any attention, the papers' own networks, and a registry of all."""

from srlab.models import atd, catanet, elan, esc, hit_srf, on_trunk, pft, sscan  # noqa: F401  (enters the networks)
from srlab.models.registry import REGISTRY, build, check_scale, entry, label, trunk_networks

__all__ = ["REGISTRY", "build", "check_scale", "entry", "label", "trunk_networks"]
