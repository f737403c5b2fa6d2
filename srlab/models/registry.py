"""Every network by name: `build("lcoan", scale=2)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import ValidationError, validate_call
from torch import nn

from srlab.errors import InputError, explain

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
        """Configuration keys and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters if p.name != "scale"}


REGISTRY: dict[str, Entry] = {}


def register(
    name: str, title: str, paper: str
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Enter a function `(scale, **options) -> nn.Module` under a name."""

    def enter(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        REGISTRY[name] = Entry(name, title, paper, validate_call(make))
        return make

    return enter


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


def build(name: str, scale: int = 4, seed: int | None = None, **config: object) -> nn.Module:
    """Build a network.

    Parameters
    ----------
    name : str
        A key of `REGISTRY`; `srlab models` lists them.
    scale : {2, 3, 4, 8}
    seed : int, optional
        Initialise the weights from this seed, leaving torch's global generator as it was.
    **config
        Options of that network, e.g. `channels=24`; those not given have the papers' values.

    Raises
    ------
    InputError
        For an unknown name, scale or option.
    """
    chosen = entry(name)
    check_scale(scale)
    for key in config:
        if key not in chosen.options:
            allowed = ", ".join(chosen.options) or "none"
            raise InputError(f"option '{key}' is unknown to model '{name}'; its options are: {allowed}")
    with torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            return chosen.make(scale=scale, **config)
        except ValidationError as error:
            raise InputError(explain(error, f"model '{name}'")) from None
