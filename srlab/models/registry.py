"""Every network by name: `build("lcoan", scale=2)`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from pydantic import PositiveInt as Count
from pydantic import ValidationError, validate_call
from torch import nn

from srlab.attention import Attention
from srlab.errors import InputError, explain
from srlab.models.skip import First, Skip, add_to_bicubic, centre_filters
from srlab.models.trunk import Gates, Trunk, close_gates

SCALES = (2, 3, 4, 8)
#: Names for people of networks that only others' code builds.
OTHERS = {"craft": "CRAFT", "dat": "DAT-light", "dctlsa": "DCTLSA", "span": "SPAN (convolutions)"}
#: No number among a network's options is larger: torch cannot hold such a network, or builds for hours.
LARGEST = 2**16
#: Options that people write as symbols.
SYMBOLS = {"clusters": "k", "window": "w", "ema_decay": "λ"}

Make = Callable[..., nn.Module]
Layer = Callable[..., Attention | None]


@dataclass(frozen=True)
class Entry:
    """A network of the registry: the name for people is `label`, a line of description `title`.

    `trunk` is True for the trunk with one attention or another; `options` hold the defaults of each configuration key.
    """

    name: str
    label: str
    title: str
    paper: str
    trunk: bool
    options: dict[str, object]
    make: Make


REGISTRY: dict[str, Entry] = {}


def register(name: str, label: str, title: str, paper: str) -> Callable[[Make], Make]:
    """Enter a function `(scale, **options) -> nn.Module` under a name."""

    def enter(make: Make) -> Make:
        REGISTRY[name] = Entry(name, label, title, paper, False, _defaults(make), validate_call(make))
        return make

    return enter


def register_on_trunk(name: str, label: str, title: str, paper: str) -> Callable[[Layer], Layer]:
    """Enter the trunk with the layers that a function `(i, channels, **options) -> Attention` makes, i = 0, 1, …"""

    def enter(layer: Layer) -> Layer:
        checked = validate_call(layer)

        def make(scale: int, channels: Count = 128, groups: Count = 10, blocks: Count = 4, **options: object) -> Trunk:
            return Trunk(lambda i: checked(i, channels, **options), scale, channels, groups, blocks)

        options = _defaults(make) | _defaults(layer)
        REGISTRY[name] = Entry(name, label, title, paper, True, options, validate_call(make))
        return layer

    return enter


def _defaults(function: Callable) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def trunk_networks() -> tuple[str, ...]:
    return tuple(name for name, each in REGISTRY.items() if each.trunk)


def entry(name: str) -> Entry:
    """Return the entry of a name; raise an InputError if the name is unknown."""
    if name not in REGISTRY:
        raise InputError(f"model '{name}' is unknown; there are: {', '.join(REGISTRY)}")
    return REGISTRY[name]


def label(name: str) -> str:
    """Return the name for people of "NAME", "NAME (stored)" or "NAME option=value …"; unknown names are returned as is.

    >>> label("lcoan clusters=4"), label("trunk_window side=16"), label("lcoan (stored)"), label("bicubic")
    ('LCoA, k = 4', '16×16 windows', 'LCoA (stored)', 'bicubic')
    >>> label("trunk_nla tied=1"), label("trunk_lsp tied=0")
    ('dense (NLA), tied', 'LSP, untied')
    """
    model, _, rest = name.partition(" ")
    if model not in REGISTRY:
        return OTHERS.get(name, name)
    setting = r"(\w+)=(\([^)]*\)|\S+)"
    options, note = dict(re.findall(setting, rest)), re.sub(setting, "", rest).strip()
    words, side = [REGISTRY[model].label], options.pop("side", None)
    if side is not None:
        words = [word for word in words if word != "windows"] + [f"{side}×{side} windows"]
    tied = {"1": ["tied"], "0": ["untied"]}.get(options.pop("tied", ""), [])
    for option, value in options.items():
        symbol = SYMBOLS.get(option, option)
        words.append(f"{symbol} = {value}" if len(symbol) == 1 else f"{symbol.replace('_', ' ')} {value}")
    return " ".join(filter(None, [", ".join(words + tied), note]))


def _number(value: object) -> float:
    """Return a number, or one that is written as text; 0 for anything else."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")
    except (TypeError, ValueError):
        return 0.0


def check_scale(scale: int) -> None:
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
    """Build a network; an unknown name, scale or option is an InputError.

    Parameters
    ----------
    name : str
        A key of `REGISTRY`; `srlab models` lists them.
    seed : int, optional
        Seed of the first weights, by default drawn from torch's global generator, which is not used otherwise.
    skip : {"published", "bicubic"}
        Add the output to the paper's term, or to the bicubic enlargement of the input by a last convolution that is
        zero at first.
    first : {"published", "details"}
        Filters of the first convolution at first: as drawn, or passing details only.
    gates : {"published", "closed"}
        "closed" puts gates that training has to open behind the attention layers of a network on the trunk.
    **config
        Options of that network, e.g. `channels=24`; the defaults are the papers' values.
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
        for each in config[key] if isinstance(config[key], list | tuple) else [config[key]]:
            if not _number(each) <= LARGEST:  # nor is it NaN
                raise InputError(f"model '{name}', '{key}' is {each}; allowed are numbers up to {LARGEST}")
    if gates == "closed" and not chosen.trunk:
        raise InputError(f"gates is 'closed'; model '{name}' is not on the trunk and has none")
    if seed is None:
        seed = torch.randint(2**31, (), device="cpu").item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network = chosen.make(scale=scale, **config)
        except ValidationError as error:
            raise InputError(explain(error, f"model '{name}'")) from None
    if first == "details":
        centre_filters(network)
    if gates == "closed":
        close_gates(network)
    return add_to_bicubic(network) if skip == "bicubic" else network
