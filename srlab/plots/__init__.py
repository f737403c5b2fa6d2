"""Drawing, and nothing else: frames in, figures out; chapters compose these primitives.

Figures are as wide as two columns of a paper (7 inches), so 8 pt here is 8 pt in print.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "charts": ["bars", "front", "groups", "heat", "lines", "points", "stacked"],
        "estimates": ["forest", "part", "sweep"],
        "images": ["LR_PIXELS", "crops", "pictures", "show"],
        "maps": ["TITLE", "attention", "shrink_factor"],
        "marks": ["from_zero", "logarithmic", "powers", "rows"],
        "output": ["save"],
        "style": ["DOUBLE", "HOUSE", "INK", "STYLE", "blank", "look"],
        "text": ["Name", "caption", "name_lines", "name_points"],
    },
)
