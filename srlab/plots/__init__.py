"""Drawing, and nothing else: frames in, figures out.

Figures are as wide as two columns of a paper (7 inches), so what is 7 pt here is 7 pt in print.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"latency", "sweeps"},
    submod_attrs={
        "clusters": ["centroid_drift", "cluster_colours", "cluster_maps", "cluster_view", "patch_sheet"],
        "drawings": ["DRAWINGS", "draw", "redraw", "shown"],
        "by_image": ["gains"],
        "galleries": ["gallery", "panel_maps", "reach", "weight_maps"],
        "latency": ["scaling"],
        "maps": ["LR_PIXELS", "TITLE", "attention", "shrink_factor"],
        "output": ["save"],
        "restored": ["crops", "pictures"],
        "studies": [
            "cluster_sizes",
            "comparison",
            "convergence",
            "sharing",
            "sweep",
            "training",
        ],
        "style": ["STYLE", "look"],
        "ways": ["cluster_ways"],
    },
)
