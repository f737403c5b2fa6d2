"""Analysis: `srlab.plots` draws these arrays and frames of the layers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"explore"},
    submod_attrs={
        "images": ["centre", "corners", "pair", "picture"],
        "layers": ["attention_row", "receptive_field", "seen", "trace"],
        "sorting": ["OWN", "clusters", "windows"],
        "views": ["Boxes", "view"],
    },
)
