"""What may be said of the runs: frames, intervals, tables, and sentences that claim no more."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"answers", "claims", "statistics"},
    submod_attrs={
        "answers": ["answer"],
        "claims": ["examine", "summary"],
        "frames": [
            "ALL",
            "NO_RUN",
            "backends",
            "costs",
            "curves",
            "differences",
            "growth",
            "late_gains",
            "limits",
            "means",
            "paired",
            "quality",
            "roofline",
            "routing",
            "scales",
            "timed",
            "timings",
        ],
        "sentences": [
            "cheaper",
            "describe",
            "describe_cluster",
            "describe_drift",
            "describe_look",
            "describe_typical",
            "looking",
            "measured_cost",
            "measured_quality",
            "settled",
            "signed",
            "trained",
            "unevenness",
            "verdict",
        ],
        "tables": ["claims_markdown", "claims_table", "overview", "swept", "table"],
    },
)
