"""Limits runs: ever larger maps for one layer of each mechanism, until it fails."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch

from srlab.measure.limits import find_limits
from srlab.study.records import Record
from srlab.study.runs import Network, Run
from srlab.study.study import Study


class LimitsRun(Run):
    """Find the largest map that one layer of each mechanism can take; see :func:`srlab.measure.limits.find_limits`."""

    tables: ClassVar = ("limits",)

    kind: Literal["limits"] = "limits"
    networks: dict[str, Network]  # by label
    sizes: tuple[tuple[int, int], ...]  # (height, width) in pixels, from small to large
    limit_s: float
    limit_mib: int

    @property
    def slug(self) -> str:
        return "limits"

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        networks = {label: network.build(self.scale, seed=0) for label, network in self.networks.items()}
        record.write("limits", find_limits(networks, self.sizes, self.limit_s, self.limit_mib, device))
        record.finish(device, dtype="float32", batch=1)
