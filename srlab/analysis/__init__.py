"""Analysis: `srlab.plots` draws these arrays and frames of the layers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"attribution", "explore"},
    submod_attrs={
        "explore": ["look", "open_scene"],
        "contrasts": ["Part", "contrast"],
        "images": ["SIDE", "TaskImage", "centre", "corners", "pair", "picture"],
        "layers": ["LayerTrace", "attention_row", "magnitudes", "reach", "receptive_field", "seen", "trace"],
        "sorting": ["NEXT", "OWN", "PREVIOUS", "UNSEEN", "clusters", "gini", "windows"],
        "views": ["Boxes", "Groups", "Values", "View", "Windows", "panels", "view"],
    },
)
