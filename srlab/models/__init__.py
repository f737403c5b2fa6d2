"""Networks: the trunk that takes any attention, each paper's own, and a registry of all."""

from srlab.models import on_trunk  # noqa: F401  (enters the networks)
from srlab.models.registry import REGISTRY, build, entry

__all__ = ["REGISTRY", "build", "entry"]
