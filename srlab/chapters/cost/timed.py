"""The runs of the chapter: which networks are timed, on which inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srlab.chapters.cost.limits import LimitsRun
from srlab.measure.costs import height_and_width
from srlab.models import entry, trunk_networks
from srlab.study.runs import Network
from srlab.study.study import Study
from srlab.study.timing_run import TimingRun
from srlab.study.training_run import TrainingRun

if TYPE_CHECKING:
    from srlab.chapters.cost import Settings

#: Dense or sparse, own or shared weights, and no attention.
SHARING = ("no_attention", "trunk_nla", "trunk_nla_shared", "trunk_lsp", "lcoan")
#: Networks that share weights; they are also timed with the weights stored.
STORED = ("lcoan", "trunk_nla_shared")
#: Sides M of FGCA's windows.
ROUTED_SIDES = (4, 8, 16)


def growth(study: Study, settings: Settings) -> TimingRun:
    """Return the measurement of whole networks, and of their layers, over the size of the image."""
    networks = _networks(study, settings)
    stored = [model for model in STORED if model in networks]
    networks |= {f"{model} (stored)": _timed(study, settings, model, sharing="stored") for model in stored}
    return study.timing("growth", networks, settings.sizes, inside=True)


def windows(study: Study, settings: Settings) -> TimingRun:
    """Return the measurement of one window attention layer by each back-end, on the largest map."""
    networks = {}
    for side in settings.sides:
        for backend in settings.backends:
            how = {"position": "rib"} if backend == "rib" else {"position": "table", "backend": backend}
            networks[f"{side} {backend}"] = _layer(study, settings, "trunk_window", side=side, **how)
    return study.timing("windows", networks, settings.sizes[-1:])


def routing(study: Study, settings: Settings) -> TimingRun:
    """Return the measurement of one layer of FGCA, with windows of each side, and of BRA."""
    networks = {}
    for top in settings.tops:
        for side in ROUTED_SIDES:
            networks[f"trunk_fgca M={side} top={top}"] = _layer(study, settings, "trunk_fgca", side=side, top=top)
        networks[f"trunk_bra top={top}"] = _layer(study, settings, "trunk_bra", top=top)
    return study.timing("routing", networks, settings.sizes)


def limits(study: Study, settings: Settings) -> LimitsRun:
    """Return the search for the largest map of one layer of each mechanism."""
    models = [model for model in _networks(study, settings) if model in trunk_networks() and model != "no_attention"]
    return LimitsRun(
        networks={model: _layer(study, settings, model) for model in models},
        scale=study.profile.scale,
        sizes=tuple(height_and_width(size) for size in settings.limits),
        limit_s=settings.limit_s,
        limit_mib=settings.limit_mib,
        device=study.device,
    )


def sharing(study: Study) -> list[TrainingRun]:
    """Return the comparison's networks that differ only in sparse or dense, own or shared weights."""
    return [run for model in SHARING if model in study.profile.models for run in study.over_seeds(model)]


def _networks(study: Study, settings: Settings) -> dict[str, Network]:
    return {model: _timed(study, settings, model) for model in settings.models or study.profile.models}


def _timed(study: Study, settings: Settings, model: str, **options: object) -> Network:
    """Return a network with the sizes that the chapter times."""
    sizes = {key: value for key, value in settings.network.items() if key in entry(model).options}
    return study.network(model, **sizes | options)


def _layer(study: Study, settings: Settings, model: str, **options: object) -> Network:
    return _timed(study, settings, model, groups=1, blocks=1, **options)
