"""Timing runs: time and memory of several networks, measured interleaved."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from srlab.measure.breakdown import layer_breakdown
from srlab.measure.costs import measure_networks
from srlab.measure.processes import measure_in_processes
from srlab.measure.profiling import ceilings, count_parameters
from srlab.study.profile import Size
from srlab.study.runs import Network, Run

if TYPE_CHECKING:
    import torch

    from srlab.study.records import Record
    from srlab.study.study import Study


class TimingRun(Run):
    """Measure several networks, and their non-local layers alone."""

    timed: ClassVar = True

    kind: Literal["timing"] = "timing"
    about: str  # the purpose, for the name
    networks: dict[str, Network]  # by label
    sizes: tuple[Size, ...]  # of LR inputs
    repeats: int
    warmup: int
    #: Measure in so many fresh processes, of networks on the trunk their non-local layers alone; None: in this process,
    #: whole networks too.
    processes: int | None = None
    limit_s: float | None = None  # `limit_s` and `limit_mib` end a network's series in fresh processes
    limit_mib: int | None = None
    inside: bool = False  # also measure the stages of each layer at the largest size

    @property
    def slug(self) -> str:
        return f"timing-{self.about}-x{self.scale}"

    @property
    def tables(self) -> tuple[str, ...]:
        return ("times", "profile", "inside") if self.inside else ("times", "profile")

    def label_of(self, network: Network) -> str:
        """Return the label under which a network is timed."""
        return next(label for label, timed in self.networks.items() if timed == network)

    def make(self, record: Record, study: Study, device: torch.device, processes: int, deadline: float | None) -> None:
        networks = {label: network.build(self.scale, seed=0) for label, network in self.networks.items()}
        if self.processes is None:
            roofs = ceilings(device, self.repeats)
            times, costs = measure_networks(networks, self.sizes, device, self.repeats, self.warmup)
            if self.inside:
                record.write("inside", layer_breakdown(networks, self.sizes[-1], device, self.repeats, self.warmup))
        else:
            times, costs, roofs = measure_in_processes(
                networks, self.sizes, device, self.processes, self.repeats, self.limit_s, self.limit_mib
            )
        record.write("times", times)
        record.write("profile", costs)
        parameters = {label: count_parameters(network) for label, network in networks.items()}
        record.finish(device, parameters=parameters, dtype="float32", batch=1, ceilings=roofs)
