"""Every network by name: `build("lcoan", scale=2)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from pydantic import ValidationError, validate_call
from torch import nn

from srlab.errors import InputError, explain
from srlab.models.skip import First, Skip, add_to_bicubic, see_details
from srlab.models.trunk import Gates, Trunk, close_gates

SCALES = (2, 3, 4, 8)


@dataclass(frozen=True)
class Entry:
    """A network of the study."""

    name: str
    title: str
    paper: str
    make: Callable[..., nn.Module]

    @property
    def options(self) -> dict[str, object]:
        """Configuration keys and their defaults; beside them all have `skip`, `first` and `gates`: see :func:`build`."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "scale"}


REGISTRY: dict[str, Entry] = {}


def register(name: str, title: str, paper: str) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Enter a function `(scale, **options) -> nn.Module` under a name."""

    def enter(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        REGISTRY[name] = Entry(name, title, paper, validate_call(make))
        return make

    return enter


#: A stand-in until every network has a label of its own.
labels = {"no_attention": "no attention", "lcoan": "LCoA", "trunk_nla": "dense (NLA)", "nlsn": "NLSA"}


def label(name: str) -> str:
    """Return a network's label for people, e.g. "LCoA"; an unknown name is returned unchanged."""
    return labels.get(name, name)


def trunk_networks() -> tuple[str, ...]:
    """Every network that is the trunk with one attention or another, in the order in which they are written."""
    return tuple(name for name, each in REGISTRY.items() if "groups" in each.options)


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in REGISTRY:
        raise InputError(f"model '{name}' is unknown; there are: {', '.join(REGISTRY)}")
    return REGISTRY[name]


def check_scale(scale: int) -> None:
    """Raise an InputError unless networks are made for that scale."""
    if scale not in SCALES:
        raise InputError(f"scale is {scale}; allowed are {', '.join(map(str, SCALES))}")


def build(
    name: str,
    scale: int = 4,
    seed: int | None = None,
    skip: str = "published",
    first: str = "published",
    gates: str = "published",
    **config: object,
) -> nn.Module:
    """Build a network.

    Parameters
    ----------
    name : str
        A key of `REGISTRY`; `srlab models` lists them.
    scale : {2, 3, 4, 8}
    seed : int, optional
        Initialise the weights from this seed, leaving torch's global generator as it was; by default from one that
        is drawn from that generator.
    skip : {"published", "bicubic"}
        What the network adds its output to: as published, or the bicubic enlargement of its input, with a last
        convolution that is zero at first.
    first : {"published", "details"}
        What the filters of the first convolution begin as: as drawn, or so that they see details only.
    gates : {"published", "closed"}
        Of a network on the trunk: whether what its non-local layers change passes gates that training has to open.
    **config
        Options of that network, e.g. `channels=24`; those not given have the papers' values.

    Raises
    ------
    InputError
        For an unknown name, scale or option.
    """
    chosen = entry(name)
    check_scale(scale)
    for option, value, kind in (("skip", skip, Skip), ("first", first, First), ("gates", gates, Gates)):
        if value not in get_args(kind):
            raise InputError(f"{option} is '{value}'; allowed are {', '.join(get_args(kind))}")
    for key in config:
        if key not in chosen.options:
            allowed = ", ".join(chosen.options) or "none"
            raise InputError(f"option '{key}' is unknown to model '{name}'; its options are: {allowed}")
    if seed is None:
        seed = torch.randint(2**31, (), device="cpu").item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = chosen.make(scale=scale, **config)
        except ValidationError as error:
            raise InputError(explain(error, f"model '{name}'")) from None
    if first == "details":
        see_details(network)
    if gates == "closed":
        if not isinstance(network, Trunk):
            raise InputError(f"gates is 'closed'; model '{name}' is not on the trunk and has none")
        close_gates(network)
    return add_to_bicubic(network) if skip == "bicubic" else network
