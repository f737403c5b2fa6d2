"""The study: the runs of a profile, how each is made, its records, and its chapters."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"study": ["Study"]})
