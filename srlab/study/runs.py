"""Runs: what a run is, by its config, and the hash and the name that follow from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_serializer
from torch import nn

from srlab.data.recall import Scene
from srlab.models import build, entry
from srlab.study.profiles import Size
from srlab.training import Budget

#: Options of networks that earlier versions did not know. Where they are as it was then runs do not name them, so that
#: hashes of earlier runs stand.
LATER = {
    "lcoan": ("centroid_start", "empty_clusters"),
    "trunk_lsp": ("centroid_start", "empty_clusters", "sharing"),
    "trunk_nla": ("sharing",),
    "nlsn": ("backend",),
    "trunk_fgca": ("backend",),
    "trunk_bra": ("backend",),
}


#: What a study's networks have where they are built with another by default: it compares ways to share weights, and
#: must know which one it has.
STUDIED = {"lcoan": {"sharing": "recomputed"}}


def options_of(model: str) -> dict[str, object]:
    """The options of a network and their defaults, or what is `STUDIED`, but for those of `LATER`."""
    options = {**entry(model).options, **STUDIED.get(model, {})}
    return {key: value for key, value in options.items() if key not in LATER.get(model, ())}


class Network(BaseModel):
    """A network by name and all of its options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    options: dict[str, int | float | str | tuple[int | float, ...] | None]

    def build(self, scale: int, seed: int) -> nn.Module:
        return build(self.model, scale, seed, **self.options)


class _Run(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: int
    device: str

    @property
    def hash(self) -> str:
        """Ten hex digits of SHA-256 over the config as canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    @property
    def slug(self) -> str:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.slug}-{self.hash}"


class TrainingRun(_Run):
    """Train one network, evaluate it, profile it.

    Attributes
    ----------
    network : Network
    scale : int
    data : str
        Fingerprint of the images.
    benchmarks : tuple of str
    budget : Budget
    seed : int
    photographs : int, optional
        How many of the images to train on; all of them if None.
    start_from : str, optional
        Hash of the run whose trunk this one goes on from; None for a run from scratch.
    device : str
        As in the results folder's name, e.g. "amd-epyc".
    """

    kind: Literal["training"] = "training"
    network: Network
    data: str
    benchmarks: tuple[str, ...]
    budget: Budget
    seed: int
    photographs: int | None = None
    start_from: str | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: Callable) -> dict[str, object]:
        """Without `start_from` where a run is from scratch, as earlier ones were: their hashes stand."""
        content = dump(self)
        return content if self.start_from else {key: content[key] for key in content if key != "start_from"}

    @property
    def slug(self) -> str:
        branch = "-branch" if self.start_from else ""
        return f"{self.network.model}{branch}-x{self.scale}-seed{self.seed}"


class TimingRun(_Run):
    """Time and memory of several networks, and of their non-local layers alone, measured in turn.

    Attributes
    ----------
    about : str
        What it is measured for.
    networks : dict
        Network by label.
    sizes : tuple of int or pair of int
        LR inputs: sides in pixels, or (height, width).
    repeats, warmup : int
    processes : int, optional
        Measure in so many fresh processes (:func:`srlab.measure.processes.measure_in_processes`), of networks on the
        trunk their non-local layers alone; None: in this one, the whole networks too.
    limit_s, limit_mib : float, int, optional
        Of fresh processes: what ends the series of a network.
    inside : bool
        Whether to look into the layers too, at the largest size (:func:`srlab.measure.breakdown.layer_breakdown`).
    """

    kind: Literal["timing"] = "timing"
    about: str
    networks: dict[str, Network]
    sizes: tuple[Size, ...]
    repeats: int
    warmup: int
    processes: int | None = None
    limit_s: float | None = None
    limit_mib: int | None = None
    inside: bool = False

    @model_serializer(mode="wrap")
    def _as_before(self, dump: Callable[[object], dict]) -> dict:
        """What earlier versions did not know is left out where there is none, so that hashes of their runs stand."""
        later = {"processes": None, "limit_s": None, "limit_mib": None, "inside": False}
        return {key: value for key, value in dump(self).items() if key not in later or value != later[key]}

    @property
    def slug(self) -> str:
        return f"timing-{self.about}-x{self.scale}"

    def label_of(self, network: Network) -> str:
        """The label under which a network is timed."""
        return next(label for label, timed in self.networks.items() if timed == network)


class LimitsRun(_Run):
    """How large a feature map one layer of each mechanism can take; see :func:`srlab.measure.limits.find_limits`.

    Attributes
    ----------
    networks : dict
        Network by label.
    sizes : tuple of pair of int
        (height, width), from small to large.
    limit_s : float
    limit_mib : int
    """

    kind: Literal["limits"] = "limits"
    networks: dict[str, Network]
    sizes: tuple[tuple[int, int], ...]
    limit_s: float
    limit_mib: int

    @property
    def slug(self) -> str:
        return "limits"


class RecallRun(_Run):
    """Train one network on recall images, and measure what it finds; see :mod:`srlab.measure.recall`.

    Attributes
    ----------
    network : Network
    scene : Scene
        What it is trained on.
    settings : str
        Hash of the settings that it is measured on.
    budget : Budget
        Its `patch` is the scene's side.
    seed : int
    """

    kind: Literal["recall"] = "recall"
    network: Network
    scene: Scene
    settings: str
    budget: Budget
    seed: int

    @property
    def slug(self) -> str:
        return f"recall-{self.network.model}-x{self.scale}-seed{self.seed}"


Run = TrainingRun | TimingRun | LimitsRun | RecallRun
