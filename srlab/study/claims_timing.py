"""What is measured for the papers' claims about time and memory: which layers and networks, on which code and inputs."""

from __future__ import annotations

from srlab.measure.costs import Size
from srlab.study.profiles import ClaimsTiming
from srlab.study.rules import rules
from srlab.study.runs import Network, options_of

#: The code that the authors publish, and what this project computes instead.
PUBLISHED, OURS = "as published", "ours"
#: What makes a network the formula or kernel of its authors' code; there is but one code of ENLA.
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


def label_on(label: str, code: str) -> str:
    """The label of a network on a code."""
    return label if code == OURS else f"{label} ({code})"


def measured(claims: ClaimsTiming) -> dict[str, tuple[dict[str, Network], tuple[Size, ...]]]:
    """The networks of each measurement by label, and their inputs: sides in pixels, or (height, width)."""
    law = rules().costs
    sides = claims.sides or law.sides
    # ESC's own windows are FlexAttention's or, where nothing compiles it, PyTorch's fused kernel.
    fused = "flex" if claims.compiled else "sdpa"

    def network(model: str, **options: object) -> Network:
        return Network(model=model, options={**options_of(model), **options, **claims.options.get(model, {})})

    def both(models: tuple[str, ...], **options: object) -> dict[str, Network]:
        found = {model: network(model, **options) for model in models}
        for model in models:
            if model in FORMULA:
                found[label_on(model, PUBLISHED)] = network(model, **options, **FORMULA[model])
        return found

    # Ten layers of a rival are ten times the same; LCoAN's first is another than the nine after it.
    layers = both(("lcoan",), blocks=1) | both(("trunk_nla", "nlsn", "enlcn", "trunk_lsp"), groups=1, blocks=1)
    windows = {
        "fused windows": network("trunk_window", **LIGHT, backend="sdpa"),
        label_on("fused windows", PUBLISHED): network("trunk_window", **LIGHT, backend=fused),
        "plain windows": network("trunk_window", **LIGHT, backend="reference"),
    }
    networks = both(("hit_srf",)) | {
        "esc": network("esc"),
        label_on("esc", PUBLISHED): network("esc", backend=fused),
    }
    grown = tuple(sorted({*sides, *(claims.growth_sides or law.growth_sides)}))
    return {
        "layers": (layers, sides),
        "windows": (windows, sides),
        "networks": (networks, claims.networks),
        "routing": (both(("trunk_fgca", "trunk_bra"), **LIGHT), grown),
    }
