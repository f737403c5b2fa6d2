"""The runs that measure time and memory for claims: which networks, on which code and inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srlab.stats.rules import rules
from srlab.study.profile import Size
from srlab.study.runs import Network
from srlab.study.study import Study, defaults
from srlab.study.timing_run import TimingRun

if TYPE_CHECKING:
    from srlab.chapters.claims import Settings

#: The authors' code, and this project's.
PUBLISHED, OURS = "as published", "ours"
#: Options that make a network the formula or kernel of its authors' code; ENLA has one code only.
FORMULA = {
    "lcoan": {"sharing": "stored"},
    "trunk_lsp": {"sharing": "plain"},
    "trunk_nla": {"sharing": "stored"},
    "nlsn": {"backend": "reference"},
    "trunk_fgca": {"backend": "reference"},
    "trunk_bra": {"backend": "reference"},
    "hit_srf": {"backend": "reference"},
}
#: Width and heads of the single layers, as in the networks of ESC and of SSCAN.
LIGHT = {"channels": 64, "heads": 4, "groups": 1, "blocks": 1}
#: Rounds of quick calls in each fresh process.
ROUNDS = 3


def label_on(label: str, code: str) -> str:
    return label if code == OURS else f"{label} ({code})"


def timing_runs(study: Study, settings: Settings) -> list[TimingRun]:
    """Return the measurements: non-local layers, window attention, published networks, and routed windows."""
    law, found = rules().costs, []
    usual = {"repeats": ROUNDS, "warmup": 1, "limit_mib": law.limit_mib, "device": study.device}
    usual |= {"processes": settings.processes or law.processes}
    for about, (networks, sizes) in _measured(settings).items():
        whole = about == "networks"
        own = {"scale": 4 if whole else study.profile.scale, "limit_s": law.network_limit_s if whole else law.limit_s}
        found.append(TimingRun(about=f"claims-{about}", networks=networks, sizes=sizes, **usual, **own))
    return found


def _measured(settings: Settings) -> dict[str, tuple[dict[str, Network], tuple[Size, ...]]]:
    """Return the networks of each measurement by label, and their inputs."""
    law = rules().costs
    sides = settings.sides or law.sides
    # ESC's own windows are FlexAttention's or, where nothing compiles it, PyTorch's fused kernel.
    fused = "flex" if settings.compiled else "sdpa"

    def network(model: str, **options: object) -> Network:
        return Network(model=model, options={**defaults(model), **options, **settings.options.get(model, {})})

    def both(*models: str, **options: object) -> dict[str, Network]:
        found = {model: network(model, **options) for model in models}
        formulas = {model: network(model, **options, **FORMULA[model]) for model in models if model in FORMULA}
        return found | {label_on(model, PUBLISHED): formula for model, formula in formulas.items()}

    # Ten layers of a rival are ten times the same; LCoAN's first differs from the nine after it.
    layers = both("lcoan", blocks=1) | both("trunk_nla", "nlsn", "enlcn", "trunk_lsp", groups=1, blocks=1)
    windows = {
        "fused windows": network("trunk_window", **LIGHT, backend="sdpa"),
        label_on("fused windows", PUBLISHED): network("trunk_window", **LIGHT, backend=fused),
        "plain windows": network("trunk_window", **LIGHT, backend="reference"),
    }
    esc = {"esc": network("esc"), label_on("esc", PUBLISHED): network("esc", backend=fused)}
    grown = tuple(sorted({*sides, *(settings.growth_sides or law.growth_sides)}))
    return {
        "layers": (layers, sides),
        "windows": (windows, sides),
        "networks": (both("hit_srf") | esc, settings.networks),
        "routing": (both("trunk_fgca", "trunk_bra", **LIGHT), grown),
    }
