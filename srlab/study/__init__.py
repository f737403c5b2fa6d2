"""The study: which runs a profile asks for, how each is made, and what came of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "records": ["Record"],
        "study": ["Study", "find_root"],
    },
)
