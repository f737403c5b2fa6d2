"""Statistics: gains and intervals, the rules of claims, and the words for verdicts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"gains": ["NO_RUN", "means"], "tables": ["styled"], "words": ["say"]}
)
