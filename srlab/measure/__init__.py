"""Quality and cost: metrics, evaluation, published numbers; time, memory, operations, limits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"evaluation": ["convention", "evaluate", "super_resolve"]}
)
