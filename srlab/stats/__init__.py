"""Statistics: gains and intervals, the rules of claims, and the words for verdicts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"words"},
    submod_attrs={
        "gains": ["ALL", "MARGIN", "NO_RUN", "differences", "means", "paired", "pareto", "pooled"],
        "intervals": [
            "LEVEL",
            "SEEDS",
            "Estimate",
            "growth_exponent",
            "over_seeds",
            "ratio_of_medians",
            "seed_difference",
        ],
        "rules": ["rules"],
        "tables": ["NAMES", "styled"],
        "words": ["say"],
    },
)
